"""Euler steps from noise to picture. "Euler a" adds fresh noise on the way."""

from itertools import pairwise
from types import SimpleNamespace

import torch
from modules import script_callbacks, shared

_EMPTY, _PAINTED = 10.0, 1.0  # noise levels: a new picture starts from one, a given one at full strength from the other
all_samplers = [SimpleNamespace(name="Euler"), SimpleNamespace(name="Euler a")]
visible_sampler_names = lambda: [sampler.name for sampler in all_samplers]  # noqa: E731


class _Sampler:
    def __init__(self, name, model):
        self.name, self.model = name, model

    def sample(self, p, x, conditioning, unconditional_conditioning, steps=None, image_conditioning=None):
        return self._walk(p, x * _EMPTY, conditioning, unconditional_conditioning, steps or p.steps, _EMPTY)

    def sample_img2img(
        self, p, x, noise, conditioning, unconditional_conditioning, steps=None, image_conditioning=None
    ):
        strength = min(p.denoising_strength, 0.999) if p.denoising_strength > 0 else 0
        steps = int(strength * (steps or p.steps)) + 1
        level = _PAINTED * strength**1.5
        return self._walk(p, x + noise * level, conditioning, unconditional_conditioning, steps, level)

    def _walk(self, p, x, cond, uncond, steps, level):
        levels = [level * (1 - i / steps) ** 2 for i in range(steps + 1)]
        shared.state.sampling_steps = steps
        for i, (now, after) in enumerate(pairwise(levels)):
            if shared.state.interrupted or shared.state.skipped or now == 0:
                break
            shared.state.sampling_step = i
            shared.total_tqdm.update()
            script_callbacks.cfg_denoiser_callback(SimpleNamespace(x=x, sigma=now, denoiser=self))
            clean = self.model.predict(x, now, cond, uncond, p.cfg_scale)
            ahead = after * 0.7 if self.name == "Euler a" else after
            x = clean + (x - clean) * (ahead / now)
            if ahead != after:
                x = x + p.rng.next() * (after**2 - ahead**2) ** 0.5
        return x


def find_sampler_config(name):
    return next((sampler for sampler in all_samplers if sampler.name == name), all_samplers[0])


def create_sampler(name, model):
    return _Sampler(find_sampler_config(name).name, model)


def sample_to_image(samples, index=0, approximation=None):
    from modules import processing

    return processing._to_picture(shared.sd_model.decode_first_stage(samples[index : index + 1])[0])


def _images_to_latents(model, pictures):
    """Pictures are PIL images; the pixels reach the VAE as -1..1."""
    return model.encode_first_stage(torch.stack([_tensor(picture) for picture in pictures]))


def _tensor(picture):
    data = torch.frombuffer(bytearray(picture.convert("RGB").tobytes()), dtype=torch.uint8)
    return data.view(picture.height, picture.width, 3).permute(2, 0, 1) / 127.5 - 1
