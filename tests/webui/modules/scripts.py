import re
import sys
from collections import namedtuple
from functools import partialmethod
from pathlib import Path

import gradio as gr
from modules import errors, paths, script_callbacks, script_loading

AlwaysVisible = object()
OnComponent = namedtuple("OnComponent", ["component"])
ScriptFile = namedtuple("ScriptFile", ["basedir", "filename", "path"])
ScriptClassData = namedtuple("ScriptClassData", ["script_class", "path", "basedir", "module"])

scripts_data = []
scripts_txt2img = scripts_img2img = scripts_current = None
current_basedir = paths.script_path


class PostprocessImageArgs:
    def __init__(self, image):
        self.image = image


class PostprocessBatchListArgs:
    def __init__(self, images):
        self.images = images


class PostSampleArgs:
    def __init__(self, samples):
        self.samples = samples


class Script:
    name = section = filename = args_from = args_to = tabname = group = controls = api_info = None
    infotext_fields = paste_field_names = on_before_component_elem_id = on_after_component_elem_id = None
    alwayson = is_txt2img = is_img2img = setup_for_ui_only = False
    create_group = True

    def title(self):
        raise NotImplementedError

    def show(self, is_img2img):
        return True

    def ui(self, is_img2img): ...
    def run(self, p, *args): ...
    def setup(self, p, *args): ...
    def before_process(self, p, *args): ...
    def process(self, p, *args): ...
    def before_process_batch(self, p, *args, **kwargs): ...
    def after_extra_networks_activate(self, p, *args, **kwargs): ...
    def process_before_every_sampling(self, p, *args, **kwargs): ...
    def process_batch(self, p, *args, **kwargs): ...
    def postprocess_batch(self, p, *args, **kwargs): ...
    def postprocess_batch_list(self, p, pp: PostprocessBatchListArgs, *args, **kwargs): ...
    def post_sample(self, p, ps: PostSampleArgs, *args): ...
    def postprocess_image(self, p, pp: PostprocessImageArgs, *args): ...
    def postprocess_image_after_composite(self, p, pp: PostprocessImageArgs, *args): ...
    def postprocess(self, p, processed, *args): ...
    def before_hr(self, p, *args): ...
    def before_component(self, component, **kwargs): ...
    def after_component(self, component, **kwargs): ...

    def on_before_component(self, callback, *, elem_id):
        self.on_before_component_elem_id = [*(self.on_before_component_elem_id or []), (elem_id, callback)]

    def on_after_component(self, callback, *, elem_id):
        self.on_after_component_elem_id = [*(self.on_after_component_elem_id or []), (elem_id, callback)]

    def elem_id(self, item_id):
        """The tab is named only by a script that answers show() alike for both tabs."""
        tab = ("img2img_" if self.is_img2img else "txt2img_") if self.show(True) == self.show(False) else ""
        title = re.sub(r"\W", "", "_".join(self.title().lower().split()), flags=re.ASCII)
        return f"script_{tab}{title}_{item_id}"


class ScriptBuiltinUI(Script):
    setup_for_ui_only = True

    def elem_id(self, item_id):
        return f"{self.tabname}_{item_id}" if self.show(True) == self.show(False) else item_id

    def show(self, is_img2img):
        return AlwaysVisible


def basedir():
    """The root of the extension whose script is being executed."""
    return current_basedir


def list_scripts(scriptdirname, extension, *, include_extensions=True):
    roots = [Path(paths.script_path)]
    if include_extensions:
        roots += sorted(folder for folder in Path(paths.extensions_dir).glob("*") if folder.is_dir())
    found = [(root, path) for root in roots for path in sorted((root / scriptdirname).glob(f"*{extension}"))]
    return [ScriptFile(str(root), path.name, str(path)) for root, path in found]


def list_files_with_name(filename):
    roots = [Path(paths.script_path), *sorted(Path(paths.extensions_dir).glob("*"))]
    return [str(root / filename) for root in roots if (root / filename).is_file()]


def load_scripts():
    """Executes every script file; its extension's root leads sys.path only while the file runs."""
    global current_basedir, scripts_txt2img, scripts_img2img
    scripts_data.clear()
    script_callbacks.clear_callbacks()
    builtin = list_scripts("modules/processing_scripts", ".py", include_extensions=False)
    for file in list_scripts("scripts", ".py") + builtin:
        before = sys.path
        try:
            if file.basedir != paths.script_path:
                sys.path = [file.basedir, *sys.path]
            current_basedir = file.basedir
            module = script_loading.load_module(file.path)
            known = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, Script)]
            scripts_data.extend(ScriptClassData(one, file.path, file.basedir, module) for one in known)
        except Exception:
            errors.report(f"{file.path} could not be loaded", exc_info=True)
        finally:
            sys.path, current_basedir = before, paths.script_path
    scripts_txt2img, scripts_img2img = ScriptRunner(), ScriptRunner()


def reload_scripts():
    load_scripts()


