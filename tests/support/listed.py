"""Checkpoints as the webui lists them."""

from dataclasses import dataclass, field
from pathlib import PureWindowsPath


@dataclass
class Info:
    """A checkpoint as the webui lists it, from the facts about its ``CheckpointInfo``."""

    name: str
    sha256: str | None = None
    hash: str = "0ldha5h0"
    filename: str = ""
    name_for_extra: str = ""
    shorthash: str | None = None
    title: str = ""
    ids: list = field(default_factory=list)

    def __post_init__(self):
        self.filename = f"/models/{self.name}"
        self.name_for_extra = PureWindowsPath(self.name).stem
        self.shorthash = self.sha256 and self.sha256[:10]
        suffix = f" [{self.shorthash}]" if self.shorthash else ""
        self.title = self.name + suffix
        flat = self.name.replace("/", "_").replace("\\", "_").rsplit(".", 1)[0]
        self.ids = [self.hash, flat, self.title, self.name, self.name_for_extra, f"{self.name} [{self.hash}]"]
        if self.sha256:
            self.ids += [self.shorthash, self.sha256, self.name_for_extra + suffix]


CARTOON = Info("cartoon.safetensors", "aa11bb22cc" + "0" * 54, hash="11111111")


PHOTO = Info("photo.safetensors", "dd33ee44ff" + "0" * 54, hash="22222222")


PHOTO_2 = Info("photo_v2.safetensors", hash="33333333")


IN_FOLDER = Info("xl/pony v6, best [fp16].safetensors", "1234567890" + "0" * 54, hash="44444444")


OLD = Info("klee (日本).ckpt", hash="55555555")


WINDOWS = Info("real\\vision.safetensors", "99" * 32, hash="88888888")


KNOWN = [CARTOON, PHOTO, PHOTO_2, IN_FOLDER, OLD, WINDOWS]
