"""The two functions by which a job is refused, in a webui that may lack what undoes wrappers elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from modules import processing, script_callbacks


def install(extension: str, wrappers: Mapping[str, Callable], calls: Iterable, before_unload: Callable) -> None:
    """Wrap methods of the txt2img job, by their names, until the webui reloads its page."""
    job = processing.StableDiffusionProcessingTxt2Img
    own = {name: vars(job).get(name) for name in wrappers}  # an old webui's class inherits ``close``

    def undo() -> None:
        before_unload()
        for name, method in own.items():
            delattr(job, name) if method is None else setattr(job, name, method)

    for name, wrap in wrappers.items():
        setattr(job, name, wrap(getattr(job, name)))
    script_callbacks.on_script_unloaded(undo)
