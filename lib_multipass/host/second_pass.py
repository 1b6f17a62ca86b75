"""The second pass's own VAE, CFG scale and clip skip: in force where they belong, nowhere else, and never stored.

The webui asks ``sd_vae.resolve_vae`` for a checkpoint's VAE whenever it loads or activates one or an override changes,
and changes nothing if that VAE is on it already. So the answer is all that is changed here: it names the second pass's
VAE while the hires pass runs and, where :func:`lasting_vae` allows it, for the second checkpoint as long as the job
runs. The checkpoint then keeps it while it is parked, and the next job finds it there. Whenever the webui makes sure
of its checkpoint, which is before all it does with one, a VAE that is not wanted any more comes off.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules import sd_models, sd_vae, shared

from lib_multipass.args import AUTOMATIC_VAE, SAME_VAE
from lib_multipass.checkpoints import Checkpoint
from lib_multipass.host import checkpoints, running, vaes
from lib_multipass.messages import MultipassError, reason_of
from lib_multipass.plan import Plan
from lib_multipass.second_pass import lasting_vae

CLIP_SKIP = "CLIP_stop_at_last_layers"


@dataclass(frozen=True)
class Vaes:
    """The VAEs of one job, by the names that :func:`vaes.file_for` takes."""

    hires: str | None = None
    """Of the hires pass, whatever checkpoint is active in it; None: as the webui is set."""
    lasting: Mapping[str, str] = field(default_factory=dict)
    """By checkpoint file, for the whole job."""
    setting: str | None = None
    """The webui's *SD VAE* in the job; while it reads otherwise, somebody overrides it."""
    keep: bool = False
    """Whether the hires pass's file is kept in memory, since it goes on and off the checkpoint with every picture."""


_vaes = Vaes()
_in_hires_pass = False
_given: dict[str, str | None] = {}
"""By checkpoint file, the VAE file that it was given here last; None is its own."""
_kept: tuple[tuple, dict] | None = None
"""The VAE that is kept in memory: what file it was, and its tensors."""
_failure: str | None = None


def begin(
    p: Any, plan: Plan, in_use: Iterable[Checkpoint], tabs: Collection[tuple[str, str | None]], follows: bool
) -> None:
    """Let the job's VAEs hold until :func:`end`.

    Args:
        p: the job.
        plan: what it will do.
        in_use: all checkpoints that it uses.
        tabs: the checkpoint file and the own VAE, if any, of each of ADetailer's tabs.
        follows: whether tabs that leave it open take the hires pass's.
    """
    global _vaes, _failure  # one job at a time: the webui runs them under its queue lock
    setting, wanted = vaes.setting_of(p), vaes.second_pass_vae(p, plan)

    def lasts(file: str, name: str, follows: bool) -> bool:
        return lasting_vae(name, setting, [own for tab_file, own in tabs if tab_file == file], follows)

    second, refiner = plan.second.filename, checkpoints.refiner_of(p)
    foreign = {known.filename: known for known in in_use if vaes.is_foreign(p, plan.base, known)}
    lasting = {file: AUTOMATIC_VAE for file in foreign if lasts(file, AUTOMATIC_VAE, follows=True)}
    in_first_pass = {plan.base.filename, *([refiner.filename] if refiner else [])}
    if plan.own.vae != SAME_VAE and second not in in_first_pass and lasts(second, wanted, follows):
        lasting[second] = wanted
    hires = None if wanted == SAME_VAE else wanted
    _vaes, _failure = Vaes(hires, lasting, setting, keep=hires is not None and second not in lasting), None
    if not _vaes.keep:
        forget()
    told = [known.name_for_extra for file, known in foreign.items() if file != second or plan.own.vae == SAME_VAE]
    if told:
        fixed = vaes.fixed_name(p)
        p.comment(
            f"The SD VAE {fixed} was taken for one of {plan.base.name_for_extra}'s latent space and was not put on "
            f"{', '.join(told)}, which has another."
        )


def end() -> None:
    """The job is over, however it ended; calling it again changes nothing."""
    global _vaes, _in_hires_pass  # see begin()
    _vaes, _in_hires_pass = Vaes(), False


def forget() -> None:
    """Give the memory of a kept VAE back."""
    global _kept  # see begin()
    _kept = None


def settle() -> None:
    """Take a VAE off the active checkpoint that was given here and is not wanted any more."""
    model = sd_models.model_data.sd_model
    file = None if model is None else model.sd_checkpoint_info.filename
    if file in _given and sd_vae.loaded_vae_file == _given[file]:
        sd_vae.reload_vae_weights(model)


