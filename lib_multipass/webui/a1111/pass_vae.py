"""The second pass's own VAE: in force where it belongs, nowhere else, and never stored.

The webui asks ``sd_vae.resolve_vae`` for a checkpoint's VAE whenever it loads or activates one or an override changes,
and changes nothing if that VAE is on it already. So the answer is all that is changed here: it names the second pass's
VAE while the hires pass runs and, where :func:`lib_multipass.plan.second_pass.lasting_vae` allows it, for the second
checkpoint as long as the job runs. The checkpoint then keeps it while it is parked, and the next job finds it there.
Whenever the webui makes sure of its checkpoint, which is before all it does with one, a VAE that is not wanted any more
comes off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from modules import sd_models, sd_vae, shared

from lib_multipass.memory.headers import state_of
from lib_multipass.plan.decide import Vaes
from lib_multipass.state import Part, kept, running
from lib_multipass.webui.a1111 import vaes
from lib_multipass.words import MultipassError, reason_of


class PassVae(Part):
    """The VAEs of the running job."""

    def __init__(self, wanted: Vaes) -> None:
        self.vaes = wanted
        self.in_hires_pass = False
        self.failure: str | None = None
        """Why the VAE could not be put on; a sentence."""

    def begin(self) -> None:
        """They hold; a VAE that is kept in memory is let go of if this job does not need it."""
        if not self.vaes.keep:
            forget()

    def end(self) -> None:
        """They hold no more."""
        self.vaes, self.in_hires_pass = Vaes(), False

    def wanted(self, checkpoint_file: str) -> str | None:
        """The VAE that is wanted on this checkpoint now; None: as the webui is set."""
        if self.in_hires_pass and self.vaes.hires is not None:
            return self.vaes.hires
        name = self.vaes.lasting.get(checkpoint_file)
        return name if shared.opts.sd_vae in (self.vaes.setting, name) else None

    @contextmanager
    def hires_pass(self) -> Iterator[None]:
        """While the hires pass runs.

        Raises:
            MultipassError: if its VAE could not be put on.
        """
        self.in_hires_pass = True
        try:
            if self.vaes.hires is not None:
                sd_vae.reload_vae_weights()
            if self.failure is not None:
                raise MultipassError(self.failure)
            yield
        finally:
            self.in_hires_pass = False


def forget() -> None:
    """Give the memory of a kept VAE back."""
    kept.vae = None


def settle() -> None:
    """Take a VAE off the active checkpoint that was given here and is not wanted any more."""
    model = sd_models.model_data.sd_model
    file = None if model is None else model.sd_checkpoint_info.filename
    if file in kept.vae_given and sd_vae.loaded_vae_file == kept.vae_given[file]:
        sd_vae.reload_vae_weights(model)


def _wanted(checkpoint_file: str) -> str | None:
    part = running.part(PassVae)
    return None if part is None else part.wanted(checkpoint_file)


def vae_of_the_moment(original: Callable) -> Callable:
    """Answers which VAE a checkpoint takes."""

    def resolve_vae(checkpoint_file: str, *args: Any, **kwargs: Any) -> Any:
        name = _wanted(checkpoint_file)
        if name is None:
            kept.vae_given.pop(checkpoint_file, None)
            return original(checkpoint_file, *args, **kwargs)
        kept.vae_given[checkpoint_file] = file = vaes.file_for(name, checkpoint_file)
        return sd_vae.VaeResolution(file, "chosen for the second pass")

    return resolve_vae


def taken_off_when_it_fails(original: Callable) -> Callable:
    """Leaves a checkpoint as it was when the second pass's VAE does not fit it.

    The webui overwrites what fits before it raises, out of a model that is taken apart at that moment, and every later
    picture would suffer (1.6.0 to 1.10.1). So the error waits until the model is whole again.
    """

    def load_vae(model: Any, vae_file: str | None = None, *args: Any, **kwargs: Any) -> None:
        try:
            original(model, vae_file, *args, **kwargs)
        except Exception as error:
            file = model.sd_checkpoint_info.filename
            if not vae_file or _wanted(file) is None or vaes.file_for(_wanted(file), file) != vae_file:
                raise
            name, reason = Path(vae_file).name, reason_of(error, vae_file, file)
            part = running.part(PassVae)
            part.failure = f"The VAE {name} could not be put on {Path(file).name}: {reason}"
            part.end()
            sd_vae.restore_base_vae(model)
            model.base_vae = model.loaded_vae_file = None

    return load_vae


def kept_in_memory(original: Callable) -> Callable:
    """Reads the hires pass's VAE once for all pictures, where it cannot stay on a checkpoint of its own."""

    def load_vae_dict(filename: str, *args: Any, **kwargs: Any) -> dict:
        part = running.part(PassVae)
        if part is None or not part.vaes.keep:
            return original(filename, *args, **kwargs)
        file = filename, state_of(filename)
        if kept.vae is not None and kept.vae[0] == file:
            return kept.vae[1]
        read = original(filename, *args, **kwargs)
        if part.in_hires_pass:
            kept.vae = file, {name: value.to("cpu", copy=True) for name, value in read.items()}
        return read

    return load_vae_dict
