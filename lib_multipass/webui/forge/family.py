"""The rooms of the door in Forge Neo: those of A1111 that hold there, and what differs."""

# ruff: noqa: F401 - what is imported here is the family's

from lib_multipass.webui import wrapping
from lib_multipass.webui.a1111 import (
    adetailer,
    beginnings,
    controls,
    gathering,
    hashes,
    loras,
    shares,
    stages,
    status,
    ui,
)
from lib_multipass.webui.a1111 import checkpoints as a1111_checkpoints
from lib_multipass.webui.a1111 import features as a1111_features
from lib_multipass.webui.a1111 import files as a1111_files
from lib_multipass.webui.a1111 import hardware as a1111_hardware
from lib_multipass.webui.a1111 import options as a1111_options
from lib_multipass.webui.a1111 import pictures as a1111_pictures
from lib_multipass.webui.a1111 import vaes as a1111_vaes
from lib_multipass.webui.forge import checkpoints as own_checkpoints
from lib_multipass.webui.forge import (
    fast_swaps,
    lending,
    lora_memory,
    models,
    parts,
    pass_vae,
    swaps,
)
from lib_multipass.webui.forge import features as own_features
from lib_multipass.webui.forge import files as own_files
from lib_multipass.webui.forge import hardware as own_hardware
from lib_multipass.webui.forge import options as own_options
from lib_multipass.webui.forge import pictures as own_pictures
from lib_multipass.webui.forge import slots as own_slots
from lib_multipass.webui.forge import vaes as own_vaes
from lib_multipass.webui.over import Over

checkpoints = Over(own_checkpoints, a1111_checkpoints)
features = Over(own_features, a1111_features)
files = Over(own_files, a1111_files)
hardware = Over(own_hardware, a1111_hardware)
options = Over(own_options, a1111_options)
pictures = Over(own_pictures, a1111_pictures)
slots = Over(own_slots, wrapping)
vaes = Over(own_vaes, a1111_vaes)
