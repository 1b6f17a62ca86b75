"""ControlNet's hook within a job, inside one process: it has to be on whatever checkpoint samples."""

from __future__ import annotations

import copy
from functools import partial

import pytest
from torch import nn

from lib_multipass.words import log

A, B, C = "alpha", "beta", "gamma"


@pytest.fixture(autouse=True)
def plain_job_first(host):
    host.run(host.job())


class Network:
    """Stands for ControlNet's hook on a diffusion model."""

    model = control_params = None

    def __init__(self):
        self.hooked, self.given = [], []

    def hook(self, model, sd_ldm, control_params, process, separate=False, aligned=False):
        assert sd_ldm.model.diffusion_model is model
        assert self.control_params is None, "hooked twice"
        self.model, self.control_params = model, control_params
        process.sample_before_CN_hack = process.sample
        for layer in model.children():
            if not hasattr(layer, "original_forward_cn_hijack"):
                layer.original_forward_cn_hijack = layer.forward
            layer.forward = partial(layer.original_forward_cn_hijack)
        self.hooked.append(sd_ldm.sd_checkpoint_info.name_for_extra)
        self.given.append((control_params, separate, aligned))

    def restore(self):
        self.control_params = None


@pytest.fixture
def control(host, monkeypatch):
    """ControlNet among the scripts, with one unit on in every job; ``networks`` notes where its hooks were."""

    class Script(host.scripts.Script):
        units, latest_network = ["unit"], None
        ui_batch_option_state = ("Each ControlNet unit for each image in a batch", True)

        def title(self):
            return "ControlNet"

        def process(self, p, *args):
            self.latest_network, model = Network(), host.shared.sd_model
            self.networks.append(self.latest_network)
            self.latest_network.hook(model.model.diffusion_model, model, self.units, p, True, True)

        def look(self, p):
            pass

        def before_hr(self, p, *args):
            self.look(p)

        def postprocess(self, p, processed, *args):
            if self.latest_network is not None:
                self.latest_network.restore()
                self.latest_network = None

    script = Script()
    script.networks = []
    script.args_from = script.args_to = 0
    script.filename = "controlnet.py"
    runner = copy.copy(host.scripts.scripts_txt2img)
    runner.alwayson_scripts = [*runner.alwayson_scripts, script]
    monkeypatch.setattr(host.scripts, "scripts_txt2img", runner)
    return script


def test_it_goes_along_with_every_swap(host, control):
    host.run(host.job(True, B, n_iter=2))
    (network,) = control.networks
    assert network.hooked == [A, B, A, B]
    assert network.given == [(["unit"], True, True)] * 4
    assert network.control_params is None


def test_only_layers_of_the_active_checkpoint_are_replaced(host, control):
    replaced = []

    def note(p):
        for model in host.sd_models.model_data.loaded_sd_models:
            layers = [*model.model.diffusion_model.children()]
            kinds = {isinstance(layer.forward, partial) for layer in layers}
            replaced.append((model.sd_checkpoint_info.name_for_extra, kinds))

    control.look = note
    host.run(host.job(True, B))
    assert dict(replaced) == {A: {False}, B: {True}}


def test_it_goes_along_to_the_faces_and_back(host, control):
    host.run(host.job(True, B, C, faces={"ad_model": "face_yolov8n.pt"}, n_iter=2))
    # ADetailer ends the other scripts before its own pass and begins them anew after it.
    assert [network.hooked for network in control.networks] == [[A, B], [C, A, B], [C]]


def test_another_architecture_is_left_alone(host, control, monkeypatch):
    from lib_multipass.passes import control as ours

    layouts = iter(range(100))
    monkeypatch.setattr(ours, "_layout", lambda unet: next(layouts))
    host.run(host.job(True, B, n_iter=2))
    assert [network.hooked for network in control.networks] == [[A]]


def test_the_layout_tells_architectures_apart(host):
    from lib_multipass.passes.control import _layout

    narrow, wide = nn.Sequential(nn.Linear(2, 2)), nn.Sequential(nn.Linear(3, 2))
    assert _layout(narrow) == _layout(copy.deepcopy(narrow))
    assert _layout(narrow) != _layout(wide)


def test_what_an_earlier_job_left_is_none_of_ours(host, control):
    p = host.job(True, B)
    control.latest_network = left = Network()
    left.model, left.control_params = host.shared.sd_model.model.diffusion_model, ["old"]
    control.process = lambda p, *args: None
    host.run(p)
    assert left.hooked == []


def test_a_controlnet_that_fails_costs_no_picture(host, control, monkeypatch):
    hook = Network.hook

    def fails_on_the_second(self, model, sd_ldm, *args):
        if sd_ldm.sd_checkpoint_info.name_for_extra == B:
            raise TypeError("hook() takes more")
        hook(self, model, sd_ldm, *args)

    monkeypatch.setattr(Network, "hook", fails_on_the_second)
    said = []
    monkeypatch.setattr(log, "exception", lambda *words: said.append(words[0] % words[1:]))
    assert host.run(host.job(True, B)).images
    assert said == ["ControlNet could not be taken along to beta"]
