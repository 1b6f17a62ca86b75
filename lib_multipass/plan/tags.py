"""Networks that a prompt names in tags, and a prompt without those that do not fit.

A tag is ``<kind:name>`` or ``<kind:name:strength>``; the webui takes every tag out of the text before it reads it
(``modules/extra_networks.py``, 1.6.0 to 1.10.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable

TAG = re.compile(r"<(\w+):([^>]+)>")
LORA_TAGS = ("lora", "lyco")
"""Kinds whose files say what they are made for. Hypernetworks are pickles, which are never opened for that."""


def without(text: str, unfit: Callable[[str, str], bool]) -> tuple[str, list[str]]:
    """A prompt without the tags that do not fit, and these tags.

    A space that would stand double, or at the end, goes too; everything else stays, commas and brackets included.

    Args:
        text: the prompt.
        unfit: whether a tag of this kind and name is to go.
    """
    kept, tags, end = "", [], 0
    for tag in TAG.finditer(text):
        if unfit(tag[1], tag[2].split(":")[0]):
            kept += text[end : tag.start()]
            end = tag.end()
            tags.append(tag[0])
            if kept[-1:] in ("", " ") and text[end : end + 1] in ("", " "):
                kept, end = (kept[:-1], end) if kept else (kept, end + 1)
    return kept + text[end:], tags
