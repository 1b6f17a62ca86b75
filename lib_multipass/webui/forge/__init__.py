"""Forge Neo: it keeps one checkpoint, rebuilds it at every change, and moves its parts to the device itself."""
