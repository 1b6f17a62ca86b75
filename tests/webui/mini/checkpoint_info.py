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
        self.hash, self.metadata = sd_models.model_hash(filename), {}
        self.shorthash, self.title, self.short_title = None, self.name, self.name_for_extra
        self.ids = [self.name, self.name_for_extra, self.model_name, self.hash, f"{self.name} [{self.hash}]"]
        self._known_as = f"checkpoint/{self.name}"
        self.sha256 = hashes.sha256_from_cache(self.filename, self._known_as)
        if self.sha256:
            self._take_hash()

    def _take_hash(self):
        """The titles change when the hash becomes known; the old ones stay among the ids."""
        self.shorthash = self.sha256[:10]
        self.title = f"{self.name} [{self.shorthash}]"
        self.short_title = f"{self.name_for_extra} [{self.shorthash}]"
        self.ids.extend((self.title, self.short_title, self.sha256, self.shorthash))

    def register(self):
        sd_models.checkpoints_list[self.title] = self
        sd_models.checkpoint_aliases.update(dict.fromkeys(self.ids, self))

    def calculate_shorthash(self):
        """It keeps its place in the list under its new title."""
        known, before = sd_models.checkpoints_list, self.shorthash
        self.sha256 = hashes.sha256(self.filename, self._known_as)
        if self.sha256 and self.sha256[:10] != before:
            titles, infos = list(known), list(known.values())
            place = titles.index(self.title) if self.title in known else len(titles)
            self._take_hash()
            titles[place : place + 1], infos[place : place + 1] = [self.title], [self]
            known.clear()
            known.update(zip(titles, infos, strict=True))
            self.register()
        return self.shorthash
