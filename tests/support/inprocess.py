"""The miniature inside this process, so that hooks can be called one by one."""

from __future__ import annotations

import gc
import importlib
import sys
from contextlib import closing
from pathlib import Path

from fastapi import FastAPI

from support.as_before import modules_of_ours, of_ours
from support.webuis import MINIATURE, fill, miniatures


def start_miniature(data: Path) -> Host:
    """Import the miniature's modules into this process; once, since they keep their state.

    Whoever waits for a model's memory calls the collector, which looks through all of torch and gradio unless they are
    frozen; and torch's threads take longer to wait for each other than such small models take to compute.
    """
    fill(data, miniatures()[0], multipass=True, config={"disabled_extensions": []})
    sys.path.insert(0, str(MINIATURE))
    import mini
    import torch

    torch.set_num_threads(1)
    mini.arguments = ["--api", "--data-dir", str(data)]
    host = Host()
    host.initialize.initialize()
    host.build_page()
    host.start_app()
    gc.freeze()
    host.modules_before = modules_of_ours()
    host.before_any_job = of_ours(host.modules_before)
    return host


class Host:
    """The miniature's modules by name, and jobs built from them."""

    before_any_job: dict[str, str]
    """What our modules named then."""
    modules_before: set[str]
    """Those that were there; others come when a test asks for them."""

    def __getattr__(self, name: str):
        return importlib.import_module(f"modules.{name}")

    def build_page(self):
        build = importlib.import_module("modules.api.api")._build_outside_page
        build(self.scripts.scripts_txt2img, False)
        build(self.scripts.scripts_img2img, True)

    def start_app(self):
        """Tell the extensions that the webui is up."""
        self.script_callbacks.app_started_callback(None, FastAPI())

    def reload_ui(self):
        """What the webui does for "Reload UI"."""
        self.script_callbacks.script_unloaded_callback()
        self.initialize.initialize_rest(reload_script_modules=True)
        self.build_page()
        self.start_app()

    def script(self, title="Multipass"):
        return next(s for s in self.scripts.scripts_txt2img.alwayson_scripts if s.title() == title)

    def job(self, *args, faces=None, kind=tuple, **fields):
        """A txt2img job with these Multipass arguments, made as the page makes it."""
        runner = self.scripts.scripts_txt2img
        p = self.processing.StableDiffusionProcessingTxt2Img(
            **{"width": 64, "height": 64, "enable_hr": True, "denoising_strength": 0.6, "prompt": "a cat", **fields}
        )
        values = [0, *(component.value for component in runner.inputs[1:])]
        ours, detailer = self.script(), self.script("ADetailer")
        values[ours.args_from : ours.args_from + len(args)] = args
        if faces is not None:
            values[detailer.args_from] = True
            values[detailer.args_from + 2] = faces
        p.scripts = runner
        p.script_args = kind(values)  # the webui's own seed and sampler scripts set theirs here
        p.seed, p.steps = 5, 2
        return p

    def run(self, p):
        with closing(p):
            self.shared.state.begin(job="test")
            try:
                return self.processing.process_images(p)
            finally:
                self.shared.state.end()

    def tab(self, p):
        detailer = self.script("ADetailer")
        return p.script_args[detailer.args_from + 2]

    @property
    def loaded(self):
        return [model.sd_checkpoint_info.name_for_extra for model in self.sd_models.model_data.loaded_sd_models]

    @property
    def limit(self):
        return self.shared.opts.sd_checkpoints_limit
