"""The rooms of the door in a webui that Multipass cannot work in."""

from lib_multipass.webui.none import checkpoints, slots, status

__all__ = ["checkpoints", "slots", "status"]
