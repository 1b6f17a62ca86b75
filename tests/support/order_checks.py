"""What must be true of a webui after every step of a user."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from support.orders import Expected
from support.pictures import CONTENTS, OTHER
from support.probe.multipass_whole import digest

FOLLOWING = ("sd_model_checkpoint", "sd_checkpoint_hash")
"""Options that name a checkpoint, as the webui likes to call it at the moment."""
VAE_PREFIX = "first_stage_model."


class Files:
    """What the checkpoints and the VAE are known by: their hashes, and those of the VAEs in them."""

    def __init__(self, originals: Path, other: Path, named: bool = True) -> None:
        """
        Args:
            originals: a folder with the checkpoints as they were at first.
            other: the VAE file.
            named: whether the webui keeps a VAE under the names of the file.
        """
        self.hashes, self.vaes = {}, {OTHER: digest(load_file(other), named)}
        for content in CONTENTS:
            path = originals / f"{content}.safetensors"
            self.hashes[content] = hashlib.sha256(path.read_bytes()).hexdigest()
            weights = load_file(path).items()
            own = {key.removeprefix(VAE_PREFIX): value for key, value in weights if key.startswith(VAE_PREFIX)}
            self.vaes[content] = digest(own, named)
        self.contents = {digest[:10]: content for content, digest in self.hashes.items()}


def without_names(options: dict[str, Any]) -> dict[str, Any]:
    """The options but for those that follow the checkpoint."""
    return {name: value for name, value in options.items() if name not in FOLLOWING}


def check(seen: dict[str, Any], holding: bool, config: bytes, expected: Expected, files: Files) -> None:
    """Check it all.

    Args:
        seen: what the probe sees, see :mod:`multipass_whole`.
        holding: whether Multipass keeps checkpoints.
        config: the stored settings.
        expected: what must be true.
        files: the checkpoints.
    """
    _check_models(seen, expected)
    assert expected.may_hold or not holding
    _check_options(seen, expected, files)
    assert config == expected.config
    _check_vae(seen, expected, files)
    assert (seen["text"], seen["job"]) == (None, "")


def _check_models(seen: dict[str, Any], expected: Expected) -> None:
    loaded = seen["loaded"]
    assert seen["empty"] == []
    assert len(set(loaded)) == len(loaded)
    assert seen["active is listed"]
    assert len(loaded) <= expected.most, loaded


def _check_options(seen: dict[str, Any], expected: Expected, files: Files) -> None:
    assert without_names(seen["options"]) == expected.options
    assert Path(seen["selected"]) == expected.selected
    assert set(map(Path, seen["files"])) == set(expected.files)
    if expected.current in expected.files:
        assert seen["options"]["sd_checkpoint_hash"] == files.hashes[expected.files[expected.current]]


def _check_vae(seen: dict[str, Any], expected: Expected, files: Files) -> None:
    """The active model's VAE is the one that the settings say; where they act later, the one that it is noted with."""
    if seen["active"] is None:
        return
    content = files.contents[seen["active hash"]]
    if not expected.acts_later:
        assert seen["vae"] in {name if name == OTHER else None for name in (expected.vae, expected.lent)}
    assert seen["weights"] == files.vaes[seen["vae"] or content]
