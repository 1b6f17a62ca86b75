import sys
from copy import copy
from pathlib import Path

import gradio as gr
from adetailer import ADETAILER, __version__
from adetailer.args import ADetailerArgs
from modules import paths, script_callbacks, scripts, sd_models, sd_vae, shared
from modules.processing import Processed, StableDiffusionProcessingImg2Img, process_images
from modules.ui_components import InputAccordion
from PIL import Image, ImageDraw

FACE = 0.33, 0.26, 0.67, 0.76  # left, top, right, bottom, as parts of the picture
DETECTORS = ["face_yolov8n.pt"]
LET_THROUGH = "dynamic_prompting,dynamic_thresholding,lora_block_weight,negpip,wildcard_recursive,wildcards"


def suffix(n):
    return "" if n == 0 else f" {n + 1}{'nd' if n == 1 else 'rd' if n == 2 else 'th'}"


class AfterDetailerScript(scripts.Script):
    def title(self):
        return ADETAILER

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def ui(self, is_img2img):
        states, fields = [], []
        with InputAccordion(False, label=ADETAILER, elem_id=self.elem_id("ad_main_accordion")) as enable:
            skip = gr.Checkbox(False, label="Skip img2img", visible=is_img2img)
            for n in range(shared.opts.data.get("ad_max_models", 2)):
                with gr.Tab(f"Tab {n + 1}"):
                    states.append(self._tab(n, fields))
        self.infotext_fields = [(enable, "ADetailer enable"), (skip, "ADetailer skip img2img"), *fields]
        return [enable, skip, *states]

    def _tab(self, n, fields):
        names = ["Use same checkpoint", *sd_models.checkpoint_tiles(use_short=True)]
        detectors = [*DETECTORS, "None"] if n == 0 else ["None", *DETECTORS]
        rows = (
            ("ad_model", gr.Dropdown, "detector", {"choices": detectors}),
            ("ad_denoising_strength", gr.Slider, "denoising strength", {"minimum": 0, "maximum": 1, "value": 0.4}),
            ("ad_use_checkpoint", gr.Checkbox, "use separate checkpoint", {"value": False}),
            ("ad_checkpoint", gr.Dropdown, "checkpoint", {"choices": names}),
            ("ad_use_vae", gr.Checkbox, "use separate VAE", {"value": False}),
            ("ad_vae", gr.Dropdown, "VAE", {"choices": ["Use same VAE", "Automatic", "None", *sd_vae.vae_dict]}),
        )
        widgets = {}
        with gr.Row():
            for name, kind, label, more in rows:
                more.setdefault("value", more.get("choices", [None])[0])
                elem_id = self.elem_id(f"{name}{suffix(n).replace(' ', '_')}")
                widgets[name] = kind(label=f"ADetailer {label}{suffix(n)}", elem_id=elem_id, **more)
        starts = {name: field.default for name, field in ADetailerArgs.__fields__.items() if name != "is_api"}
        state = gr.State({**starts, **{name: widget.value for name, widget in widgets.items()}})
        for name, widget in widgets.items():
            widget.change(
                lambda known, value, name=name: {**known, name: value, "is_api": ()},
                [state, widget],
                [state],
                queue=False,
                show_progress=False,
            )
            label = "model" if name == "ad_model" else widget.label.removeprefix("ADetailer ").removesuffix(suffix(n))
            fields.append((widget, f"ADetailer {label}{suffix(n)}"))
        return state

    def _tabs(self, p, args):
        """The valid ones; what an X/Y/Z axis left on the job goes to the first."""
        found = []
        for n, given in enumerate(given for given in args if isinstance(given, dict)):
            try:
                found.append(ADetailerArgs(**{**given, **(getattr(p, "_ad_xyz", {}) if n == 0 else {})}))
            except ValueError as e:
                print(f"[-] ADetailer: ValidationError in tab {n + 1}: {e}", given, file=sys.stderr)
        return found

    def _enabled(self, p, args):
        switch = args[0] if args and isinstance(args[0], bool) else True
        off = getattr(p, "_ad_disabled", False) or not switch
        return not off and any(not tab.need_skip() for tab in self._tabs(p, args))

    def process(self, p, *args):
        if not self._enabled(p, args):
            p._ad_disabled = True
            return
        for n, tab in enumerate(self._tabs(p, args)):
            p.extra_generation_params.update(tab.extra_params(suffix(n)))
        p.extra_generation_params["ADetailer version"] = __version__

    def postprocess_image(self, p, pp, *args):
        """Before the first picture of a batch every script's postprocess runs, after the last one
        before_process and process run again, on a shallow copy of the job: ADetailer does so.
        """
        if not self._enabled(p, args):
            return
        params = Path(paths.data_path) / "params.txt"
        before = params.read_text(encoding="utf8")
        if p.batch_index == 0:
            p.scripts.postprocess(copy(p), Processed(p, [], p.seed, ""))
        for n, tab in enumerate(self._tabs(p, args)):
            if not tab.need_skip() and not (shared.state.interrupted or shared.state.skipped):
                pp.image = self._repaint(p, tab, pp.image, n)
        if p.batch_index == p.batch_size - 1:
            again = copy(p)
            p.scripts.before_process(again)
            p.scripts.process(again)
        params.write_text(before, encoding="utf8")

    def _repaint(self, p, tab, picture, n):
        i = p.iteration * p.batch_size + p.batch_index
        known = p.extra_generation_params
        inner = StableDiffusionProcessingImg2Img(
            init_images=[picture],
            denoising_strength=tab.ad_denoising_strength,
            mask_blur=tab.ad_mask_blur,
            inpainting_fill=1,
            inpaint_full_res=tab.ad_inpaint_only_masked,
            inpaint_full_res_padding=tab.ad_inpaint_only_masked_padding,
            prompt=tab.ad_prompt or p.all_prompts[i],
            negative_prompt=tab.ad_negative_prompt or p.all_negative_prompts[i],
            seed=p.all_seeds[i],
            subseed=p.all_subseeds[i],
            sampler_name=p.sampler_name,
            cfg_scale=p.cfg_scale,
            width=p.width,
            height=p.height,
            steps=tab.ad_steps if tab.ad_use_steps else p.steps,
            tiling=p.tiling,
            do_not_save_samples=True,
            extra_generation_params={key: value for key, value in known.items() if not callable(value)},
            do_not_save_grid=True,
            override_settings=self._overrides(tab),
        )
        inner.cached_c, inner.cached_uc = [None, None], [None, None]
        inner.scripts, inner.script_args = self._filtered(p)
        inner._ad_disabled = inner._ad_inner = True
        inner.image_mask = Image.new("L", picture.size)
        sides = [part * picture.size[side % 2] for side, part in enumerate(FACE)]
        ImageDraw.Draw(inner.image_mask).ellipse(sides, fill=255)
        shared.state.job_count += 1
        try:
            processed = process_images(inner)
        finally:
            inner.close()
        return processed.images[0] if processed.images else picture

    def _overrides(self, tab):
        overrides = {}
        if tab.ad_use_checkpoint and tab.ad_checkpoint not in (None, "", "None", "Use same checkpoint"):
            overrides["sd_model_checkpoint"] = tab.ad_checkpoint
        if tab.ad_use_vae and tab.ad_vae not in (None, "", "None", "Use same VAE"):
            overrides["sd_vae"] = tab.ad_vae
        return overrides

    def _filtered(self, p):
        """A runner with the let-through scripts only, known by their file's stem, unless the user wants all."""
        runner, args = copy(p.scripts), type(p.script_args)(copy(value) for value in p.script_args)
        if shared.opts.data.get("ad_only_selected_scripts", True):
            stems = shared.opts.data.get("ad_script_names", LET_THROUGH).split(",")
            stems = {stem.strip() for stem in stems} | {"hypertile_script", "soft_inpainting"}
            runner.alwayson_scripts = [
                script for script in runner.alwayson_scripts if Path(script.filename).stem in stems
            ]
        return runner, args


def on_ui_settings():
    section = ("ADetailer", ADETAILER)
    for name, default, label in (
        ("ad_max_models", 2, "Max tabs"),
        ("ad_script_names", LET_THROUGH, "Script names"),
        ("ad_only_selected_scripts", True, "Apply only selected scripts to ADetailer"),
    ):
        shared.opts.add_option(name, shared.OptionInfo(default, label, section=section))


script_callbacks.on_ui_settings(on_ui_settings)
