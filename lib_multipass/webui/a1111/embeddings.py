"""The webui's textual inversions (1.6.0 to 1.10.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def named_in(texts: Sequence[str]) -> list[tuple[str, Any]]:
    """Those that these texts may name, each with what it is.

    The webui goes by tokens, for which blanks and capital letters do not count, and takes escapes off before.
    """
    from modules.sd_hijack import model_hijack

    database, text = model_hijack.embedding_db, _letters(" ".join(texts))
    known = {**database.skipped_embeddings, **database.word_embeddings}
    return [(name, known[name].vec) for name in sorted(known) if _letters(name) in text]


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))
