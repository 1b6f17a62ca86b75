"""Tests of this folder are collected where a webui is given."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import webuis

collect_ignore_glob = [] if webuis.given() else ["*"]


@pytest.fixture(scope="module", params=[webui.root for webui in webuis.given()], ids=lambda folder: folder.name)
def source(request: pytest.FixtureRequest) -> Path:
    """The root folder of each webui, whose files are read and not imported."""
    return request.param
