"""Checkpoint files in this webui: what they are, and what they take once they are loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from modules import shared

from lib_multipass.memory import loaded
from lib_multipass.memory.footprint import Loading, loaded_bytes, most_backup_bytes, resident_bytes
from lib_multipass.memory.headers import REFINER, SDXL, Facts, remembered
from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import features, hardware, ready
from lib_multipass.webui.base import host


def facts_of(checkpoint: Checkpoint) -> Facts:
    """What the file's header says; read once while the file stays the same.

    Of a file whose header says nothing (``.ckpt``), what the model said that the webui made of it, once it has.
    """
    facts = remembered(checkpoint.filename)
    return facts if _tells(facts) else loaded.recall(checkpoint.filename) or facts


def tells(checkpoint: Checkpoint) -> bool:
    """Whether the file's header says what it holds; that of a ``.ckpt`` does not."""
    return _tells(remembered(checkpoint.filename))


def facts_of_state(tensors: Mapping[str, torch.Tensor]) -> Facts:
    """What the webui has just read from a file whose header says nothing."""
    return loaded.model_facts(_described(tensors.items()))


def _described(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {
        name: (str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape))
        for name, tensor in tensors
        if isinstance(tensor, torch.Tensor)
    }


def note_model(model: Any) -> None:
    """A model was loaded: remember what it is made of, if its file's header does not say it.

    The webui calls this after every load, also when it only changed the model's VAE (``model_loaded_callback``).
    """
    path = model.sd_checkpoint_info.filename
    if not _tells(remembered(path)) and loaded.recall(path) is None:
        # Both leave out what stands there under two names, as SDXL's text encoders do.
        tensors = chain(model.named_parameters(), model.named_buffers())
        loaded.note(path, _described(tensors))


def made_ready(checkpoint: Checkpoint, beside: int) -> ready.Ready | None:
    """What makes a checkpoint's weights ready before it is loaded, see :func:`ready.ready_for`."""
    return ready.ready_for(checkpoint, beside)


def _tells(facts: Facts) -> bool:
    return bool(facts.parameters or facts.problem)


def loaded_size(facts: Facts, other_vae: bool = False) -> int:
    """Bytes that a checkpoint takes once this webui has loaded it, wherever its parts lie; estimated from its header.

    Copies that LoRAs make of its weights come on top.

    Args:
        facts: what is known of its file.
        other_vae: whether another VAE is in it; the webui keeps a copy of its own one then.
    """
    return loaded_bytes(facts, host.files.loading(facts, other_vae))


def encoders(facts: Facts, names: Iterable[str]) -> tuple[int, tuple[str, ...]]:
    """There are no modules here."""
    return 0, ()


def resident_size(facts: Facts) -> int:
    """Bytes of a checkpoint that are on the device at once, at most, while this webui computes with it."""
    return resident_bytes(facts, host.files.loading(facts))


def read_bytes(checkpoint: Checkpoint, facts: Facts) -> int:
    """Bytes of RAM that a checkpoint's file takes while the webui loads it.

    A ``.safetensors`` is mapped and lies in the file cache alone, unless *Disable memmapping for loading .safetensors
    files* is on: then it is read whole, and copied tensor by tensor. A ``.ckpt`` is read whole (``read_state_dict``,
    1.6.0 to 1.10.1).
    """
    size = facts.file_bytes
    if not checkpoint.filename.lower().endswith(".safetensors"):
        return size
    return 2 * size if getattr(shared.opts, "disable_mmap_load_safetensors", False) else 0


def most_copies(facts: Facts) -> int:
    """Bytes of RAM, at most, of the copies that stay beside the model once a prompt with LoRAs used it."""
    return most_backup_bytes(facts, host.files.loading(facts))


def loading(facts: Facts, other_vae: bool = False) -> Loading:
    """How this webui loads a checkpoint."""
    fp8 = features.fp8_weights()
    return Loading(
        half=host.hardware.computes_in_half(),
        half_vae=hardware.vae_computes_in_half(),
        # The webui takes the refiner for SDXL here (``check_fp8``, 1.8.0 to 1.10.1).
        fp8=fp8 == "Enable" or (fp8 == "Enable for SDXL" and facts.architecture in (SDXL, REFINER)),
        cache_fp16=features.keeps_fp16_beside_fp8(),
        t5=features.loads_t5(),
        other_vae=other_vae,
        medvram=host.hardware.is_split(facts),
        lowvram=shared.cmd_opts.lowvram,
    )
