import base64
import dataclasses
import io
from contextlib import closing
from functools import wraps
from typing import Any

import gradio as gr
import mini
from fastapi import FastAPI, HTTPException
from fastapi.responses import JSONResponse
from mini import events
from modules import errors, images, infotext_utils, processing, scripts, sd_models, sd_vae, shared
from modules.gradio_extensons import _without_app
from PIL import PngImagePlugin
from pydantic import create_model

_for_api_only = {
    "script_name": (str | None, None),
    "script_args": (list, []),
    "alwayson_scripts": (dict, {}),
    "send_images": (bool, True),
    "save_images": (bool, False),
    "infotext": (str | None, None),
}
# Known when this module is imported; what extensions register later is not answered.
_answered_options = [*shared.opts.data_labels]
_unsendable = {"sd_model", "firstpass_image", "comments", "outpath_samples", "outpath_grids", "mask"}


def _request_model(job, strength):
    known = {one.name: (one.type | None, one.default) for one in dataclasses.fields(job) if one.name not in _unsendable}
    known["denoising_strength"] = (float | None, strength)
    known["sampler_index"] = (str | None, None)
    return create_model(job.__name__, **known, **_for_api_only)


# Without a strength, a txt2img request has none: the base class' default, unlike the page's.
_Txt2ImgRequest = _request_model(processing.StableDiffusionProcessingTxt2Img, None)
_Img2ImgRequest = _request_model(processing.StableDiffusionProcessingImg2Img, 0.75)
_PngInfoRequest = create_model("PNGInfoRequest", image=(str, ...))


def encode_pil_to_base64(image):
    about, data = PngImagePlugin.PngInfo(), io.BytesIO()
    if isinstance(image.info.get("parameters"), str):
        about.add_text("parameters", image.info["parameters"])
    image.save(data, "PNG", pnginfo=about, compress_level=1)
    return base64.b64encode(data.getvalue())


def _answering(endpoint):
    """Exceptions become JSON; `status_code` and `detail` are taken from the exception's own attributes."""

    @wraps(endpoint)
    def answer(*args, **kwargs):
        try:
            return endpoint(*args, **kwargs)
        except Exception as e:
            if not isinstance(e, HTTPException):
                errors.report(f"a request failed: {type(e).__name__}: {e}", exc_info=True)
            told = {"errors": str(e), "error": type(e).__name__}
            told.update({name: vars(e).get(name, "") for name in ("body", "detail")})
            return JSONResponse(told, vars(e).get("status_code", 500))

    return answer


