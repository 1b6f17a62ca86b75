"""A checkpoint's weights as the webui will have them in memory, made from its file while an earlier pass samples.

When the webui loads a file, it copies each weight into the model and gives the model its dtype afterwards, or converts
it on the way (``load_model`` and ``load_model_weights``, 1.6.0 to 1.10.1; ``LoadStateDictOnMeta``). For weights that
will lie in RAM that is half of a first swap, and all of it can be done before. No module is made here, and nothing of
the webui is called: only the file is read, and only tensors are made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from modules import devices, shared

from lib_multipass.memory.headers import state_of
from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.a1111 import forge_models
from lib_multipass.webui.base import host
from lib_multipass.words import log, reason_of

SLICE = 16 * 1024 * 1024
"""Bytes of a file that are converted at once, at most."""
_ALIKE = ("model.diffusion_model.", "cond_stage_model.", "conditioner.")
"""Where A1111 gives all weights one dtype. A VAE and a depth model may have others."""
_NOT = ("first_stage_model.", "vae.", "model_ema.")
"""A VAE gets a dtype of its own in webuis of Forge's family, too; averaged weights are not loaded."""
_SAMPLES = 16
_ON_CPU = {torch.float16: torch.float32, torch.bfloat16: torch.float32}
"""What webuis of Forge's family make of dtypes without a card."""
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
        self._made: dict[str, torch.Tensor] = {}
        self._is_over = False

    def make(self, keep_going: Callable[[], bool]) -> None:
        """Make one weight after the other, until somebody wants them.

        Args:
            keep_going: asked before every slice; once it says no, this ends.
        """
        try:
            self._make(keep_going)
        except Exception as error:
            log.info("%s could not be made ready ahead: %s", self.path, reason_of(error))

    def _make(self, keep_going: Callable[[], bool]) -> None:
        from safetensors import safe_open

        with torch.inference_mode(self._inference), safe_open(self.path, framework="pt", device="cpu") as file:
            free, taken = host.hardware.ram_free(), 0
            for name in file.keys():  # noqa: SIM118 - it is no dict
                stored = file.get_tensor(name)
                dtype = self._dtype_of(name, stored.dtype) if _is_weight(stored) else None
                if dtype is None or (dtype == stored.dtype and not self._all):
                    continue
                made = torch.empty(stored.shape, dtype=dtype)
                taken += _bytes(made)
                if free is None or taken > free - self._beside:
                    return
                for piece, source in _pieces(made, stored):
                    if self._is_over or not keep_going():
                        return
                    piece.copy_(source)
                self._made[name] = made

    def hand_out(self, state: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        """What the webui has read of this file, with what was made in the place of what it was made from.

        Nothing more is made from now on, and what was made is not kept here.
        """
        self._is_over = True
        made = dict(self._made)
        self._made.clear()
        if not made or state_of(self.path) != self._state:
            return state
        lends = not host.fast_swaps.are_on()  # whose memory is to stay the parameters'
        fits = {name: tensor for name, tensor in made.items() if _is_made_from(tensor, state.get(name))}
        return {**state, **({name: tensor.as_subclass(Lent) for name, tensor in fits.items()} if lends else fits)}


class Lent(torch.Tensor):
    """A weight that nobody else needs: a parameter of its like that it is copied into takes its memory instead."""

    @classmethod
    def __torch_function__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What torch calls in the place of any of its functions, see *Extending PyTorch* in its documentation."""
        with torch._C.DisableTorchFunctionSubclass():
            if function is torch.Tensor.copy_ and len(args) > 1 and _can_take(*args[:2]):
                args[0].data = args[1].as_subclass(torch.Tensor)
                return args[0]
            result = function(*args, **(kwargs or {}))
            # A parameter can be made of a tensor of a kind of its own only if that stays so (``torch.nn.Parameter``).
            return result.as_subclass(cls) if function is torch.Tensor.detach else result


def _can_take(parameter: torch.Tensor, weight: torch.Tensor) -> bool:
    """Whether a parameter is to the letter like a weight that is in no model yet, and has its memory for itself."""
    if not isinstance(parameter, torch.nn.Parameter) or isinstance(weight, torch.nn.Parameter):
        return False
    if parameter.is_inference() != weight.is_inference() or _bytes(parameter) != parameter.untyped_storage().nbytes():
        return False
    alike = all(getattr(parameter, what) == getattr(weight, what) for what in ("shape", "dtype", "device"))
    return alike and parameter.is_contiguous() and weight.is_contiguous()


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _is_weight(stored: torch.Tensor) -> bool:
    """Whether it is large, and no buffer that may have a dtype of its own."""
    return stored.is_floating_point() and stored.dim() > 1


def _pieces(made: torch.Tensor, stored: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    size = SLICE // max(made.element_size(), stored.element_size())
    return zip(made.flatten().split(size), stored.flatten().split(size), strict=True)


def _is_made_from(made: torch.Tensor, stored: torch.Tensor | None) -> bool:
    """Whether a weight is what was read; an extension may have changed that on the way. A few elements tell."""
    if stored is None or stored.shape != made.shape or stored.device != made.device:
        return False
    step = max(1, made.numel() // _SAMPLES)
    return torch.equal(made.flatten()[::step], stored.flatten()[::step].to(made.dtype))


def ready_for(checkpoint: Checkpoint, beside: int) -> Ready | None:
    """What makes the weights of a checkpoint ready before it is loaded; None where that saves nothing.

    Args:
        checkpoint: one that is not loaded.
        beside: bytes of RAM that shall stay free.
    """
    keeps, no_map = (getattr(shared.opts, name, 0) for name in ("sd_checkpoint_cache", "disable_mmap_load_safetensors"))
    # What the webui keeps of a file, or reads into VRAM or without mapping it, is not to be anything else.
    if keeps > 0 or no_map or shared.weight_load_location is None:
        return None
    if forge_models.webui_moves_them():
        return in_ram(checkpoint, beside)
    on_cpu = devices.device.type == "cpu"
    lies_in_ram = on_cpu or host.hardware.is_split(host.files.facts_of(checkpoint))
    return _of(checkpoint, _of_a1111, lies_in_ram, beside)


def in_ram(checkpoint: Checkpoint, beside: int) -> Ready | None:
    """The same for webuis that load into RAM and choose dtypes by what is stored: none gets a smaller one here."""
    return _of(checkpoint, _of_forge, True, beside, inference=True)


def _of_a1111(name: str, _stored: torch.dtype) -> torch.dtype | None:
    return devices.dtype_unet if name.startswith(_ALIKE) else None


def _of_forge(name: str, stored: torch.dtype) -> torch.dtype | None:
    if name.startswith(_NOT):
        return None
    return _ON_CPU.get(stored, stored) if devices.device.type == "cpu" else stored


def _of(checkpoint: Checkpoint, *how: Any, inference: bool = False) -> Ready | None:
    path = checkpoint.filename
    return Ready(path, *how, inference) if path.lower().endswith(".safetensors") else None
