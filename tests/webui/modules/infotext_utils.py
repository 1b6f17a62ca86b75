import base64
import io
import json
import re
import sys
from pathlib import Path

import gradio as gr
from modules import errors, script_callbacks, shared
from modules.paths import data_path
from PIL import Image

sys.modules["modules.generation_parameters_copypaste"] = sys.modules[__name__]  # the name in older hosts

paste_fields = {}
registered_param_bindings = []
_parameter = re.compile(r"""\s* (\w [\w /-]+) : \s* ( "(?:[^"\\]|\\.)+" | [^,]* ) (?: , | $ )""", re.VERBOSE)
_size = re.compile("([0-9]+)x([0-9]+)")
_missing = {
    "Clip skip": "1",
    "Hires resize-1": 0,
    "Hires resize-2": 0,
    "Hires sampler": "Use same sampler",
    "Hires checkpoint": "Use same checkpoint",
    "Hires prompt": "",
    "Hires negative prompt": "",
}


class ParamBinding:
    def __init__(
        self,
        paste_button,
        tabname,
        source_text_component=None,
        source_image_component=None,
        source_tabname=None,
        override_settings_component=None,
        paste_field_names=None,
    ):
        self.paste_button, self.tabname = paste_button, tabname
        self.source_text_component = source_text_component
        self.override_settings_component = override_settings_component


class PasteField(tuple):
    def __new__(cls, component, target, *, api=None):
        return super().__new__(cls, (component, target))

    def __init__(self, component, target, *, api=None):
        self.api, self.component = api, component
        self.function, self.label = (target, None) if callable(target) else (None, target)


def reset():
    paste_fields.clear()
    registered_param_bindings.clear()


def quote(text):
    return json.dumps(text, ensure_ascii=False) if re.search("[,\n:]", str(text)) else text


def unquote(text):
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def image_from_url_text(filedata):
    """A picture of the gallery: base64 in a data URL, or a dictionary that names a file."""
    if isinstance(filedata, dict):
        return Image.open(filedata["name"].split("?")[0])
    return Image.open(io.BytesIO(base64.b64decode(filedata.split(";base64,")[-1])))


def add_paste_fields(tabname, init_img, fields, override_settings_component=None):
    fields[:] = [known if isinstance(known, PasteField) else PasteField(*known) for known in fields]
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": fields,
        "override_settings_component": override_settings_component,
    }


def register_paste_params_button(binding: ParamBinding):
    registered_param_bindings.append(binding)


def connect_paste_params_buttons():
    for binding in registered_param_bindings:
        known = paste_fields[binding.tabname]
        overrides = binding.override_settings_component or known["override_settings_component"]
        connect_paste(binding.paste_button, known["fields"], binding.source_text_component, overrides, binding.tabname)


def parse_generation_parameters(x: str, skip_fields=None):
    """Prompt, negative prompt and a last line of pairs; a last line with fewer than three is prompt."""
    *lines, last = x.strip().split("\n")
    if len(_parameter.findall(last)) < 3:
        lines, last = [*lines, last], ""
    prompt, negative, current = [], [], None
    for line in map(str.strip, lines):
        if line.startswith("Negative prompt:"):
            current, line = negative, line.removeprefix("Negative prompt:").strip()
        (prompt if current is None else current).append(line)
    known = {}
    for key, value in _parameter.findall(last):
        if not value:
            print(f"an empty value for {key}")
            continue
        value = unquote(value)
        size = _size.fullmatch(value) if isinstance(value, str) else None
        known.update({f"{key}-1": size[1], f"{key}-2": size[2]} if size else {key: value})
    known.update({"Prompt": "\n".join(prompt), "Negative prompt": "\n".join(negative)})
    known = {**_missing, **known}
    for key in skip_fields or []:
        known.pop(key, None)
    return known


def create_override_settings_dict(text_pairs):
    """From "label: value" pairs to settings, cast to the type of each default."""
    pairs = dict(pair.split(":", maxsplit=1) for pair in text_pairs or [])
    labels = {info.infotext: key for key, info in shared.opts.data_labels.items() if info.infotext}
    return {
        labels[label]: shared.opts.cast_value(labels[label], value.strip())
        for label, value in pairs.items()
        if label in labels
    }


def get_override_settings(params, *, skip_fields=None):
    found = []
    for key, info in shared.opts.data_labels.items():
        if not info.infotext or info.infotext not in params or info.infotext in (skip_fields or {}):
            continue
        if key == "sd_model_checkpoint" and shared.opts.disable_weights_auto_swap:
            continue
        value = shared.opts.cast_value(key, params[info.infotext])
        if value != getattr(shared.opts, key):
            found.append((info.infotext, key, value))
    return found


def connect_paste(button, paste_fields, input_comp, override_settings_component, tabname):
    fields = list(paste_fields)
    if override_settings_component is not None:
        handled = {key for _, key in fields if isinstance(key, str)}

        def overrides(params):
            pairs = [f"{label}: {value}" for label, _, value in get_override_settings(params, skip_fields=handled)]
            return gr.update(value=pairs, choices=pairs, visible=bool(pairs))

        fields.append((override_settings_component, overrides))

    def paste(prompt):
        last = Path(data_path) / "params.txt"
        if not prompt and last.exists():
            prompt = last.read_text(encoding="utf8")
        params = parse_generation_parameters(prompt)
        script_callbacks.infotext_pasted_callback(prompt, params)
        return [_pasted(component, key, params) for component, key in fields]

    button.click(paste, [input_comp], [component for component, _ in fields], show_progress=False)


def _pasted(component, key, params):
    """The update for one field: cast to the type of the component's start value, none for what is missing."""
    try:
        value = key(params) if callable(key) else params.get(key)
        if value is None or (isinstance(value, dict) and "__type__" in value):
            return gr.update() if value is None else value
        kind = type(component.value)
        if kind is bool and value == "False":
            return gr.update(value=False)
        return gr.update(value=float(value) if kind is int else kind(value))
    except Exception as e:
        if callable(key):
            errors.display(e, f"pasting {key}")
        return gr.update()
