"""A checkpoint's weights as the webui will have them in memory, made from its file while an earlier pass samples.

When the webui loads a file, it copies each weight into the model and gives the model its dtype afterwards, or converts
it on the way (``load_model`` and ``load_model_weights``, 1.6.0 to 1.10.1; ``LoadStateDictOnMeta``). For weights that
will lie in RAM that is most of a first swap, and all of it can be done before. No module is made here, and nothing of
the webui is called: only the file is read, and only tensors are made.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from modules import devices, shared

from lib_multipass.memory.headers import Facts, state_of
from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import forge_models
from lib_multipass.webui.a1111.lent import Lent
from lib_multipass.webui.base import host
from lib_multipass.words import log, reason_of

SLICE = 16 * 1024 * 1024
"""Bytes of a file that are converted at once, at most."""
_PLAIN = {"F16", "BF16", "F32", "I64"}
_ALIKE = ("model.diffusion_model.", "cond_stage_model.", "conditioner.")
"""Where A1111 gives all weights one dtype. A VAE and a depth model may have others."""
_NOT = ("first_stage_model.", "vae.", "model_ema.")
"""A VAE gets a dtype of its own in webuis of Forge's family, too; averaged weights are not loaded."""
_TEXT = ("cond_stage_model.", "conditioner.", "text_encoders.")
_SAMPLES = 16
Dtypes = Callable[[str, torch.dtype], torch.dtype | None]


