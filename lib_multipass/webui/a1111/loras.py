"""The webui's LoRA extension (``extensions-builtin/Lora``, 1.6.0 to 1.10.1), if it is there, and its hypernetworks."""

from __future__ import annotations

import sys

from modules import shared

from lib_multipass.webui.a1111 import digests


def read_anew() -> None:
    """Let the LoRA extension read its files again when they are next used.

    It keeps a LoRA by name, taken apart for the layers of the checkpoint that was active, and reads it again only if
    the file is younger than that.
    """
    lora = sys.modules.get("networks")
    for network in [*getattr(lora, "loaded_networks", ()), *getattr(lora, "networks_in_memory", {}).values()]:
        network.mtime = float("-inf")


def file_of(name: str) -> str | None:
    """The file of a network by the name in a tag; None without the extension, and for what it does not know."""
    lora = sys.modules.get("networks")
    by_file, by_alias = getattr(lora, "available_networks", {}), getattr(lora, "available_network_aliases", {})
    return getattr(by_file.get(name) or by_alias.get(name), "filename", None)


def in_force() -> list[tuple]:
    """The networks that act now: those of the last job still do in one with *disable_extra_networks*."""
    names = ("name", "te_multiplier", "unet_multiplier", "dyn_dim", "mtime")
    loaded = getattr(sys.modules.get("networks"), "loaded_networks", ())
    return [tuple(getattr(network, name, None) for name in names) for network in loaded]


def hypernetworks_in_force() -> list[tuple]:
    """Those that act now, as they were read: the webui does not read the file of one again while it acts."""
    loaded = getattr(shared, "loaded_hypernetworks", ())
    layers = ((known.name, layer) for known in loaded for pair in known.layers.values() for layer in pair)
    return [(name, getattr(layer, "multiplier", None), digests.weights(layer)) for name, layer in layers]
