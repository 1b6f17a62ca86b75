"""Giving back what is kept, when the user asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from lib_multipass.memory import freed
from lib_multipass.plan.names import Checkpoint, called
from lib_multipass.state import kept
from lib_multipass.webui import host
from lib_multipass.words import size_text


@dataclass(frozen=True)
class Released:
    """What was let go of, and what stays."""

    released: list[str]
    """Names of the checkpoints that were let go of."""
    bytes: int
    """What they took, estimated from their files' headers."""
    kept: list[str]
    """Names of the checkpoints that stay loaded, since the webui's own settings keep them."""
    passes: int = 0
    """Bytes of the passes and enlarged pictures of earlier jobs that were let go of; the API does not tell them."""

    def text(self) -> str:
        """A sentence for the page."""
        gone = [(", ".join(self.released), self.bytes)] if self.released else []
        gone += [("the passes of earlier jobs", self.passes)] if self.passes else []
        if not gone:
            return "Nothing was kept beyond the webui's own settings."
        return f"Released {' and '.join(f'{what}: {size_text(size)}' for what, size in gone)}."


def release() -> Released:
    """Return to what the user's own settings keep, once no job is running; later jobs start without a grudge.

    The selected checkpoint stays, since the next job will most likely want it.
    """
    with host.status.queue():
        before, passes = _loaded(), kept.stages.bytes
        kept.lacks.clear()
        kept.stages.clear()
        host.models.let_go(host.checkpoints.selected())
        freed.give_back()
        after = _loaded()
    gone = {file: info for file, info in before.items() if file not in after}
    names = {file: called(info, {**gone, **after}.values()) for file, info in {**gone, **after}.items()}
    size = sum(host.files.loaded_size(host.files.facts_of(info)) for info in gone.values())
    return Released([names[file] for file in gone], size, [names[file] for file in after], passes)


def _loaded() -> dict[str, Checkpoint]:
    infos = (model.sd_checkpoint_info for model in host.models.loaded())
    return {info.filename: info for info in infos}
