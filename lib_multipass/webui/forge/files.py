"""Checkpoint files in Forge Neo: what they take once they are loaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from math import prod

from backend import args, memory_management
from modules import shared
from modules_forge import main_entry

from lib_multipass.memory.architectures import ANIMA
from lib_multipass.memory.footprint import Loading, loaded_bytes
from lib_multipass.memory.headers import (
    DIFFUSION,
    T5,
    TEXT,
    UNKNOWN,
    Facts,
    remembered,
    state_of,
    tensors_and_metadata,
)
from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import files as a1111_files
from lib_multipass.webui.a1111 import forge_models, ready
from lib_multipass.webui.a1111.hardware import vae_computes_in_half
from lib_multipass.webui.base import host


def facts_of(checkpoint: Checkpoint) -> Facts:
    """What the file's header says. It lacks nothing that counts: the webui knows best what it can load with modules."""
    return replace(a1111_files.facts_of(checkpoint), lacks=())


def loaded_size(facts: Facts, other_vae: bool = False) -> int:
    """Bytes that a checkpoint takes once this webui has loaded it, wherever its parts lie.

    Of an architecture that is not told apart, all that is in the file.
    """
    known = facts if facts.architecture != UNKNOWN else replace(facts, parameters={})
    return loaded_bytes(known, loading(facts, other_vae))


def encoders(facts: Facts, names: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """Bytes of the text encoders among these modules, where a checkpoint has none of its own, and a name for them.

    Models with the same name for theirs hold them once; those of quantised ones, of Anima, which has a part of them in
    the checkpoint, and of an architecture that is not told apart, have none. A VAE takes the place of the
    checkpoint's own.
    """
    if facts.parameters.keys() & {TEXT, T5}:
        return 0, ()
    vaes, listed = host.vaes.files(), main_entry.module_list
    files = [listed[name] for name in sorted(names) if name in listed and name not in vaes]
    are_shared = facts.architecture not in (UNKNOWN, ANIMA) and all(ready.is_plain(remembered(file)) for file in files)
    size = sum(remembered(file).file_bytes + _in_float32(file, state_of(file)) for file in files)
    return size, (facts.architecture, *files) if are_shared and files else ()


_QUANTISED = (".comfy_quant", "scaled_fp8")
_TABLES = ("shared.weight", "embed_tokens.weight")


@lru_cache(maxsize=64)
def _in_float32(file: str, _state: object) -> int:
    """Bytes that the tables of words take besides once they are loaded: in float32, whatever they are stored in."""
    shapes = (kind["shape"] for name, kind in tensors_and_metadata(file)[0].items() if name.endswith(_TABLES))
    return sum(2 * prod(shape) for shape in shapes)


def loading(facts: Facts, other_vae: bool = False) -> Loading:
    """How this webui loads a checkpoint; weights that are stored in 8 bits stay so."""
    stored_in_8_bits = any(dtype.startswith("F8") for dtype in facts.parameters.get(DIFFUSION, ()))
    return Loading(
        half=host.hardware.computes_in_half(),
        half_vae=vae_computes_in_half(),
        fp8=stored_in_8_bits or str(shared.opts.forge_unet_storage_dtype).startswith("float8"),
        other_vae=other_vae,
    )


def made_ready(checkpoint: Checkpoint, beside: int) -> ready.Ready | None:
    """What makes a checkpoint's weights ready; None where the settings give them another dtype than their file."""
    is_left = str(shared.opts.forge_unet_storage_dtype).startswith("Automatic")
    maps = not getattr(getattr(args, "args", None), "disable_mmap", False)
    if not (is_left and maps and _is_copied(checkpoint)) or forge_models.on_device_at_once(memory_management):
        return None
    return ready.in_ram(checkpoint, beside)


def _is_copied(checkpoint: Checkpoint) -> bool:
    """Whether the weights are copied into the model; quantised ones are used as they lie in the file."""
    path, facts = checkpoint.filename, host.files.facts_of(checkpoint)
    if not path.lower().endswith(".safetensors") or not ready.is_plain(facts, ("F8_E4M3", "F8_E5M2")):
        return False
    tensors, metadata = tensors_and_metadata(path)
    return "_quantization_metadata" not in metadata and not any(name.endswith(_QUANTISED) for name in tensors)


def read_bytes(checkpoint: Checkpoint, facts: Facts) -> int:
    """Bytes of RAM that a checkpoint's file takes while the webui loads it; a ``.safetensors`` is mapped."""
    return 0 if checkpoint.filename.lower().endswith(".safetensors") else facts.file_bytes
