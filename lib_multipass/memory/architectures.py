"""The architectures of checkpoints that are told apart, and the latent space of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

SD1, SD2, SDXL, REFINER, SD3, FLUX = "SD 1.x", "SD 2.x", "SDXL", "SDXL refiner", "SD 3", "Flux"
FLUX2, CHROMA, LUMINA, Z_IMAGE = "Flux.2", "Chroma", "Lumina 2", "Z-Image"
QWEN, WAN, ANIMA = "Qwen-Image", "Wan", "Anima"
UNKNOWN = "unknown"
LATENTS = {
    **{SD1: "SD", SD2: "SD", SDXL: "SDXL", REFINER: "SDXL", SD3: "SD 3"},
    **dict.fromkeys((FLUX, CHROMA, LUMINA, Z_IMAGE), "Flux"),
    FLUX2: "Flux.2",
    **dict.fromkeys((QWEN, WAN, ANIMA), "Wan"),
}
"""The latent space of each architecture; a latent picture means something only within its own."""
OF_FORGE = frozenset((FLUX, FLUX2, CHROMA, LUMINA, Z_IMAGE, QWEN, WAN, ANIMA))
"""What no webui of AUTOMATIC1111's family can load but Forge and its heirs."""
LIKE_FLUX = frozenset((FLUX, FLUX2, CHROMA))
"""Architectures with Flux's names of tensors; a LoRA does not say for which of them it is."""
FLUX_BLOCK = "double_blocks.0.img_attn.qkv.weight"
SD3_BLOCK = "joint_blocks.0.x_block.attn.qkv.weight"
_LUMINA_CAPTIONS = "cap_embedder.1.weight"
_MARKS = (
    (FLUX2, ("double_stream_modulation_img.lin.weight",)),
    (CHROMA, ("distilled_guidance_layer.0.norms.0.scale", "distilled_guidance_layer.norms.0.scale")),
    (FLUX, (FLUX_BLOCK,)),
    (SD3, (SD3_BLOCK,)),
    (Z_IMAGE, ("cap_pad_token",)),
    (LUMINA, ("noise_refiner.0.attention.k_norm.weight",)),
    (QWEN, ("txt_norm.weight",)),
    (WAN, ("head.modulation",)),
    (ANIMA, ("llm_adapter.blocks.0.cross_attn.q_proj.weight",)),
)
"""A tensor that a diffusion model has, under one of these names, by architecture; the first that is found counts.

As in the files that Black Forest Labs, Lodestone, Tongyi, Alpha-VLLM, Qwen, Wan-AI and CircleStone Labs have published,
and as ComfyUI tells them apart (``comfy/model_detection.py``, 0.26).
"""
MARKS = tuple(name for _, names in _MARKS for name in names)
"""All of these names."""
_Z_IMAGE_WIDTH = 3840


class Shaped(Protocol):
    """What is known of a tensor."""

    @property
    def shape(self) -> Sequence[int]:
        """Its lengths."""


def dimension(tensors: Mapping[str, Shaped], name: str, axis: int) -> int | None:
    """The length of a tensor along an axis; None if it is not there or has fewer."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[axis] if len(shape) > axis else None


_SD1_ENCODERS = (
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight",
    "cond_stage_model.transformer.embeddings.token_embedding.weight",
    "cond_stage_model.roberta.embeddings.word_embeddings.weight",
)
_CONTEXT_WIDTHS = {768: SD1, 1024: SD2, 2048: SDXL, 1280: REFINER}
"""What cross-attention takes: the width of the text encoders together."""


def architecture_of(tensors: Mapping[str, Shaped], prefix: str) -> str:
    """The architecture of a checkpoint.

    Args:
        tensors: what is known of each, by name.
        prefix: how the names of its diffusion model begin.
    """
    marked = next((kind for kind, names in _MARKS if any(prefix + name in tensors for name in names)), None)
    if marked == LUMINA and dimension(tensors, prefix + _LUMINA_CAPTIONS, 0) == _Z_IMAGE_WIDTH:
        return Z_IMAGE  # its first files have no token for padding
    if marked is not None:
        return marked
    if "conditioner.embedders.1.model.ln_final.weight" in tensors:
        return SDXL
    if "conditioner.embedders.0.model.ln_final.weight" in tensors:
        # SD 2.1 Turbo names its text encoder like the refiner, whose own is 1280 wide.
        return SD2 if dimension(tensors, "conditioner.embedders.0.model.ln_final.weight", 0) == 1024 else REFINER
    if "cond_stage_model.model.ln_final.weight" in tensors:
        return SD2
    if any(name in tensors for name in _SD1_ENCODERS):
        return SD1
    places = ("middle_block.1", "input_blocks.4.1", "input_blocks.1.1")
    names = [f"{prefix}{place}.transformer_blocks.0.attn2.to_k.weight" for place in places]
    width = next((dimension(tensors, name, 1) for name in names if name in tensors), None)
    return _CONTEXT_WIDTHS.get(width, UNKNOWN)
