"""Stand-ins for gradio, fastapi and pydantic on a machine without them: controls hold a value, nothing is served."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from types import ModuleType
from typing import Any

LIBRARIES = {"gradio": "3.41.2", "fastapi": "0.94.0", "pydantic": "1.10.0"}
"""By name, the version that the stand-in says it is."""


class _Kind(type):
    """A class that has any other class as its attribute."""

    def __new__(cls, name: str, bases: tuple, members: dict, **_more: Any) -> Any:
        return super().__new__(cls, name, bases, members)

    def __init__(cls, name: str, bases: tuple, members: dict, **_more: Any) -> None:
        super().__init__(name, bases, members)

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _Kind(name, (Control,), {})
        setattr(cls, name, made)
        return made


class Control(metaclass=_Kind):
    """Any control: it has what it was made with, and whatever is called on it does nothing."""

    def __init_subclass__(cls, **_more: Any) -> None:
        pass

    def __init__(self, *args: Any, **given: Any) -> None:
        self.value = self.choices = self.label = self.elem_id = None
        vars(self).update(given)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: Control()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return args[0] if args and callable(args[0]) else Control()

    def __enter__(self) -> Control:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class HTTPException(Exception):  # noqa: N818 - its name in fastapi
    """What fastapi answers a request with."""

    def __init__(self, status_code: int = 500, detail: Any = None, headers: Any = None) -> None:
        super().__init__(detail)
        self.status_code, self.detail, self.headers = status_code, detail, headers


class _Bare(ModuleType):
    __path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = HTTPException if name == "HTTPException" else _Kind(name, (Control,), {})
        setattr(self, name, made)
        return made


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, missing: set[str]) -> None:
        self._missing = missing

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.split(".")[0] in self._missing:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> ModuleType:
        module = _Bare(spec.name)
        module.__version__ = LIBRARIES[spec.name.split(".")[0]]
        return module

    def exec_module(self, module: ModuleType) -> None:
        pass


def stand_in() -> set[str]:
    """Let what is not installed be imported all the same.

    Returns:
        the names of the libraries that are not there.
    """
    missing = {name for name in LIBRARIES if importlib.util.find_spec(name) is None}
    sys.meta_path.append(_Finder(missing))
    return missing
