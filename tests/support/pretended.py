"""A pretended device around the miniature that runs in this process."""

from __future__ import annotations

import gc

import pytest
import torch


class Bench:
    """The miniature in this process with a pretended device, its room in models of the one size that all have."""

    def __init__(self, host, stack, monkeypatch):
        self.host, self.stack, self.monkeypatch = host, stack, monkeypatch
        self.size = host.shared.sd_model.size
        empty(host)

    def begin(self, room, **kwargs):
        """Pretend a device and load A onto it."""
        from mini import device, events

        total = None if room is None else int(room * self.size)
        self.device = self.stack.enter_context(device.pretend(device.Device(total, **kwargs)))
        self.events = events
        self.host.sd_models.load_model()
        self.events.clear()
        return self.device

    def set(self, limit=None, keep=None):
        """The user's settings."""
        values = {"sd_checkpoints_limit": limit, "sd_checkpoints_keep_in_cpu": keep}
        for name, value in values.items():
            if value is not None:
                self.monkeypatch.setitem(self.host.shared.opts.data, name, value)

    def swap(self, name):
        info = self.host.sd_models.get_closet_checkpoint_match(name)
        with self.host.sd_models.SkipWritingToConfig():
            return self.host.sd_models.reload_model_weights(info=info)

    def refused(self, function, *args, error=torch.cuda.OutOfMemoryError, **kwargs):
        """The message of the error; what only its traceback held is gone."""
        with pytest.raises(error) as caught:
            function(*args, **kwargs)
        message = str(caught.value)
        del caught
        gc.collect()
        return message

    def model(self, name):
        models = [*self.host.sd_models.model_data.loaded_sd_models, self.host.sd_models.model_data.sd_model]
        return next(model for model in models if model.sd_checkpoint_info.name_for_extra == name)

    def place(self, name):
        """Where the model's first and last tensor are."""
        tensors = list(self.model(name).parameters())
        return tensors[0].device.type, tensors[-1].device.type

    def story(self):
        told = list(self.events.story)
        self.events.clear()
        return told


def empty(host):
    data = host.sd_models.model_data
    data.loaded_sd_models.clear()
    data.sd_model = None
    host.sd_hijack.model_hijack.layers = host.sd_hijack.model_hijack.clip = None
    gc.collect()


def whole_parts(host):
    """Whether one part at most is on the device, as a whole, and it is the one that the webui knows of."""
    known = host.lowvram.module_in_gpu
    models = host.sd_models.model_data.loaded_sd_models
    there = [part for model in models for part in model.parts() if part.on_device]
    return all(part is known and part.on_device == part.size for part in there)
