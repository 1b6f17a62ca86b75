"""A checkpoint file, under all its names."""

from pathlib import Path

from modules import hashes, sd_models


class CheckpointInfo:
    def __init__(self, filename):
        self.filename = str(filename)
        path = Path(filename)
        inside = path.is_relative_to(sd_models.model_path)
        self.name = path.relative_to(sd_models.model_path).as_posix() if inside else path.name
        self.name_for_extra = path.stem
        self.model_name = self.name.replace("/", "_").rsplit(".", 1)[0]
        self.hash, self.metadata, self.is_safetensors = sd_models.model_hash(filename), {}, True
        self.shorthash, self.title, self.short_title = None, self.name, self.name_for_extra
        self.ids = [self.hash, self.model_name, self.name, self.name_for_extra, f"{self.name} [{self.hash}]"]
        self.sha256 = hashes.sha256_from_cache(self.filename, f"checkpoint/{self.name}")
        if self.sha256:
            self._take_hash()

    def _take_hash(self):
        """The titles change when the hash becomes known; the old ones stay among the ids."""
        self.shorthash = self.sha256[:10]
        self.title = f"{self.name} [{self.shorthash}]"
        self.short_title = f"{self.name_for_extra} [{self.shorthash}]"
        self.ids += [self.shorthash, self.sha256, self.title, self.short_title]

    def register(self):
        sd_models.checkpoints_list[self.title] = self
        sd_models.checkpoint_aliases.update(dict.fromkeys(self.ids, self))

    def calculate_shorthash(self):
        self.sha256 = hashes.sha256(self.filename, f"checkpoint/{self.name}")
        if self.sha256 is None:
            return None
        if self.shorthash != self.sha256[:10]:
            old_title = self.title
            self._take_hash()
            entries = [
                (self.title if title == old_title else title, info)
                for title, info in sd_models.checkpoints_list.items()
            ]
            sd_models.checkpoints_list.clear()
            sd_models.checkpoints_list.update(entries)
            self.register()
        return self.shorthash
