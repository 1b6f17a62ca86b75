import json
from pathlib import Path

import mini
from modules.shared_cmd_options import cmd_opts

_own = {"data", "data_labels", "restricted_opts"}


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

    def __init__(self, data_labels, restricted_opts):
        defaults = {key: info.default for key, info in data_labels.items() if not info.do_not_save}
        vars(self).update(data=defaults, data_labels=data_labels, restricted_opts=restricted_opts)

    def __setattr__(self, key, value):
        if not self._is_setting(key):
            super().__setattr__(key, value)
            return
        assert not cmd_opts.freeze_settings, "settings are frozen"
        frozen = (cmd_opts.freeze_specific_settings or "").split(",")
        assert key not in map(str.strip, frozen), f"the setting {key} is frozen"
        self.data[key] = value

    def __getattr__(self, item):
        if self._is_setting(item):
            return self.data.get(item, self.get_default(item))
        raise AttributeError(item)

    def _is_setting(self, key):
        return key not in _own and (key in self.data or key in self.data_labels)

    def set(self, key, value, is_api=False, run_callbacks=True):
        """Whether it was changed. What a frozen setting or a callback raises is not caught."""
        option = self.data_labels[key]
        barred = option.do_not_save or (is_api and option.restrict_api)
        if barred or value == self.data.get(key):
            return False
        setattr(self, key, value)
        if run_callbacks and option.onchange is not None:
            option.onchange()
        return True

    def get_default(self, key):
        return self.data_labels[key].default if key in self.data_labels else None

    def save(self, filename):
        assert not cmd_opts.freeze_settings, "frozen settings are not saved"
        Path(filename).write_text(json.dumps(self.data, indent=4, ensure_ascii=False), encoding="utf8")

    def load(self, filename):
        """Without the file, which tests always give, every default stays in `data`."""
        if Path(filename).exists():
            self.data = json.loads(Path(filename).read_text(encoding="utf8"))

    def onchange(self, key, func, call=True):
        vars(self.data_labels[key])["onchange"] = func
        if call:
            func()

    def add_option(self, key, info):
        self.data_labels[key] = info
        if not mini.old_host and not info.do_not_save:
            self.data.setdefault(key, info.default)

    def cast_value(self, key, value):
        """To the type of the default, where there is one."""
        kind = type(self.get_default(key))
        if value is None or kind is type(None):
            return value
        return value != "False" and bool(value) if kind is bool else kind(value)