class ScriptRunner:
    def __init__(self):
        self.scripts, self.selectable_scripts, self.alwayson_scripts = [], [], []
        self.titles, self.title_map, self.infotext_fields, self.paste_field_names = [], {}, [], []
        self.inputs = [None]

    def initialize_scripts(self, is_img2img):
        for known in (self.scripts, self.alwayson_scripts, self.selectable_scripts):
            known.clear()
        for data in scripts_data:
            try:
                script = data.script_class()
            except Exception:
                errors.report(f"{data.path} could not be set up", exc_info=True)
                continue
            script.filename, script.is_txt2img, script.is_img2img = data.path, not is_img2img, is_img2img
            script.tabname = "img2img" if is_img2img else "txt2img"
            visibility = script.show(is_img2img)
            script.alwayson = visibility == AlwaysVisible
            if visibility:
                self.scripts.append(script)
                (self.alwayson_scripts if script.alwayson else self.selectable_scripts).append(script)

    def create_script_ui(self, script):
        script.args_from = script.args_to = len(self.inputs)
        try:
            controls = script.controls = script.ui(script.is_img2img)
            if controls is None:
                return
            for control in controls:
                control.custom_script_source = Path(script.filename).name
            script.name = script.title().lower()
            script.api_info = {
                "name": script.name,
                "is_alwayson": script.alwayson,
                "is_img2img": script.is_img2img,
                "args": [_describe(control) for control in controls],
            }
            self.infotext_fields += script.infotext_fields or []
            self.paste_field_names += script.paste_field_names or []
            self.inputs += controls
            script.args_to = len(self.inputs)
        except Exception:
            errors.report(f"{script.filename} failed in ui", exc_info=True)

    def setup_ui_for_section(self, section, scriptlist=None):
        for script in self.alwayson_scripts if scriptlist is None else scriptlist:
            if script.alwayson and script.section != section:
                continue
            if not script.create_group:
                self.create_script_ui(script)
                continue
            with gr.Group(visible=script.alwayson) as script.group:
                self.create_script_ui(script)

    def prepare_ui(self):
        self.inputs = [None]

    def setup_ui(self):
        self.title_map = {script.title().lower(): script for script in self.scripts}
        self.titles = [script.title() for script in self.selectable_scripts]
        self.setup_ui_for_section(None)
        self.inputs[0] = gr.Dropdown(
            ["None", *self.titles],
            value="None",
            type="index",
            label="Script",
            elem_id="script_list",
            visible=bool(self.titles),
        )
        self.setup_ui_for_section(None, self.selectable_scripts)
        return self.inputs

    def script(self, title):
        return self.title_map.get(title.lower())

    def run(self, p, *args):
        """None: no selectable script was chosen, the caller processes the job itself."""
        if not args[0]:
            return None
        script = self.selectable_scripts[args[0] - 1]
        return script.run(p, *args[script.args_from : script.args_to])

    def _call(self, hook, p, *extra, **kwargs):
        """The arguments are cut out of p.script_args anew for each call, so a script sees an earlier one's."""
        for script in list(self.alwayson_scripts):
            if getattr(type(script), hook) is getattr(Script, hook):
                continue
            try:
                args = p.script_args[script.args_from : script.args_to]
                getattr(script, hook)(p, *extra, *args, **kwargs)
            except Exception:
                errors.report(f"{script.filename} failed in {hook}", exc_info=True)

    def setup_scrips(self, p, *, is_ui=True):
        for script in self.alwayson_scripts:
            if not is_ui and script.setup_for_ui_only:
                continue
            try:
                script.setup(p, *p.script_args[script.args_from : script.args_to])
            except Exception:
                errors.report(f"{script.filename} failed in setup", exc_info=True)

    def postprocess_batch(self, p, images, **kwargs):
        self._call("postprocess_batch", p, images=images, **kwargs)

    before_process = partialmethod(_call, "before_process")
    process = partialmethod(_call, "process")
    process_before_every_sampling = partialmethod(_call, "process_before_every_sampling")
    before_process_batch = partialmethod(_call, "before_process_batch")
    after_extra_networks_activate = partialmethod(_call, "after_extra_networks_activate")
    process_batch = partialmethod(_call, "process_batch")
    postprocess = partialmethod(_call, "postprocess")
    postprocess_batch_list = partialmethod(_call, "postprocess_batch_list")
    post_sample = partialmethod(_call, "post_sample")
    postprocess_image = partialmethod(_call, "postprocess_image")
    postprocess_image_after_composite = partialmethod(_call, "postprocess_image_after_composite")
    before_hr = partialmethod(_call, "before_hr")

    def _component(self, moment, component, **kwargs):
        for script in self.scripts:
            try:
                getattr(script, f"{moment}_component")(component, **kwargs)
                for elem_id, callback in getattr(script, f"on_{moment}_component_elem_id") or []:
                    if elem_id == kwargs.get("elem_id"):
                        callback(OnComponent(component))
            except Exception:
                errors.report(f"{script.filename} failed in {moment}_component", exc_info=True)

    before_component = partialmethod(_component, "before")
    after_component = partialmethod(_component, "after")


def _describe(control):
    """What /sdapi/v1/script-info tells about one argument."""
    known = {name: getattr(control, name, None) for name in ("value", "minimum", "maximum", "step", "choices")}
    if known["choices"]:
        known["choices"] = [choice[0] if isinstance(choice, tuple) else choice for choice in known["choices"]]
    return {"label": control.label or "", **known}
