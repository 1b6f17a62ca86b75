"""The architectures of checkpoints that are told apart, and the latent space of each."""

from __future__ import annotations

SD1, SD2, SDXL, REFINER, SD3, FLUX = "SD 1.x", "SD 2.x", "SDXL", "SDXL refiner", "SD 3", "Flux"
UNKNOWN = "unknown"
LATENTS = {SD1: "SD", SD2: "SD", SDXL: "SDXL", REFINER: "SDXL", SD3: "SD 3", FLUX: "Flux"}
"""The latent space of each architecture; a latent picture means something only within its own."""
