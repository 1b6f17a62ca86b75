"""A job from the webui's hooks: what is declared on it before anything is loaded, and its line at the end.

ADetailer calls the hooks of all scripts again in the middle of a job, on shallow copies of ``p``, and batch scripts
hand us copies that share their dicts. So nothing is restored here, and every dict and argument list is replaced
instead of changed.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from modules import processing, sd_models, shared

from lib_multipass.args import PassArgs
from lib_multipass.host import (
    adetailer,
    ahead,
    axes,
    borrowing,
    cache,
    checkpoints,
    control,
    crossing,
    dropped,
    features,
    first_pass,
    follow,
    gauge,
    infotext,
    lending,
    networks,
    page,
    patches,
    progress,
    refusal,
    running,
    second_pass,
)
from lib_multipass.host.outlook import Outlook, plan_of
from lib_multipass.messages import MultipassError, log, reason_of
from lib_multipass.plan import Plan, missing_hires_values
from lib_multipass.report import Journal


class Job:
    """A Multipass job while it runs; ``p`` has its number."""

    def __init__(self, p: Any, outlook: Outlook) -> None:
        self.number = running.new_number()
        self.owner = weakref.ref(p)
        self.plan = outlook.plan
        self.outlook = outlook
        self.forecast = outlook.forecast()
        self.in_use = outlook.in_use
        self.journal = Journal(self.plan.base.filename)
        self.gauge = gauge.Gauge(outlook)
        self.shown: first_pass.Shown | None = None
        """The first passes, if they are to be shown."""
        self.added_later: set[str] = set()
        """Keys of the infotext that came up in the hires pass, see :func:`lib_multipass.replay.first_pass_params`."""
        self.copied = (-1, 0)
        """Of the last copy that was saved before a hires pass: the number of the batch, the number in it."""

    def end(self, error: BaseException | None) -> None:
        """Do what has to be done at the end of every job.

        Args:
            error: what it failed with, if anything.
        """
        _clear_up(partial(self.gauge.check, error))


def setup(p: Any) -> None:
    """Make sure that a failure in a job that a script renders in pieces reaches the user."""
    refusal.watch_pieces(p)


def before_process(p: Any, values: Sequence[Any]) -> None:
    """Declare two passes on ``p`` if Multipass is ticked, else leave it alone and let go of what is kept.

    The webui swallows exceptions of hooks and would go on with one checkpoint; a failure is kept for
    :func:`refusal.refuse` to raise where it counts.
    """
    if not isinstance(p, processing.StableDiffusionProcessingTxt2Img) or getattr(p, "_ad_inner", False):
        return
    if running.job_around(p) is not None and running.job_of(p) is None:
        return  # a copy that was made inside the job
    _clear_up()
    refusal.begin_anew(p)
    try:
        args = axes.over(p, PassArgs.parse(values))
        if args.enabled:
            _declare(p, args)
    except MultipassError as error:
        refusal.refuse(p, error.detail)
    except Exception as error:
        log.exception("the job could not be prepared")
        sentence = f"Multipass could not prepare the job: {type(error).__name__}: {reason_of(error)}"
        refusal.refuse(p, sentence)
    else:
        if not args.enabled:
            _end(p)


def read_ahead(p: Any) -> None:
    """A pass is about to sample: read what comes next meanwhile."""
    job = running.job_of(p)
    if job is not None:
        ahead.begin(job.in_use)


def postprocess(p: Any, processed: Any) -> None:
    """Write the job's line; ADetailer's early calls come with a copy of ``p`` and are not the end."""
    job = running.job_of(p)
    if job is None:
        return
    missing = _missing(p, processed)
    if job.shown is not None:
        job.shown.add_to(processed)
    _clear_up(partial(job.gauge.read, missing))
    log.info(job.journal.line(job.forecast))


def _missing(p: Any, processed: Any) -> int:
    """How many pictures of a job that nobody ended are not there."""
    if shared.state.interrupted or getattr(shared.state, "stopping_generation", False):
        return 0
    return p.n_iter * p.batch_size - (len(processed.images) - processed.index_of_first_image)


def _clear_up(look_back: Callable[[], None] | None = None) -> None:
    """Take back whatever holds for one job alone; calling it again changes nothing.

    What fails here neither keeps the rest from it nor takes the place of the error that ended the job. The job then
    counts as running on, so that the webui's next call at its end tries again.

    Args:
        look_back: reads what the job needed of the memory; None if that job is not known here.
    """
    steps = (
        ahead.end,
        second_pass.end,
        lending.end,
        networks.stop,
        infotext.stop,
        control.stop,
        progress.end,
        partial(patches.record, None),
        look_back or gauge.end_earlier,
    )
    done = [_done(step) for step in steps]
    if all(done):
        _done(running.end)


def _done(step: Callable[[], None]) -> bool:
    try:
        step()
    except Exception:
        log.exception("something of the job could not be cleared up")
        return False
    return True


def _end(p: Any) -> None:
    try:
        second_pass.forget()
        cache.let_go(checkpoints.first_of(p))
    except Exception:
        # An unticked job runs as without the extension, whatever happens here.
        log.exception("the kept checkpoints could not be let go of")


def _declare(p: Any, args: PassArgs) -> None:
    plan = plan_of(p, args)
    crossing.check_refiner(p, plan)
    _switch_hires_on(p)
    _clear_page_texts(p)
    crossing.cross_in_pixels(p, plan)
    _choose_second(p, plan)
    detailer = _aim_adetailer(p, plan, args.adetailer_follows)
    dropped.comment(p, plan, detailer.args if detailer else [])

    job = Job(p, Outlook(p, plan, detailer.checkpoints(plan.base) if detailer else [], args.keep))
    job.shown = first_pass.Shown() if args.show_first_pass else None
    running.begin(p, job)
    for note in job.outlook.notes:
        p.comment(note)
    follow.swaps_begin()
    patches.record(job.journal)
    lending.begin(job.in_use, borrowing.given_vaes(p, plan, job.in_use))
    second_pass.begin(p, plan, job.in_use, detailer.vaes(plan.base) if detailer else [], args.adetailer_follows)
    networks.follow(p, plan)
    infotext.follow(p, plan)
    control.follow(p)
    progress.begin(plan)
    if job.outlook.decision is None:
        cache.let_go(plan.base)
    else:
        cache.hold(job.outlook.decision, plan.base)


def _clear_page_texts(p: Any) -> None:
    """Take out what the page shows for the first pass's own, as the page itself does.

    With a request's ``infotext`` the webui (1.8.0 to 1.10.1) fills these texts in and then fails on them.
    """
    for name, text in features.choices_of_hires_pass(p).items():
        if getattr(p, name) == text:
            setattr(p, name, None)


def _switch_hires_on(p: Any) -> None:
    off = not p.enable_hr
    filled = missing_hires_values(vars(p), page.hires_defaults(), switched_on=off)
    for name, value in filled.items():
        setattr(p, name, value)
    if off:
        p.enable_hr = True
        p.comment(
            f"Multipass switched Hires. fix on for this picture: upscaler {p.hr_upscaler}, "
            f"denoising strength {p.denoising_strength}."
        )


def _choose_second(p: Any, plan: Plan) -> None:
    stock = p.hr_checkpoint_name
    if stock and stock != "Use same checkpoint":
        chosen = sd_models.get_closet_checkpoint_match(stock)
        if chosen is None or chosen.filename != plan.second.filename:
            p.comment(
                f"The hires pass was made with {plan.second.name_for_extra}, chosen in Multipass; "
                f"the Hires checkpoint {stock!r} was not used."
            )
    # The webui validates and records it. Up to 1.7.0 every text is looked up as a name, so no swap has to be None.
    p.hr_checkpoint_name = checkpoints.alias_of(plan.second) if plan.swaps else None


def _aim_adetailer(p: Any, plan: Plan, follows: bool) -> adetailer.Detailer | None:
    """Point ADetailer's tabs at the plan's checkpoint and, if they follow, at what the hires pass is made with."""
    detailer = adetailer.find(p)
    if detailer is not None and plan.faces is not None:
        detailer.aim(plan.faces, plan.base)
    if detailer is not None and follows:
        detailer.follow(plan)
    return detailer
