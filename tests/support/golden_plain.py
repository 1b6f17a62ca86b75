"""What the golden record holds of values: as JSON has them, without what differs between machines and releases."""

from __future__ import annotations

import math
import re
from typing import Any

SECONDS = re.compile(r"\d+\.\d\d s\b")
WEBUI, OURS = re.compile(r"\bVersion: \S+-miniature"), "Multipass version: "


class Plain:
    """Makes values plain; hashes and the webui's folder are those of one host."""

    def __init__(self, host, version: str) -> None:
        self.version, self.tokens = version, {str(host.shared.cmd_opts.data_dir): "<data>"}
        for info in host.sd_models.checkpoints_list.values():
            known = {info.sha256: "sha256", info.shorthash: "hash"}
            self.tokens |= {digits: f"<{kind} of {info.name_for_extra}>" for digits, kind in known.items() if digits}
        longest_first = sorted(self.tokens, key=len, reverse=True)
        self._token = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self(str(name)): self(one) for name, one in value.items()}
        if isinstance(value, (list, tuple)):
            return [self(one) for one in value]
        if value is None or isinstance(value, (bool, int, float)):
            return finite(value)
        return self._text(value) if isinstance(value, str) else f"<{type(value).__name__}>"

    def _text(self, text: str) -> str:
        text = self._token.sub(lambda found: self.tokens[found[0]], text)
        text = WEBUI.sub("Version: <webui>", text)
        text = "<version>" if text == self.version else text.replace(f"{OURS}{self.version}", f"{OURS}<version>")
        return SECONDS.sub("… s", text)


def finite(value: Any) -> Any:
    """Numbers that JSON does not have become texts."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
