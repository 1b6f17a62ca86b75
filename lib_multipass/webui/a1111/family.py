"""The rooms of the door in AUTOMATIC1111's WebUI 1.6.0 to 1.10.1."""

# ruff: noqa: F401 - what is imported here is the family's

from lib_multipass.webui import wrapping
from lib_multipass.webui.a1111 import (
    adetailer,
    beginnings,
    checkpoints,
    controls,
    fast_swaps,
    features,
    files,
    gathering,
    hardware,
    hashes,
    lending,
    lora_memory,
    loras,
    models,
    options,
    parts,
    pass_vae,
    pictures,
    shares,
    stages,
    status,
    swaps,
    ui,
    vaes,
)
from lib_multipass.webui.a1111 import slots as own_slots
from lib_multipass.webui.over import Over

slots = Over(own_slots, wrapping)
