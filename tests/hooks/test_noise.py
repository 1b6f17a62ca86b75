"""The random numbers of a job: the same whether a checkpoint was kept or has to be loaded in the middle."""

from __future__ import annotations

import pytest
import torch

from support.jobs import A, B


@pytest.fixture
def drawing(host, monkeypatch):
    """Reading a checkpoint draws a random number, as making a model does in the webui."""
    original = host.sd_models.read_state_dict

    def read_state_dict(*args, **kwargs):
        torch.rand(1)
        return original(*args, **kwargs)

    host.run(host.job())
    monkeypatch.setattr(host.sd_models, "read_state_dict", read_state_dict)
    yield
    host.run(host.job())


def in_step(host, name):
    info = host.sd_models.get_closet_checkpoint_match(name)
    before = torch.random.get_rng_state()
    with host.sd_models.SkipWritingToConfig():
        host.sd_models.reload_model_weights(info=info)
    return torch.equal(before, torch.random.get_rng_state())


def test_loading_leaves_a_jobs_random_numbers_alone(host, drawing):
    assert not in_step(host, B)  # the webui by itself
    assert not in_step(host, A)
    seen = []

    def sample(*_args, **_kwargs):
        seen.append(in_step(host, B))
        raise ZeroDivisionError

    p = host.job(True, B)
    p.sample = sample
    with pytest.raises(ZeroDivisionError):
        host.run(p)
    assert seen == [True]
