"""Looks at what the webui does and says while a case of the golden record is played."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any

OURS = re.compile(r"^\[Multipass] (.*)$", re.MULTILINE)


class Watch:
    """Looks at what the webui does while a job runs."""

    def __init__(self, host) -> None:
        from mini import events, painter

        self.host, self.events, self.painter = host, events, painter

    @contextlib.contextmanager
    def refusal(self, came: dict[str, Any], name: str = "refused") -> Iterator[None]:
        """Writes down what a job raises."""
        try:
            yield
        except Exception as error:
            came[name] = f"{type(error).__name__}: {error}"

    @contextlib.contextmanager
    def passes(self, patch: Any) -> Iterator[list[str]]:
        """A line for every text that is encoded and for every pass that is sampled."""
        seen: list[str] = []
        encode, walk = self.painter.TextEncoder.forward, self.host.sd_samplers._Sampler._walk

        def forward(encoder, prompts, clip_skip=1):
            name = encoder.owner().sd_checkpoint_info.name_for_extra
            seen.append(f"texts on {name}, clip skip {clip_skip}: {' | '.join(prompts)}")
            return encode(encoder, prompts, clip_skip)

        def sample(sampler, p, x, cond, uncond, steps, level):
            state, vae = self.host.shared.state, self.host.sd_vae.get_loaded_vae_name()
            active = self.host.sd_models.model_data.sd_model.sd_checkpoint_info.name_for_extra
            skip = self.host.shared.opts.CLIP_stop_at_last_layers
            seen.append(
                f"{tuple(x.shape)} on {active}, VAE {vae}, {sampler.name}, {steps} steps, CFG {p.cfg_scale}, "
                f"clip skip {skip}, shown {state.textinfo!r}, job {state.job!r}"
            )
            return walk(sampler, p, x, cond, uncond, steps, level)

        patch.setattr(self.painter.TextEncoder, "forward", forward)
        patch.setattr(self.host.sd_samplers._Sampler, "_walk", sample)
        yield seen

    def disturb(self, patch: Any, how: str) -> None:
        """The hires pass fails, or the job is interrupted when its first pass begins."""
        sampler = self.host.sd_samplers._Sampler
        first = sampler.sample

        def fails(*_args, **_kwargs):
            raise RuntimeError("the disk is gone")

        def interrupts(*args, **kwargs):
            self.host.shared.state.interrupt()
            return first(*args, **kwargs)

        where, what = ("sample_img2img", fails) if how == "fails" else ("sample", interrupts)
        patch.setattr(sampler, where, what)


@contextlib.contextmanager
def spoken() -> Iterator[Any]:
    """Gives a function for the lines that Multipass writes to the console meanwhile."""
    console = io.StringIO()
    with contextlib.redirect_stderr(console):
        yield lambda: OURS.findall(console.getvalue())