class Api:
    def __init__(self, app: FastAPI, queue_lock):
        self.app, self.queue_lock = app, queue_lock
        for path, endpoint, method in (
            ("/sdapi/v1/txt2img", self.text2imgapi, "POST"),
            ("/sdapi/v1/img2img", self.img2imgapi, "POST"),
            ("/sdapi/v1/png-info", self.pnginfoapi, "POST"),
            ("/sdapi/v1/progress", self.progressapi, "GET"),
            ("/sdapi/v1/interrupt", self.interruptapi, "POST"),
            ("/sdapi/v1/options", self.get_config, "GET"),
            ("/sdapi/v1/options", self.set_config, "POST"),
            ("/sdapi/v1/sd-models", self.get_sd_models, "GET"),
            ("/sdapi/v1/refresh-checkpoints", self.refresh_checkpoints, "POST"),
            ("/sdapi/v1/refresh-vae", self.refresh_vae, "POST"),
            ("/sdapi/v1/unload-checkpoint", self.unloadapi, "POST"),
            ("/sdapi/v1/reload-checkpoint", self.reloadapi, "POST"),
            ("/sdapi/v1/scripts", self.get_scripts_list, "GET"),
            ("/sdapi/v1/script-info", self.get_script_info, "GET"),
            ("/mini/events", lambda: events.story, "GET"),
            ("/mini/events", lambda: events.clear(), "DELETE"),
        ):
            self.add_api_route(path, endpoint, methods=[method])
        self.default_script_arg_txt2img = self.init_default_script_args(scripts.scripts_txt2img)
        self.default_script_arg_img2img = self.init_default_script_args(scripts.scripts_img2img)

    def add_api_route(self, path: str, endpoint, **kwargs):
        self.app.add_api_route(path, _answering(endpoint), **kwargs)

    def init_default_script_args(self, script_runner):
        """The values that each ui(), called outside the page, starts with."""
        found = [0]
        with _without_app(), gr.Blocks():
            for script in sorted(script_runner.scripts, key=lambda script: script.args_from):
                found += [control.value for control in script.ui(script.is_img2img) or ()]
        return found

    def init_script_args(
        self, request, default_script_args, selectable_scripts, selectable_idx, script_runner, *, input_script_args=None
    ):
        """Positional, over a shallow copy of the defaults; what is missing keeps its default."""
        places = {script.name: range(script.args_from, script.args_to) for script in script_runner.alwayson_scripts}
        chosen = dict(input_script_args or {})
        for name, given in request.alwayson_scripts.items():
            if name.lower() not in places:
                raise HTTPException(422, f"there is no script {name!r} that is always on")
            chosen.update(zip(places[name.lower()], given.get("args", ()), strict=False))
        return [chosen.get(place, default) for place, default in enumerate(default_script_args)]

    def apply_infotext(self, request, tabname, *, script_runner=None, mentioned_script_args=None):
        """Fills what the request leaves open from its infotext; script arguments by their index."""
        if not request.infotext or tabname not in infotext_utils.paste_fields:
            return {}
        found = infotext_utils.parse_generation_parameters(request.infotext)
        for field in infotext_utils.paste_fields[tabname]["fields"]:
            value = _named(field, found)
            if value is None:
                continue
            if field.api and field.api not in request.__fields_set__:
                setattr(request, field.api, value)
            if field.component in script_runner.inputs:
                mentioned_script_args[script_runner.inputs.index(field.component)] = value
        own = request.override_settings or {}
        request.override_settings = {key: value for _, key, value in infotext_utils.get_override_settings(found)} | own
        return found

    def text2imgapi(self, txt2imgreq: _Txt2ImgRequest):
        return self._answer(txt2imgreq, "txt2img", processing.StableDiffusionProcessingTxt2Img)

    def img2imgapi(self, img2imgreq: _Img2ImgRequest):
        pictures, img2imgreq.init_images = img2imgreq.init_images, None
        pictures = [*map(infotext_utils.image_from_url_text, pictures)]
        return self._answer(img2imgreq, "img2img", processing.StableDiffusionProcessingImg2Img, pictures)

    def _answer(self, request, tab, job, pictures=None):
        """The job gets the request's own dictionary of overrides, and the answer echoes what became of it."""
        runner, mentioned = getattr(scripts, f"scripts_{tab}"), {}
        self.apply_infotext(request, tab, script_runner=runner, mentioned_script_args=mentioned)
        defaults = getattr(self, f"default_script_arg_{tab}")
        args = self.init_script_args(request, defaults, None, None, runner, input_script_args=mentioned)
        fields = {name: value for name, value in vars(request).items() if name not in _for_api_only}
        fields.update({"init_images": pictures} if pictures else {})
        fields.update(do_not_save_samples=not request.save_images, do_not_save_grid=True)
        with self.queue_lock, closing(job(**fields)) as p:
            p.outpath_samples, p.is_api, p.scripts = shared.opts.outdir_txt2img_samples, True, runner
            shared.state.begin(job=f"scripts_{tab}")
            try:
                p.script_args = (*args,)
                made = processing.process_images(p)
            finally:
                shared.state.end()
        sent = made.images if request.send_images else []
        return {"info": made.js(), "parameters": vars(request), "images": [*map(encode_pil_to_base64, sent)]}

    def pnginfoapi(self, req: _PngInfoRequest):
        text, others = images.read_info_from_image(infotext_utils.image_from_url_text(req.image))
        read = infotext_utils.parse_generation_parameters(text or "")
        return {"parameters": read, "items": others, "info": text or ""}

    def progressapi(self):
        state, jobs = shared.state, max(shared.state.job_count, 1)
        about = {"state": state.dict(), "textinfo": state.textinfo}
        return {**about, "progress": min(state.job_no / jobs, 1), "eta_relative": 0, "current_image": None}

    def interruptapi(self):
        shared.state.interrupt()
        return {}

    def get_config(self):
        """What is stored, whatever an attribute shows at the moment."""
        stored, default = shared.opts.data, shared.opts.get_default
        return {key: stored.get(key, default(key)) for key in _answered_options}

    def set_config(self, req: dict[str, Any]):
        settings = shared.opts
        for key in req:
            settings.set(key, req[key], is_api=True)
        settings.save(shared.config_filename)

    def get_sd_models(self):
        names = ("filename", "model_name", "sha256", "title")
        return [
            {**{name: getattr(info, name) for name in names}, "hash": info.shorthash, "config": None}
            for info in sd_models.checkpoints_list.values()
        ]

    def refresh_checkpoints(self):
        with self.queue_lock:
            sd_models.list_models()

    def refresh_vae(self):
        sd_vae.refresh_vae_list()

    def unloadapi(self):
        sd_models.unload_model_weights()

    def reloadapi(self):
        if mini.old_host:
            sd_models.reload_model_weights()
        else:
            sd_models.send_model_to_device(shared.sd_model)

    def get_scripts_list(self):
        return {tab: [script.name for script in runner.scripts] for tab, runner in _runners().items()}

    def get_script_info(self):
        return [script.api_info for runner in _runners().values() for script in runner.scripts if script.api_info]


def _runners():
    return {"txt2img": scripts.scripts_txt2img, "img2img": scripts.scripts_img2img}


def _named(field, found):
    """The value that an infotext has for a field, as the page's component holds it; None if there is none."""
    value = field.function(found) if field.function else found.get(field.label)
    if isinstance(value, dict):  # an update for the page
        value = value.get("value")
    kind = type(getattr(field.component, "value", None))
    return None if value is None or kind is type(None) else value if isinstance(value, kind) else kind(value)


def _build_outside_page(runner, is_img2img):
    """Without a page, building their controls still decides the scripts' places among the arguments."""
    runner.initialize_scripts(is_img2img)
    with _without_app(), gr.Blocks():
        runner.prepare_ui()
        for section in ("sampler", "seed", "accordions"):
            runner.setup_ui_for_section(section)
        runner.setup_ui()
