import base64
import io
import json
import re
import sys
from pathlib import Path

import gradio as gr
from modules import errors, shared
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
    """A button that pastes a text into a tab."""

    def __init__(self, paste_button, tabname, source_text_component=None):
        self.tabname = tabname
        self.paste_button, self.source_text_component = paste_button, source_text_component


class PasteField(tuple):
    """A pair for the page; the API reads the attributes."""

    def __new__(cls, component, target, *, api=None):
        return tuple.__new__(cls, (component, target))

    def __init__(self, component, target, *, api=None):
        is_function = callable(target)
        self.function, self.label = (target if is_function else None), (None if is_function else target)
        self.component, self.api = component, api


def reset():
    for known in (paste_fields, registered_param_bindings):
        known.clear()


def quote(text):
    return json.dumps(text, ensure_ascii=False) if set(str(text)) & set(",:\n") else text


def unquote(text):
    """A text in double quotes as JSON reads it, any other as it is."""
    if not re.fullmatch('".*"', text, re.DOTALL):
        return text
    return json.loads(text)


def image_from_url_text(filedata):
    """Base64, in a data URL or by itself."""
    return Image.open(io.BytesIO(base64.b64decode(filedata.split(";base64,")[-1])))


def add_paste_fields(tabname, init_img, fields, override_settings_component=None):
    fields[:] = [known if isinstance(known, PasteField) else PasteField(*known) for known in fields]
    paste_fields[tabname] = dict(  # noqa: C408  the parameters are the keys
        fields=fields, init_img=init_img, override_settings_component=override_settings_component
    )


def register_paste_params_button(binding: ParamBinding):
    registered_param_bindings.append(binding)


def connect_paste_params_buttons():
    for button in registered_param_bindings:
        target, source = paste_fields[button.tabname], button.source_text_component
        overrides = target["override_settings_component"]
        connect_paste(button.paste_button, target["fields"], source, overrides, button.tabname)


def parse_generation_parameters(x: str, skip_fields=None):
    """Prompt, negative prompt and a last line of pairs; a last line with fewer than three is prompt."""
    texts, _, last = x.strip().rpartition("\n")
    pairs = _parameter.findall(last)
    if len(pairs) < 3:
        texts, pairs = x.strip(), []
    found, current = {"Prompt": [], "Negative prompt": []}, "Prompt"
    for line in texts.split("\n"):
        text = line.strip()
        if text.startswith("Negative prompt:"):
            current, text = "Negative prompt", text.partition(":")[2].strip()
        found[current].append(text)
    found = {label: "\n".join(lines) for label, lines in found.items()}
    found = {**_missing, **_values(pairs), **found}
    return {label: value for label, value in found.items() if label not in (skip_fields or ())}


def _values(pairs):
    """A size becomes two numbers; what has no value is left out."""
    found = {}
    for key, text in pairs:
        value = unquote(text)
        size = _size.fullmatch(str(value))
        if size:
            found[f"{key}-1"], found[f"{key}-2"] = size.groups()
        elif text:
            found[key] = value
    return found


def _labelled():
    """Keys of the settings that an infotext may name, by their labels there."""
    return {option.infotext: key for key, option in shared.opts.data_labels.items() if option.infotext}


def create_override_settings_dict(text_pairs):
    """From "label: value" pairs to settings, cast to the type of each default."""
    split = (pair.partition(":") for pair in text_pairs or ())
    named, keys = {label: value.strip() for label, _, value in split}, _labelled()
    return {keys[label]: shared.opts.cast_value(keys[label], named[label]) for label in named if label in keys}


def get_override_settings(params, *, skip_fields=None):
    """Settings that differ from the ones in force; the checkpoint only if the user wants it taken over."""
    keys = _labelled()
    if shared.opts.disable_weights_auto_swap:
        del keys[shared.opts.data_labels["sd_model_checkpoint"].infotext]
    named = [label for label in keys if label in params and label not in (skip_fields or ())]
    found = [(label, keys[label], shared.opts.cast_value(keys[label], params[label])) for label in named]
    return [row for row in found if row[2] != getattr(shared.opts, row[1])]


def connect_paste(button, paste_fields, input_comp, override_settings_component, tabname):
    handled = {target for _, target in paste_fields if isinstance(target, str)}

    def overrides(params):
        rows = get_override_settings(params, skip_fields=handled)
        texts = [f"{label}: {value}" for label, _, value in rows]
        return gr.update(value=texts, choices=texts, visible=texts != [])

    rows = [*paste_fields, (override_settings_component, overrides)]

    def paste(prompt):
        """Without a text, the last job's."""
        file = Path(data_path) / "params.txt"
        text = file.read_text(encoding="utf8") if file.exists() and not prompt else prompt
        found = parse_generation_parameters(text)
        return [_pasted(component, target, found) for component, target in rows]

    button.click(paste, inputs=[input_comp], outputs=[component for component, _ in rows], show_progress=False)


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
