"""Looking through all of Python's objects takes a webui a fifth of a second, so it is done where it frees a model."""

from __future__ import annotations

import gc
import weakref

import pytest

from support.jobs import A, B, C


@pytest.fixture
def collections(monkeypatch):
    """The full collections so far; none comes by itself."""
    made, collect = [], gc.collect

    def counted(*generation):
        if not generation:
            made.append(1)
        return collect(*generation)

    monkeypatch.setattr(gc, "collect", counted)
    gc.unfreeze()  # models of earlier tests, which are frozen where they are
    gc.disable()
    yield made
    gc.enable()


def references(host, names, circles):
    """Weak ones to loaded models, each of which may hold itself from now on."""
    loaded = host.sd_models.model_data.loaded_sd_models
    models = [model for model in loaded if model.sd_checkpoint_info.name_for_extra in names]
    for model in models:
        model.circle = [model] if circles else []
    return [weakref.ref(model) for model in models]


@pytest.mark.parametrize(("circles", "most"), [(False, 0), (True, 1)], ids=["held by nobody", "holding themselves"])
def test_models_that_are_let_go_are_gone(host, collections, circles, most):
    host.run(host.job(True, B, C, faces={"ad_model": "face_yolov8n.pt"}))
    assert sorted(host.loaded) == [A, B, C]
    left = references(host, {B, C}, circles)
    collections.clear()
    host.run(host.job(enable_hr=False))
    assert host.loaded == [A]
    assert [reference() for reference in left] == [None, None]
    assert len(collections) == most