class Ready:
    """The weights of one file.

    ``make`` runs in a thread of its own, ``hand_out`` in the job's.
    """

    def __init__(self, path: str, dtype_of: Dtypes, all_of_it: bool, beside: int, inference: bool = False) -> None:
        """
        Args:
            path: a ``.safetensors``.
            dtype_of: the dtype that a weight will have, from its name and the dtype in which it is stored; None for one
                that is left to the webui.
            all_of_it: whether weights that keep theirs are worth it, too: those that will lie in RAM.
            beside: bytes of RAM that shall stay free.
            inference: whether the webui makes models in torch's inference mode, whose tensors are of their own kind.
        """
        self._inference = inference
        self.path, self._dtype_of, self._all, self._beside = path, dtype_of, all_of_it, beside
        self._state = state_of(path)
        self._empty: dict[str, torch.Tensor] = {}
        """By name, what is still to be made."""
        self._made: dict[str, tuple[torch.Tensor, int]] = {}
        """By name, what was made, and the address that it was made from."""
        self._is_over = False
        self._safely(self._reserve)

    def make(self, keep_going: Callable[[], bool]) -> None:
        """Make one weight after the other, until somebody wants them.

        Args:
            keep_going: asked before every slice; once it says no, this ends.
        """
        self._safely(self._make, keep_going)

    def _safely(self, step: Callable[..., None], *args: Any) -> None:
        try:
            step(*args)
        except Exception as error:
            log.info("%s could not be made ready ahead: %s", self.path, reason_of(error))

    def _reserve(self) -> None:
        """Ask for the memory, in the job's thread as the webui does: glibc gives each thread memory of its own."""
        from safetensors import safe_open

        left = (host.hardware.ram_free() or 0) - self._beside
        with torch.inference_mode(self._inference), safe_open(self.path, framework="pt", device="cpu") as file:
            for name in file.keys():  # noqa: SIM118 - it is no dict
                stored = file.get_tensor(name)
                dtype = self._dtype_of(name, stored.dtype) if _is_weight(stored) else None
                if dtype is None or (dtype == stored.dtype and not self._all):
                    continue
                made = torch.empty(stored.shape, dtype=dtype)
                left -= _bytes(made)
                if left < 0:
                    return
                self._empty[name] = made

    def _make(self, keep_going: Callable[[], bool]) -> None:
        from safetensors import safe_open

        with torch.inference_mode(self._inference), safe_open(self.path, framework="pt", device="cpu") as file:
            while self._empty:
                name, made = self._empty.popitem()
                stored, free = file.get_tensor(name), host.hardware.ram_free()
                if free is None or _bytes(made) > free - self._beside:
                    return
                for piece, source in _pieces(made, stored):
                    if self._is_over or not keep_going():
                        return
                    piece.copy_(source)
                if not self._is_over:
                    self._made[name] = made, stored.data_ptr()

    def hand_out(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """What the webui has read of this file, with what was made in the place of what it was made from.

        Nothing more is made from now on, and what was made is not kept here.
        """
        self._is_over = True
        made = dict(self._made)
        self._made.clear()
        self._empty.clear()
        if not made or state_of(self.path) != self._state or _webui_keeps_files():
            return state
        lends = not host.fast_swaps.are_on()  # whose memory is to stay the parameters'
        fits = _as_read(made, state)
        return {**state, **({name: tensor.as_subclass(Lent) for name, tensor in fits.items()} if lends else fits)}


def _as_read(
    made: Mapping[str, tuple[torch.Tensor, int]], state: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """What was made from just what was read; an extension may have put something else in its place.

    What was mapped lies where it lay when it was mapped here, but for one distance; a few elements tell of the rest.
    """
    found = {name: state[name] for name in made if type(state.get(name)) is torch.Tensor}
    distances = {name: tensor.data_ptr() - made[name][1] for name, tensor in found.items()}
    most = Counter(distances.values()).most_common(1)
    mapped = {name for name, distance in distances.items() if distance == most[0][0]}
    return {name: made[name][0] for name in mapped if _is_made_from(made[name][0], found[name])}


def _is_made_from(made: torch.Tensor, stored: torch.Tensor) -> bool:
    if stored.shape != made.shape or not stored.is_contiguous():
        return False
    step = max(1, made.numel() // _SAMPLES)
    # As bytes: not every torch compares every dtype, and NaN is not itself.
    one, other = (t.flatten()[::step].to(made.dtype).contiguous().view(torch.uint8) for t in (made, stored))
    return torch.equal(one, other)


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _is_weight(stored: torch.Tensor) -> bool:
    """Whether it is large, and no buffer that may have a dtype of its own."""
    return stored.is_floating_point() and stored.dim() > 1


def _pieces(made: torch.Tensor, stored: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    size = SLICE // max(made.element_size(), stored.element_size())
    return zip(made.flatten().split(size), stored.flatten().split(size), strict=True)


def ready_for(checkpoint: Checkpoint, beside: int) -> Ready | None:
    """What makes the weights of a checkpoint ready before it is loaded; None where that saves nothing.

    Args:
        checkpoint: one that is not loaded.
        beside: bytes of RAM that shall stay free.
    """
    if _webui_keeps_files() or getattr(shared.opts, "disable_mmap_load_safetensors", False):
        return None
    if shared.weight_load_location is None or not _is_mapped(checkpoint):  # --lowram reads into VRAM
        return None
    if forge_models.webui_moves_them():
        is_left = forge_models.loads_to_the_device() or not is_plain(host.files.facts_of(checkpoint))
        return None if is_left else in_ram(checkpoint, beside)
    lies_in_ram = devices.device.type == "cpu" or host.hardware.is_split(host.files.facts_of(checkpoint))
    return Ready(checkpoint.filename, _of_a1111, lies_in_ram, beside)


def in_ram(checkpoint: Checkpoint, beside: int) -> Ready:
    """The same for webuis of Forge's family, which decide by what is stored: no weight gets a smaller dtype here.

    They load into VRAM where more of that is free than of RAM, so as much stays free as there is VRAM.
    """
    _, vram = host.hardware.vram() or (0, 0)
    return Ready(checkpoint.filename, _of_forge, True, max(beside, vram), inference=True)


def is_plain(facts: Facts, more: Collection[str] = ()) -> bool:
    """Whether a file's weights are stored in float16, bfloat16 or float32, or in one of these further kinds."""
    kinds = {kind for known in facts.parameters.values() for kind in known}
    return bool(kinds) and kinds <= {*_PLAIN, *more}


def _webui_keeps_files() -> bool:
    """Whether A1111 keeps state dicts, which then must have their tensors for themselves."""
    return getattr(shared.opts, "sd_checkpoint_cache", 0) > 0


def _is_mapped(checkpoint: Checkpoint) -> bool:
    return checkpoint.filename.lower().endswith(".safetensors")


def _of_a1111(name: str, _stored: torch.dtype) -> torch.dtype | None:
    return devices.dtype_unet if name.startswith(_ALIKE) else None


def _of_forge(name: str, stored: torch.dtype) -> torch.dtype | None:
    """On a card a model is in half precision, and without one the diffusion model alone is not."""
    in_full = devices.device.type == "cpu" and not name.startswith(_TEXT) and torch.finfo(stored).bits > 8
    if name.startswith(_NOT) or (stored == torch.float32 and not in_full):
        return None
    return torch.float32 if in_full else stored