def _wanted(checkpoint_file: str) -> str | None:
    """The VAE that is wanted on this checkpoint now; None: as the webui is set."""
    if _in_hires_pass and _vaes.hires is not None:
        return _vaes.hires
    name = _vaes.lasting.get(checkpoint_file)
    return name if shared.opts.sd_vae in (_vaes.setting, name) else None


def vae_of_the_moment(original: Callable) -> Callable:
    """Answers which VAE a checkpoint takes."""

    def resolve_vae(checkpoint_file: str) -> Any:
        name = _wanted(checkpoint_file)
        if name is None:
            _given.pop(checkpoint_file, None)
            return original(checkpoint_file)
        _given[checkpoint_file] = file = vaes.file_for(name, checkpoint_file)
        return sd_vae.VaeResolution(file, "chosen for the second pass")

    return resolve_vae


def taken_off_when_it_fails(original: Callable) -> Callable:
    """Leaves a checkpoint as it was when the second pass's VAE does not fit it.

    The webui overwrites what fits before it raises, out of a model that is taken apart at that moment, and every later
    picture would suffer (1.6.0 to 1.10.1). So the error waits until the model is whole again.
    """

    def load_vae(model: Any, vae_file: str | None = None, vae_source: str = "from unknown source") -> None:
        global _failure  # see begin()
        try:
            original(model, vae_file, vae_source)
        except Exception as error:
            file = model.sd_checkpoint_info.filename
            if not vae_file or _wanted(file) is None or vaes.file_for(_wanted(file), file) != vae_file:
                raise
            name, reason = Path(vae_file).name, reason_of(error, vae_file, file)
            _failure = f"The VAE {name} could not be put on {Path(file).name}: {reason}"
            end()
            sd_vae.restore_base_vae(model)
            model.base_vae = model.loaded_vae_file = None

    return load_vae


def kept_in_memory(original: Callable) -> Callable:
    """Reads the hires pass's VAE once for all pictures, where it cannot stay on a checkpoint of its own."""

    def load_vae_dict(filename: str, map_location: Any) -> dict:
        global _kept  # see begin()
        if not _vaes.keep:
            return original(filename, map_location)
        status = Path(filename).stat()
        file = (filename, status.st_size, status.st_mtime_ns)
        if _kept is not None and _kept[0] == file:
            return _kept[1]
        read = original(filename, map_location)
        if _in_hires_pass:
            _kept = file, {name: value.to("cpu", copy=True) for name, value in read.items()}
        return read

    return load_vae_dict


def hires_pass_of_its_own(original: Callable) -> Callable:
    """Is the scope of the hires pass; the webui calls it after the swap, with the first pass's latents or pictures."""

    def sample_hr_pass(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _plan_of(self) is None:
            return original(self, *args, **kwargs)
        if shared.state.interrupted:
            end()  # the first pass's latents are all that comes of it
            settle()
            return original(self, *args, **kwargs)
        first = self.cfg_scale
        try:
            with _hires_pass():
                return original(self, *args, **kwargs)
        finally:
            self.cfg_scale = first

    return sample_hr_pass


@contextmanager
def _hires_pass() -> Iterator[None]:
    global _in_hires_pass  # see begin()
    _in_hires_pass = True
    try:
        if _vaes.hires is not None:
            sd_vae.reload_vae_weights()
        if _failure is not None:
            raise MultipassError(_failure)
        yield
    finally:
        _in_hires_pass = False


def conditioned_on_its_own(original: Callable) -> Callable:
    """Encodes the hires pass's texts with its clip skip, early or late, and sets its CFG scale.

    The webui's caches of conditionings have the clip skip in their keys. The CFG scale is set here, since a picture
    that is saved between the passes has the first pass's in its infotext, and scripts whose ``before_hr`` sets it,
    which comes next, shall win.
    """

    def calculate_hr_conds(self: Any) -> None:
        plan = _plan_of(self)
        if plan is None:
            return original(self)
        if self.is_hr_pass and plan.own.cfg_scale is not None:
            self.cfg_scale = plan.own.cfg_scale
        with nullcontext() if plan.own.clip_skip is None else read_as(CLIP_SKIP, plan.own.clip_skip):
            return original(self)

    return calculate_hr_conds


def _plan_of(p: Any) -> Plan | None:
    job = running.job_around(p)
    return None if job is None else job.plan


@contextmanager
def read_as(name: str, value: Any) -> Iterator[None]:
    """Let ``shared.opts`` show another value of an option to those who read it as an attribute.

    A property on the class of ``shared.opts``, as in :mod:`lib_multipass.host.cache`: the stored data, and with it
    ``config.json`` and ``/sdapi/v1/options``, stay as they are.
    """
    options_class = type(shared.opts)
    setattr(options_class, name, property(lambda _options: value))
    try:
        yield
    finally:
        delattr(options_class, name)
