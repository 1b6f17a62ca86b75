"""The second pass's own VAE in Forge Neo."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from modules import sd_vae

from lib_multipass.plan.decide import Vaes
from lib_multipass.state import Part, running


class PassVae(Part):
    """The VAEs of the running job."""

    def __init__(self, wanted: Vaes) -> None:
        self.vaes = wanted

    @contextmanager
    def hires_pass(self) -> Iterator[None]:
        """While the hires pass runs: its modules were loaded with its checkpoint."""
        yield


def fitting(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a model is made of: as the webui says, but a VAE module of another latent space is left out in a job."""
    part, checkpoint = running.part(PassVae), parameters.get("checkpoint_info")
    if part is None or checkpoint is None or checkpoint.filename not in part.vaes.apart:
        return parameters
    modules = parameters.get("additional_modules") or ()
    others = [one for one in modules if os.path.basename(one) not in sd_vae.vae_dict]  # noqa: PTH119
    return {**parameters, "additional_modules": others}


def forget() -> None:
    """Nothing is kept."""


def settle() -> None:
    """Nothing was put on a model."""
