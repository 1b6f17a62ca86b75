"""How large a checkpoint will be once the webui has loaded it, in host memory and on the device.

What the webui does to a model's weights (``load_model`` and ``load_model_weights`` in ``modules/sd_models.py``, 1.6.0
to 1.10.1): it builds all parts that the architecture has, whether the file holds them or not, and turns every
floating-point number into float16, or into float32 under ``--no-half``, whatever the file holds. Averaged weights
(``model_ema``) are left out. The noise schedules, which it adds, are not counted here: 52 kB.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib_multipass.memory.header_text import BITS
from lib_multipass.memory.headers import (
    CONDITIONING,
    DIFFUSION,
    REFINER,
    SD1,
    SD2,
    SD3,
    SDXL,
    T5,
    TEXT,
    VAE,
    Facts,
)

_LOADED = (DIFFUSION, TEXT, T5, VAE, CONDITIONING)
_IN_BLOCKS = (SD1, SD2, SDXL, REFINER)
"""Architectures whose diffusion model ``--lowvram`` takes apart."""
_FLOATS = ("F", "BF")
"""How floating-point dtypes begin; the webui leaves whole numbers alone."""

_USUAL = {
    SD1: {TEXT: 123_060_480, VAE: 83_653_863},
    SD2: {TEXT: 354_032_641, VAE: 83_653_863},
    SDXL: {TEXT: 817_720_321, VAE: 83_653_863},
    REFINER: {TEXT: 694_659_841, VAE: 83_653_863},
    SD3: {TEXT: 817_720_321, VAE: 83_819_683, T5: 4_762_310_656},
}
"""Elements of the parts that are built even if the file lacks them, counted on the webui's own configs."""


@dataclass(frozen=True)
class Loading:
    """How this webui loads a model."""

    half: bool = True
    """False with ``--no-half``."""
    half_vae: bool = True
    """False with ``--no-half-vae``, or once the webui has turned the VAE to float32 because of black pictures."""
    fp8: bool = False
    """Whether the setting "FP8 weight" (1.8.0 and later) holds for this architecture."""
    cache_fp16: bool = False
    """The setting "Cache FP16 weight for LoRA": copies of the weights beside the fp8 ones, in host memory."""
    t5: bool = False
    """The setting "Enable T5" (1.10.0 and later); without it SD 3 does without its third text encoder."""
    other_vae: bool = False
    """Whether another VAE replaces the file's; the webui then keeps the file's own beside it."""
    medvram: bool = False
    """Whether only one component is on the device at a time: ``--medvram``, for SDXL also ``--medvram-sdxl``."""
    lowvram: bool = False
    """``--lowvram``: as with ``medvram``, and only one block of the diffusion model."""


def loaded_bytes(facts: Facts, loading: Loading) -> int:
    """Bytes that the loaded model takes, wherever its parts lie.

    A file of which only the size is known counts as float16 without averaged weights, so a ``.ckpt`` that holds more
    comes out too large.
    """
    if not facts.parameters:
        return facts.file_bytes if loading.half else 2 * facts.file_bytes
    return sum(_component_bytes(facts, loading).values()) + _copies(facts, loading) + _own_vae(facts, loading)


def resident_bytes(facts: Facts, loading: Loading) -> int:
    """Bytes of the model that are on the device at once, at most; pictures and activations come on top.

    Under ``--lowvram`` it is the largest component but the diffusion model, of which a block comes at a time: in all
    architectures that have blocks, the largest with the rest is smaller than the text encoders.
    """
    if not facts.parameters:
        return loaded_bytes(facts, loading)
    components = _component_bytes(facts, loading)
    if loading.lowvram and facts.architecture in _IN_BLOCKS:
        components.pop(DIFFUSION, None)
    if loading.medvram or loading.lowvram:
        return max(components.values(), default=0)
    return sum(components.values()) + _own_vae(facts, loading)


def most_backup_bytes(facts: Facts, loading: Loading) -> int:
    """Bytes, at most, of the copies that the webui keeps in host memory once a prompt with LoRAs used the model.

    Every layer of the diffusion model and of the text encoders that takes part keeps its weights as they were before,
    in the dtype in which they are loaded, whether a LoRA changes them or not (``network_apply_weights`` in
    ``extensions-builtin/Lora/networks.py``, 1.6.0 to 1.10.1). Tables of embeddings take no part, so this is a little
    too large. Of a file of which only the size is known, all is counted.
    """
    if not facts.parameters:
        return loaded_bytes(facts, loading)
    components = _component_bytes(facts, loading)
    return sum(components.get(component, 0) for component in (DIFFUSION, TEXT, T5))


def _component_bytes(facts: Facts, loading: Loading) -> dict[str, int]:
    """Bytes of each component of the loaded model."""
    usual = _USUAL.get(facts.architecture, {})
    sizes = {}
    for component in _LOADED:
        stored = facts.parameters.get(component) or {"F32": usual.get(component, 0)}
        if component == T5 and facts.architecture == SD3 and not loading.t5:
            continue
        width = _width(component, loading)
        sizes[component] = sum(
            count * (width if dtype.startswith(_FLOATS) else BITS[dtype] // 8) for dtype, count in stored.items()
        )
        if loading.fp8 and component != VAE:
            sizes[component] -= facts.matrices.get(component, 0) * (width - 1)
    return {component: size for component, size in sizes.items() if size}


def _width(component: str, loading: Loading) -> int:
    """Bytes of one floating-point number."""
    return 2 if loading.half and (loading.half_vae or component != VAE) else 4


def _copies(facts: Facts, loading: Loading) -> int:
    if not (loading.fp8 and loading.cache_fp16):
        return 0
    components = _component_bytes(facts, loading)
    return sum(2 * facts.matrices.get(component, 0) for component in components if component != VAE)


def _own_vae(facts: Facts, loading: Loading) -> int:
    return _component_bytes(facts, loading).get(VAE, 0) if loading.other_vae else 0
