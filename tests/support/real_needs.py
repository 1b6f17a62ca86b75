"""What the real decoder and diffusion models hold at once, counted on tensors without numbers.

Run by the webui's own Python, with the model code in its ``repositories`` folder::

    python real_needs.py --repositories REPOSITORIES

Prints bytes for each pixel as JSON: of one picture in the decoder, and of each further picture of a batch in the
diffusion models, prompt and negative prompt at once. Attention counts as if it was computed in one step that keeps
nothing, as the fused ways do it.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

SIDE = 512
VAE = {
    "ch": 128, "out_ch": 3, "ch_mult": [1, 2, 4, 4], "num_res_blocks": 2, "attn_resolutions": [], "in_channels": 3,
    "resolution": 256, "z_channels": 4, "double_z": True,
}  # fmt: skip
SD1 = {
    "image_size": 32, "in_channels": 4, "out_channels": 4, "model_channels": 320, "attention_resolutions": [4, 2, 1],
    "num_res_blocks": 2, "channel_mult": [1, 2, 4, 4], "num_heads": 8, "use_spatial_transformer": True,
    "transformer_depth": 1, "context_dim": 768, "use_checkpoint": False, "legacy": False,
}  # fmt: skip
SDXL = {
    "in_channels": 4, "out_channels": 4, "model_channels": 320, "attention_resolutions": [4, 2], "num_res_blocks": 2,
    "channel_mult": [1, 2, 4], "num_head_channels": 64, "use_spatial_transformer": True,
    "use_linear_in_transformer": True, "transformer_depth": [1, 2, 10], "context_dim": 2048, "adm_in_channels": 2816,
    "num_classes": "sequential", "use_checkpoint": False, "spatial_transformer_attn_type": "softmax", "legacy": False,
}  # fmt: skip


class Living(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Callable, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._known = {key: known for key, known in self._known.items() if not known[0].expired()}
        result = function(*args, **(kwargs or {}))
        for tensor in tree_flatten(result)[0]:
            if isinstance(tensor, torch.Tensor):
                storage = tensor.untyped_storage()
                self._known.setdefault(storage._cdata, (StorageWeakRef(storage), storage.nbytes()))
        self.peak = max(self.peak, sum(size for _, size in self._known.values()))
        return result


def attend(self: Any, x: torch.Tensor, context: torch.Tensor | None = None, **kwargs: Any) -> torch.Tensor:
    """In place of every attention: a result of its size, and the queries, keys and values that it is made of."""
    context = x if context is None else context
    projected = self.to_q(x), self.to_k(context), self.to_v(context)
    result = torch.empty_like(projected[0])
    del projected
    return self.to_out(result)


def peak(network: torch.nn.Module, *args: torch.Tensor, **kwargs: torch.Tensor) -> int:
    with Living() as living:
        network(*args, **kwargs)
    return living.peak


def of_the_decoder(dtype: torch.dtype) -> float:
    from ldm.modules.diffusionmodules.model import Decoder

    decoder = Decoder(**VAE).to(dtype)
    return peak(decoder, torch.empty(1, 4, SIDE // 8, SIDE // 8, dtype=dtype)) / SIDE**2


def of_a_unet(make: Callable, settings: dict, dtype: torch.dtype) -> float:
    """Of each further picture; the first one's number has weights in it."""
    network = make(**settings).to(dtype)
    network.dtype = dtype
    needs = []
    for batch in (1, 2):
        twice = 2 * batch
        latents, steps = torch.empty(twice, 4, SIDE // 8, SIDE // 8, dtype=dtype), torch.empty(twice, dtype=dtype)
        more = {"context": torch.empty(twice, 77, settings["context_dim"], dtype=dtype)}
        if "adm_in_channels" in settings:
            more["y"] = torch.empty(twice, settings["adm_in_channels"], dtype=dtype)
        needs.append(peak(network, latents, timesteps=steps, **more))
    return (needs[1] - needs[0]) / SIDE**2


def counted() -> dict[str, dict[str, float]]:
    import ldm.modules.attention
    import sgm.modules.attention
    from ldm.modules.diffusionmodules.openaimodel import UNetModel
    from sgm.modules.diffusionmodules.openaimodel import UNetModel as UNetModelXL

    for kind in (
        ldm.modules.attention.CrossAttention,
        sgm.modules.attention.CrossAttention,
        sgm.modules.attention.MemoryEfficientCrossAttention,
    ):
        kind.forward = attend
    return {
        str(dtype).removeprefix("torch."): {
            "decoder": of_the_decoder(dtype),
            "SD 1.x": of_a_unet(UNetModel, SD1, dtype),
            "SDXL": of_a_unet(UNetModelXL, SDXL, dtype),
        }
        for dtype in (torch.float16, torch.float32)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repositories", type=Path, required=True)
    folder = parser.parse_args().repositories
    sys.path[:0] = [str(folder / name) for name in ("stable-diffusion-stability-ai", "generative-models")]
    with contextlib.redirect_stdout(io.StringIO()), torch.device("meta"), torch.no_grad():
        found = counted()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
