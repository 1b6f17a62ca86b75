"""ADetailer's argument model alone: its package imports detection libraries, this file needs only pydantic."""

from __future__ import annotations

import importlib.util
import sys
from functools import cache
from importlib import metadata
from types import ModuleType

NAME = "adetailer_args_alone"
FACE = {"ad_model": "face_yolov8n.pt"}


@cache
def load() -> ModuleType:
    """ADetailer's module of arguments; loaded once, since it registers itself with pydantic."""
    path = metadata.distribution("adetailer").locate_file("adetailer/args.py")
    spec = importlib.util.spec_from_file_location(NAME, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module
