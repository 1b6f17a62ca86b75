import base64
import dataclasses
import io
from contextlib import closing
from functools import wraps
from typing import Any

import gradio as gr
import mini
from fastapi import FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from mini import events
from modules import errors, images, infotext_utils, processing, script_callbacks, scripts, sd_models, sd_vae, shared
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
    image.save(data, "PNG", pnginfo=about)
    return base64.b64encode(data.getvalue())


def _answering(endpoint):
    """Exceptions become JSON; `status_code` and `detail` are taken from the exception's own attributes."""

    @wraps(endpoint)
    def answer(*args, **kwargs):
        try:
            return endpoint(*args, **kwargs)
        except Exception as e:
            known = vars(e)
            if not isinstance(e, HTTPException):
                errors.report(f"a request failed: {type(e).__name__}: {e}", exc_info=True)
            content = {
                "error": type(e).__name__,
                "detail": known.get("detail", ""),
                "body": known.get("body", ""),
                "errors": str(e),
            }
            return JSONResponse(jsonable_encoder(content), known.get("status_code", 500))

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
            ("/sdapi/v1/skip", self.skip, "POST"),
            ("/sdapi/v1/options", self.get_config, "GET"),
            ("/sdapi/v1/options", self.set_config, "POST"),
            ("/sdapi/v1/cmd-flags", self.get_cmd_flags, "GET"),
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
        for runner, is_img2img in ((scripts.scripts_txt2img, False), (scripts.scripts_img2img, True)):
            if not runner.scripts:
                _build_outside_page(runner, is_img2img)
        self.default_script_arg_txt2img = self.init_default_script_args(scripts.scripts_txt2img)
        self.default_script_arg_img2img = self.init_default_script_args(scripts.scripts_img2img)

    def add_api_route(self, path: str, endpoint, **kwargs):
        self.app.add_api_route(path, _answering(endpoint), **kwargs)

    def init_default_script_args(self, script_runner):
        """The values that each ui(), called once more outside the page, starts with."""
        defaults = [0] + [None] * (max((script.args_to for script in script_runner.scripts), default=1) - 1)
        with gr.Blocks():
            for script in script_runner.scripts:
                if script.ui(script.is_img2img):
                    values = [control.value for control in script.ui(script.is_img2img)]
                    defaults[script.args_from : script.args_to] = values
        return defaults

    def init_script_args(
        self, request, default_script_args, selectable_scripts, selectable_idx, script_runner, *, input_script_args=None
    ):
        """Positional, over a shallow copy of the defaults; what is missing keeps its default."""
        script_args = default_script_args.copy()
        for i, value in (input_script_args or {}).items():
            script_args[i] = value
        for name, given in request.alwayson_scripts.items():
            script = next((one for one in script_runner.scripts if one.title().lower() == name.lower()), None)
            if script is None:
                raise HTTPException(status_code=422, detail=f"Script '{name}' not found")
            if not script.alwayson:
                raise HTTPException(status_code=422, detail=f"Script '{name}' is selectable, not always on")
            values = given.get("args", [])
            for i in range(min(script.args_to - script.args_from, len(values))):
                script_args[script.args_from + i] = values[i]
        return script_args

    def apply_infotext(self, request, tabname, *, script_runner=None, mentioned_script_args=None):
        """Fills what the request leaves open from its infotext; script arguments by their index."""
        if not request.infotext or tabname not in infotext_utils.paste_fields:
            return {}
        params = infotext_utils.parse_generation_parameters(request.infotext)
        indexes = {control: i for i, control in enumerate(script_runner.inputs)}
        for known in infotext_utils.paste_fields[tabname]["fields"]:
            value = known.function(params) if known.function else params.get(known.label)
            if isinstance(value, dict):  # an update for the page
                value = value.get("value")
            kind = type(getattr(known.component, "value", None))
            if value is None or kind is type(None):
                continue
            value = value if isinstance(value, kind) else kind(value)
            if known.api and known.api not in request.__fields_set__:
                setattr(request, known.api, value)
            if known.component in indexes:
                mentioned_script_args[indexes[known.component]] = value
        overrides = {key: value for _, key, value in infotext_utils.get_override_settings(params)}
        request.override_settings = {**overrides, **(request.override_settings or {})}
        return params

    def text2imgapi(self, txt2imgreq: _Txt2ImgRequest):
        return self._generate(
            txt2imgreq,
            "txt2img",
            processing.StableDiffusionProcessingTxt2Img,
            scripts.scripts_txt2img,
            self.default_script_arg_txt2img,
        )

    def img2imgapi(self, img2imgreq: _Img2ImgRequest):
        if not img2imgreq.init_images:
            raise HTTPException(status_code=404, detail="There is no image to start from")
        return self._generate(
            img2imgreq,
            "img2img",
            processing.StableDiffusionProcessingImg2Img,
            scripts.scripts_img2img,
            self.default_script_arg_img2img,
        )

    def _generate(self, request, tab, job, runner, defaults):
        """The job gets the request's own dictionary of overrides, and the answer echoes what became of it."""
        if request.script_name:
            raise HTTPException(status_code=422, detail=f"Script '{request.script_name}' not found")
        mentioned = {}
        self.apply_infotext(request, tab, script_runner=runner, mentioned_script_args=mentioned)
        script_args = self.init_script_args(request, defaults, None, None, runner, input_script_args=mentioned)
        fields = {name: value for name, value in vars(request).items() if name not in _for_api_only}
        fields.update(do_not_save_samples=not request.save_images, do_not_save_grid=True)
        with self.queue_lock, closing(job(**fields)) as p:
            p.is_api = True
            p.scripts, p.outpath_samples = runner, shared.opts.outdir_txt2img_samples
            if tab == "img2img":
                p.init_images = [infotext_utils.image_from_url_text(text) for text in request.init_images]
                request.init_images = None
            try:
                shared.state.begin(job=f"scripts_{tab}")
                p.script_args = tuple(script_args)
                processed = processing.process_images(p)
            finally:
                shared.state.end()
        pictures = [encode_pil_to_base64(image) for image in processed.images] if request.send_images else []
        return {"images": pictures, "parameters": vars(request), "info": processed.js()}

    def pnginfoapi(self, req: _PngInfoRequest):
        info, items = images.read_info_from_image(infotext_utils.image_from_url_text(req.image))
        params = infotext_utils.parse_generation_parameters(info or "")
        script_callbacks.infotext_pasted_callback(info or "", params)
        return {"info": info or "", "items": items, "parameters": params}

    def progressapi(self):
        state = shared.state
        progress = state.job_no / state.job_count if state.job_count > 0 else 0
        return {
            "progress": min(progress, 1),
            "eta_relative": 0,
            "state": state.dict(),
            "current_image": None,
            "textinfo": state.textinfo,
        }

    def interruptapi(self):
        shared.state.interrupt()
        return {}

    def skip(self):
        shared.state.skip()

    def get_config(self):
        return {key: shared.opts.data.get(key, shared.opts.data_labels[key].default) for key in _answered_options}

    def set_config(self, req: dict[str, Any]):
        chosen = req.get("sd_model_checkpoint")
        if chosen is not None and chosen not in sd_models.checkpoint_aliases:
            raise RuntimeError(f"model {chosen!r} not found")
        for key, value in req.items():
            shared.opts.set(key, value, is_api=True)
        shared.opts.save(shared.config_filename)

    def get_cmd_flags(self):
        return vars(shared.cmd_opts)

    def get_sd_models(self):
        return [
            {
                "title": info.title,
                "model_name": info.model_name,
                "hash": info.shorthash,
                "sha256": info.sha256,
                "filename": info.filename,
                "config": None,
            }
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
        return {
            "txt2img": [script.name for script in scripts.scripts_txt2img.scripts],
            "img2img": [script.name for script in scripts.scripts_img2img.scripts],
        }

    def get_script_info(self):
        runners = scripts.scripts_txt2img, scripts.scripts_img2img
        return [script.api_info for runner in runners for script in runner.scripts if script.api_info]


def _build_outside_page(runner, is_img2img):
    """Without a page, the scripts' places among the arguments are still decided by building their controls."""
    runner.initialize_scripts(is_img2img)
    with gr.Blocks():
        runner.prepare_ui()
        for section in ("sampler", "seed", "accordions"):
            runner.setup_ui_for_section(section)
        runner.setup_ui()
