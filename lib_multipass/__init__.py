"""Multipass: two checkpoints in one render of the AUTOMATIC1111 Stable Diffusion WebUI."""

NAME = "Multipass"
__version__ = "0.1.0"
