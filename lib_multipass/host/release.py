"""Giving back what is kept, when the user asks for it."""

from __future__ import annotations

from dataclasses import dataclass

from modules import call_queue, sd_models

from lib_multipass.host import cache, files, keeping
from lib_multipass.wording import size_text


@dataclass(frozen=True)
class Released:
    """What was let go of, and what stays."""

    released: list[str]
    """Names of the checkpoints that were let go of."""
    bytes: int
    """What they took, estimated from their files' headers."""
    kept: list[str]
    """Names of the checkpoints that stay loaded, since the webui's own settings keep them."""

    def text(self) -> str:
        """A sentence for the page."""
        if not self.released:
            return "Nothing was kept beyond the webui's own settings."
        return f"Released {', '.join(self.released)}: {size_text(self.bytes)}."


def release() -> Released:
    """Return to what the user's own settings keep, once no job is running; later jobs start without a grudge.

    The selected checkpoint stays, since the next job will most likely want it.
    """
    with call_queue.queue_lock:
        before = _loaded()
        keeping.forget()
        cache.let_go(sd_models.select_checkpoint())
        after = _loaded()
    gone = [name for name in before if name not in after]
    return Released(gone, sum(before[name] for name in gone), list(after))


def _loaded() -> dict[str, int]:
    infos = [model.sd_checkpoint_info for model in sd_models.model_data.loaded_sd_models]
    return {info.name_for_extra: files.loaded_size(files.facts_of(info)) for info in infos}
