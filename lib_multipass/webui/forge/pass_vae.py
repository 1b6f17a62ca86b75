"""The second pass's own VAE in Forge Neo."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lib_multipass.plan.decide import Vaes
from lib_multipass.state import Part


class PassVae(Part):
    """The VAEs of the running job."""

    def __init__(self, wanted: Vaes) -> None:
        self.vaes = wanted

    @contextmanager
    def hires_pass(self) -> Iterator[None]:
        """While the hires pass runs: its modules were loaded with its checkpoint."""
        yield


def forget() -> None:
    """Nothing is kept."""


def settle() -> None:
    """Nothing was put on a model."""
