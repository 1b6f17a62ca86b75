import re
import sys
from collections import namedtuple
from contextlib import nullcontext
from functools import partialmethod
from pathlib import Path
from unittest import mock

import gradio as gr
from modules import errors, paths, script_callbacks, script_loading

AlwaysVisible = object()
ScriptFile = namedtuple("ScriptFile", "basedir filename path")
ScriptClassData = namedtuple("ScriptClassData", "script_class path basedir module")

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
    infotext_fields = paste_field_names = None
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
    def postprocess(self, p, processed, *args): ...
    def before_hr(self, p, *args): ...
    def before_component(self, component, **kwargs): ...
    def after_component(self, component, **kwargs): ...

    def elem_id(self, item_id):
        """The tab is named only by a script that answers show() alike for both tabs."""
        on_both = len({self.show(is_img2img) for is_img2img in (True, False)}) == 1
        title = re.sub(r"\W", "", "_".join(self.title().lower().split()), flags=re.ASCII)
        return "_".join(["script", *([self.tabname] if on_both else []), title, item_id])


class ScriptBuiltinUI(Script):
    setup_for_ui_only = True

    def elem_id(self, item_id):
        return f"{self.tabname}_{item_id}"

    def show(self, is_img2img):
        return AlwaysVisible


def basedir():
    """The root of the extension whose script is being executed."""
    return current_basedir


def _roots():
    return [Path(paths.script_path), *sorted(root for root in Path(paths.extensions_dir).glob("*") if root.is_dir())]


def list_scripts(scriptdirname, extension, *, include_extensions=True):
    roots = _roots() if include_extensions else _roots()[:1]
    files = ((root, file) for root in roots for file in sorted(root.glob(f"{scriptdirname}/*{extension}")))
    return [ScriptFile(str(root), file.name, str(file)) for root, file in files]


def list_files_with_name(filename):
    return [str(root / filename) for root in _roots() if (root / filename).is_file()]


def load_scripts():
    """Executes every script file; its extension's root leads sys.path only while the file runs."""
    global scripts_txt2img, scripts_img2img
    del scripts_data[:]
    script_callbacks.clear_callbacks()
    builtin = list_scripts("modules/processing_scripts", ".py", include_extensions=False)
    for file in list_scripts("scripts", ".py") + builtin:
        with mock.patch(f"{__name__}.current_basedir", file.basedir):
            _load(file)
    scripts_txt2img, scripts_img2img = ScriptRunner(), ScriptRunner()


def _load(file):
    own = [file.basedir] if file.basedir != paths.script_path else []
    with mock.patch.object(sys, "path", own + sys.path):
        module = script_loading.load_module(file.path)
    kinds = [known for known in vars(module).values() if isinstance(known, type) and issubclass(known, Script)]
    scripts_data.extend(ScriptClassData(kind, file.path, file.basedir, module) for kind in kinds)


reload_scripts = load_scripts


class ScriptRunner:
    def __init__(self):
        self.scripts, self.selectable_scripts, self.alwayson_scripts = [], [], []
        self.infotext_fields, self.inputs = [], [None]

    def initialize_scripts(self, is_img2img):
        for known in (self.scripts, self.alwayson_scripts, self.selectable_scripts):
            known.clear()
        for data in scripts_data:
            script = data.script_class()
            script.is_img2img, script.is_txt2img, script.filename = is_img2img, not is_img2img, data.path
            script.tabname = ("txt2img", "img2img")[is_img2img]
            shown = script.show(is_img2img)
            script.alwayson = shown is AlwaysVisible
            kinds = (self.scripts, self.alwayson_scripts if script.alwayson else self.selectable_scripts)
            for known in kinds if shown else ():
                known.append(script)

    def create_script_ui(self, script):
        script.args_from = script.args_to = len(self.inputs)
        controls, file = script.ui(script.is_img2img) or [], Path(script.filename).name
        for control in controls:
            control.custom_script_source = file
        script.name, script.controls, script.api_info = script.title().lower(), controls, _described(script, controls)
        self.infotext_fields.extend(script.infotext_fields or ())
        self.inputs.extend(controls)
        script.args_to += len(controls)

    def setup_ui_for_section(self, section, scriptlist=None):
        """The scripts of a section, or these."""
        if scriptlist is None:
            scriptlist = [script for script in self.alwayson_scripts if script.section == section]
        for script in scriptlist:
            with gr.Group(visible=script.alwayson) if script.create_group else nullcontext():
                self.create_script_ui(script)

    def prepare_ui(self):
        self.inputs = [None]

    def setup_ui(self):
        self.setup_ui_for_section(None)
        titles = ["None", *(script.title() for script in self.selectable_scripts)]
        self.inputs[0] = gr.Dropdown(
            titles, label="Script", elem_id="script_list", value="None", type="index", visible=len(titles) > 1
        )
        self.setup_ui_for_section(None, self.selectable_scripts)
        return self.inputs

    def run(self, p, *args):
        """None: no selectable script was chosen, the caller processes the job itself."""
        chosen = [None, *self.selectable_scripts][args[0] or 0]
        return chosen and chosen.run(p, *args[chosen.args_from : chosen.args_to])

    def _call(self, hook, p, *extra, **kwargs):
        for script in [*self.alwayson_scripts]:
            if getattr(type(script), hook) is not getattr(Script, hook):
                self._call_one(script, hook, p, *extra, **kwargs)

    def _call_one(self, script, hook, p, *extra, **kwargs):
        """The arguments are cut out of p.script_args anew for each call, so a script sees an earlier one's."""
        try:
            own = p.script_args[script.args_from : script.args_to]
            getattr(script, hook)(p, *extra, *own, **kwargs)
        except Exception:
            errors.report(f"{script.filename} failed in {hook}", exc_info=True)

    def setup_scrips(self, p, *, is_ui=True):
        """Only the page has values for the webui's own controls."""
        ready = [script for script in self.alwayson_scripts if is_ui or not script.setup_for_ui_only]
        for script in ready:
            self._call_one(script, "setup", p)

    def postprocess_batch(self, p, images, **kwargs):
        self._call("postprocess_batch", p, **kwargs, images=images)

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
    before_hr = partialmethod(_call, "before_hr")

    def _component(self, moment, component, **kwargs):
        for script in self.scripts:
            getattr(script, moment)(component, **kwargs)

    before_component = partialmethod(_component, "before_component")
    after_component = partialmethod(_component, "after_component")


def _described(script, controls):
    """What /sdapi/v1/script-info tells about a script."""
    args = []
    for control in controls:
        kept = {name: getattr(control, name, None) for name in ("choices", "value", "step", "maximum", "minimum")}
        texts = [choice if isinstance(choice, str) else choice[0] for choice in kept["choices"] or ()]
        args.append({"label": control.label or "", **kept, "choices": texts or None})
    about = {"is_alwayson": script.alwayson, "is_img2img": script.is_img2img}
    return {"name": script.title().lower(), "args": args, **about}
