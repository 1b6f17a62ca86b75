"""The rooms of the door in a webui that Multipass cannot work in."""

# ruff: noqa: F401 - what is imported here is the family's

from lib_multipass.webui.none import checkpoints, slots, status
