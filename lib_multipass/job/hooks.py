"""A job from the webui's hooks: what is declared on it before anything is loaded, and its line at the end.

ADetailer calls the hooks of all scripts again in the middle of a job, on shallow copies of ``p``, and batch scripts
hand us copies that share their dicts. So nothing is restored here, and every dict and argument list is replaced
instead of changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lib_multipass.job import refusal
from lib_multipass.job.jobs import Job, end_running
from lib_multipass.passes.ahead import Ahead
from lib_multipass.passes.first_pass import FirstPass
from lib_multipass.passes.gauge import Gauge
from lib_multipass.plan import again, axes, hires, unshared
from lib_multipass.plan.args import PassArgs
from lib_multipass.plan.decide import Plan, decide
from lib_multipass.plan.roles import roles_of
from lib_multipass.state import kept, running
from lib_multipass.webui import host
from lib_multipass.words import MultipassError, log, reason_of

setup = refusal.watch_pieces


def before_process(p: Any, values: Sequence[Any]) -> None:
    """Declare two passes on ``p`` if Multipass is ticked, else leave it alone and let go of what is kept.

    The webui swallows exceptions of hooks and would go on with one checkpoint; a failure is kept for
    :func:`refusal.refuse` to raise where it counts.
    """
    if not host.features.is_txt2img(p) or getattr(p, "_ad_inner", False):
        return
    if running.job_around(p) is not None and running.job_of(p) is None:
        return  # a copy that was made inside the job
    end_running()
    refusal.begin_anew(p)
    try:
        args = axes.over(PassArgs.parse(values), getattr(p, "_multipass_axes", {}))
        if args.enabled:
            _run(p, args)
    except MultipassError as error:
        refusal.refuse(p, error.detail)
    except Exception as error:
        log.exception("the job could not be prepared")
        sentence = f"Multipass could not prepare the job: {type(error).__name__}: {reason_of(error)}"
        refusal.refuse(p, sentence)
    else:
        if not args.enabled:
            _let_go(p)


def _run(p: Any, args: PassArgs) -> None:
    """Resolve, gather, decide, declare, run; a job that cannot begin is over at once."""
    files = host.vaes.names(), host.vaes.module_names()
    args = hires.with_theirs(args, vars(p), files[1])
    roles = roles_of(args, host.checkpoints.base_of(p), host.checkpoints.known(), *files)
    plan, asked = decide(roles, host.gathering.of_job(p, roles)), dict(vars(p))
    host.checkpoints.settle(p, plan.base)
    _declare(p, plan)
    job = Job(p, plan)
    job.journal.asked = again.asked(asked, roles)
    try:
        job.begin(p)
        kept.has_swapped = True
        if plan.decision is None:
            host.models.let_go(plan.base)
        else:
            host.models.keep(plan.decision, plan.base)
    except Exception as error:
        job.end(error)
        raise


def _declare(p: Any, plan: Plan) -> None:
    for name, value in plan.fields.items():
        setattr(p, name, value)
    if plan.tabs is not None:
        host.adetailer.replace(p, plan.tabs)
    for comment in plan.comments:
        p.comment(comment)


def _let_go(p: Any) -> None:
    try:
        host.pass_vae.forget()
        host.models.let_go(host.checkpoints.first_of(p))
    except Exception:
        # An unticked job runs as without the extension, whatever happens here.
        log.exception("the kept checkpoints could not be let go of")


def read_ahead(p: Any) -> None:
    """A pass is about to sample: read what comes next meanwhile."""
    ahead = running.part_of(p, Ahead)
    if ahead is not None:
        ahead.read()


def postprocess(p: Any, processed: Any) -> None:
    """Write the job's line; ADetailer's early calls come with a copy of ``p`` and are not the end."""
    job = running.job_of(p)
    if job is None:
        return
    missing = _missing(p, processed)
    first, gauge = running.part(FirstPass), running.part(Gauge)
    if first is not None:
        first.add_to(processed)
    if gauge is not None:
        gauge.read(missing)
    job.end()
    job.journal.close()
    job.journal.asked = again.with_seed(job.journal.asked, p.all_seeds)
    kept.last = job.journal
    log.info(job.journal.line(job.plan.forecast))
    _tell_of_shares(p, processed, job.plan)


def _tell_of_shares(p: Any, processed: Any, plan: Plan) -> None:
    try:
        comment = unshared.comment(host.shares.made_without(p), plan.not_shared)
    except Exception:
        # It is another extension that is looked into.
        log.exception("it could not be told who made which pictures")
        return
    if comment:
        p.comment(comment)
        processed.comments += f"{comment}\n"  # the webui has written it already


def _missing(p: Any, processed: Any) -> int:
    """How many pictures of a job that nobody ended are not there."""
    if host.status.is_interrupted() or host.status.is_stopping():
        return 0
    return p.n_iter * p.batch_size - (len(processed.images) - processed.index_of_first_image)
