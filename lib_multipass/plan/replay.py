"""The infotext of a picture on the way to the finished one: which of the job's keys it takes to make that one again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

LATER = ("Hires ", "Multipass ", "ADetailer ", "Denoising strength")
"""How the keys begin that speak of what comes after the first pass. The webui's own are written in ``init``,
ADetailer's in ``process``, so all of them are there before the first pass."""


def first_pass_params(params: Mapping[str, Any], added_later: Collection[str]) -> dict[str, Any]:
    """The entries of ``extra_generation_params`` that belong to the first pass.

    Args:
        params: as they stand when a first pass has ended.
        added_later: keys that came up in the hires pass of an earlier picture of the job, such as the refiner's.
    """
    return {key: value for key, value in params.items() if not key.startswith(LATER) and key not in added_later}


def before_detailer_params(params: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``extra_generation_params`` that belong to a picture before ADetailer's passes."""
    return {key: value for key, value in params.items() if not key.startswith(("ADetailer ", "Multipass ADetailer"))}
