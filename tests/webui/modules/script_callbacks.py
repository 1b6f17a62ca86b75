"""Callback lists. What a callback raises is not caught here; the host reports it and goes on."""

import sys
from collections import namedtuple
from functools import partial

ScriptCallback = namedtuple("ScriptCallback", "script callback name")
_CATEGORIES = (
    *("app_started", "model_loaded", "ui_settings", "script_unloaded", "before_ui", "cfg_denoiser"),
    "after_component",
)
_LAST_FIRST = ("script_unloaded", "before_ui")
callback_map = {f"callbacks_{category}": [] for category in _CATEGORIES}


def clear_callbacks():
    for callbacks in callback_map.values():
        callbacks.clear()


def _calling_file():
    frame = sys._getframe()  # inspect.stack() would read all the files, too slow for thousands of Reload UIs
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return frame.f_code.co_filename if frame is not None else "unknown file"


def _register(category, callback, *, name=None):
    callback_map[f"callbacks_{category}"].append(ScriptCallback(_calling_file(), callback, name or category))


def remove_current_script_callbacks():
    """Those that the calling file has registered."""
    file = _calling_file()
    for callbacks in callback_map.values():
        callbacks[:] = [known for known in callbacks if known.script != file]


def _run(category, *args, **kwargs):
    callbacks = callback_map[f"callbacks_{category}"]
    for known in callbacks[::-1] if category in _LAST_FIRST else callbacks[:]:
        known.callback(*args, **kwargs)


# on_<category>(callback, *, name=None) registers, <category>_callback(...) runs what is registered.
(
    on_app_started,
    on_model_loaded,
    on_ui_settings,
    on_script_unloaded,
    on_before_ui,
    on_cfg_denoiser,
    on_after_component,
) = (partial(_register, category) for category in _CATEGORIES)
(
    app_started_callback,
    model_loaded_callback,
    ui_settings_callback,
    script_unloaded_callback,
    before_ui_callback,
    cfg_denoiser_callback,
    after_component_callback,
) = (partial(_run, category) for category in _CATEGORIES)
