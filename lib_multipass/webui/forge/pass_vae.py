"""The second pass's own VAE in Forge Neo."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from backend.args import dynamic_args
from modules_forge import main_entry

from lib_multipass.plan.decide import Vaes
from lib_multipass.state import Part, running
from lib_multipass.webui.base import host
from lib_multipass.webui.forge import engines


class PassVae(Part):
    """The VAEs of the running job."""

    def __init__(self, wanted: Vaes) -> None:
        self.vaes = wanted

    @contextmanager
    def hires_pass(self) -> Iterator[None]:
        """While the hires pass runs: its modules were loaded with its checkpoint.

        Neo goes by the first pass's checkpoint for whether LoRAs are put into the weights, and fails where the hires
        pass's are GGUF, which cannot take them (``refresh_model_loading_parameters``).
        """
        before, active = dynamic_args.online_lora, engines.active()
        if active is not None and active.file.lower().endswith(".gguf"):
            dynamic_args.online_lora = active.online_lora = True
        try:
            yield
        finally:
            dynamic_args.online_lora = before


def fitting(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a model is made of: as the webui says, but for two things in a job.

    Its second checkpoint has the second pass's modules in ADetailer's passes too, which begin with the first pass's. A
    VAE module of another latent space is left out.
    """
    part, checkpoint = running.part(PassVae), parameters.get("checkpoint_info")
    if part is None or checkpoint is None:
        return parameters
    vaes, file = part.vaes, checkpoint.filename
    if file in vaes.modules:
        return {**parameters, "additional_modules": files_of(vaes.modules[file])}
    if file not in vaes.apart:
        return parameters
    modules, known = parameters.get("additional_modules") or (), host.vaes.files()
    others = [one for one in modules if os.path.basename(one) not in known]  # noqa: PTH119
    return {**parameters, "additional_modules": others}


def files_of(modules: Iterable[str]) -> list[str]:
    """The files of modules, in the order that the webui gives them for a pass of its own (``modules_change``)."""
    names = map(os.path.basename, modules)
    return sorted(main_entry.module_list[name] for name in names if name in main_entry.module_list)


def forget() -> None:
    """Nothing is kept."""


def settle() -> None:
    """Nothing was put on a model."""
