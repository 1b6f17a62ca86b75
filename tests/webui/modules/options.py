import json
from pathlib import Path

import mini
from modules import errors
from modules.shared_cmd_options import cmd_opts

options_builtin_fields = {"data", "data_labels", "restricted_opts", "typemap"}


class OptionInfo:
    def __init__(
        self,
        default=None,
        label="",
        component=None,
        component_args=None,
        onchange=None,
        section=None,
        refresh=None,
        comment_before="",
        comment_after="",
        infotext=None,
        restrict_api=False,
        category_id=None,
    ):
        self.default, self.label, self.component, self.component_args = (default, label, component, component_args)
        self.onchange, self.section, self.refresh, self.category_id = onchange, section, refresh, category_id
        self.comment_before, self.comment_after = comment_before, comment_after
        self.infotext, self.restrict_api, self.do_not_save = infotext, restrict_api, False

    def info(self, info):
        return self.html(f" <i>({info})</i>")

    def html(self, html):
        self.comment_after += html
        return self


class OptionHTML(OptionInfo):
    """A text among the settings; it has no value of its own."""

    def __init__(self, text):
        super().__init__(text)
        self.do_not_save = True


def options_section(section_identifier, options_dict):
    for option in options_dict.values():
        option.section = tuple(section_identifier[:2])
        option.category_id = section_identifier[2] if len(section_identifier) > 2 else None
    return options_dict


class Options:
    """Attributes are settings: `data` first, then the defaults of `data_labels`."""

    typemap = {int: float}

    def __init__(self, data_labels, restricted_opts):
        self.data_labels = data_labels
        self.data = {key: info.default for key, info in data_labels.items() if not info.do_not_save}
        self.restricted_opts = restricted_opts

    def __setattr__(self, key, value):
        if key in options_builtin_fields or (key not in self.data and key not in self.data_labels):
            super().__setattr__(key, value)
            return
        assert not cmd_opts.freeze_settings, "settings are frozen"
        frozen = (cmd_opts.freeze_specific_settings or "").split(",")
        assert key not in (name.strip() for name in frozen), f"the setting {key} is frozen"
        self.data[key] = value

    def __getattr__(self, item):
        if item not in options_builtin_fields:
            if item in self.data:
                return self.data[item]
            if item in self.data_labels:
                return self.data_labels[item].default
        return super().__getattribute__(item)

    def set(self, key, value, is_api=False, run_callbacks=True):
        before, option = self.data.get(key), self.data_labels[key]
        if before == value or option.do_not_save or (is_api and option.restrict_api):
            return False
        try:
            setattr(self, key, value)
        except RuntimeError:  # a frozen setting raises AssertionError, which is not caught
            return False
        if run_callbacks and option.onchange is not None:
            try:
                option.onchange()
            except Exception as e:
                errors.display(e, f"after the change of {key}")
                setattr(self, key, before)
                return False
        return True

    def get_default(self, key):
        info = self.data_labels.get(key)
        return info.default if info is not None else None

    def save(self, filename):
        assert not cmd_opts.freeze_settings, "frozen settings are not saved"
        Path(filename).write_text(json.dumps(self.data, indent=4, ensure_ascii=False), encoding="utf8")

    def load(self, filename):
        """Without the file a new host knows no value at all; an old one keeps every default in `data`."""
        if Path(filename).exists():
            self.data = json.loads(Path(filename).read_text(encoding="utf8"))
        elif not mini.old_host:
            self.data = {}

    def onchange(self, key, func, call=True):
        self.data_labels[key].onchange = func
        if call:
            func()

    def add_option(self, key, info):
        self.data_labels[key] = info
        if not mini.old_host and not info.do_not_save:
            self.data.setdefault(key, info.default)

    def cast_value(self, key, value):
        default = self.data_labels[key].default
        if value is None or default is None:
            return value
        return False if isinstance(default, bool) and value == "False" else type(default)(value)
