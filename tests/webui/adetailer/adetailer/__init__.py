"""A stand-in for ADetailer, written from its interface. Its detector finds one face, in the middle."""

__version__ = "25.3.0"
ADETAILER = "ADetailer"
