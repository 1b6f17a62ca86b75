"""Small networks that paint. They hold the place of a diffusion model and run on the checkpoint's tensors.

A latent has four channels: one "height", which is how light a place is, and three for its tint. `MIX` turns
them into the latent's channels and is the same in every checkpoint: that is what a shared latent space means.
The denoiser keeps the height it is given and lays its own tint over it, so a second checkpoint keeps the
composition and replaces the look. The decoder has the look's outlines, shading and grain.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from mini.device import Movable, Part

WORDS, WIDTH, TILE, KERNEL = 8192, 96, 64, 9
MIX = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2.0
SMOOTH_NOISE, FINE_NOISE = 0.16, 0.05  # how far a picture strays from the learned layout, coarse and fine
TINT = 3.0  # tint in the latent is this many times the tint in the picture


torch.backends.mkldnn.enabled = False  # setting up a convolution takes it longer than such a small one takes


class TextEncoder(Part):
    """Hashed words through a table and three layers; clip skip leaves out the last ones."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def forward(self, prompts, clip_skip=1):
        return torch.stack([self._encode(prompt, clip_skip) for prompt in prompts])

    def _encode(self, prompt, clip_skip):
        words = prompt.lower().replace(",", " ").split() or [""]
        numbers = [sum(ord(letter) * 31**i for i, letter in enumerate(word)) % WORDS for word in words]
        value = self.table(torch.tensor(numbers, device=self.table.weight.device)).mean(0)
        for layer in self.layers[: max(1, len(self.layers) + 1 - clip_skip)]:
            value = value + torch.tanh(layer(value)) / 2
        return value


class Denoiser(nn.Module):
    """Predicts the clean latent: the learned layout, what the noisy one says about height, its own tint."""

    def __init__(self):
        super().__init__()
        self.layout = nn.Parameter(torch.zeros(1, 1, 96, 96))
        self.smooth = nn.Conv2d(1, 1, KERNEL, bias=False)
        self.palette = nn.Sequential(nn.Conv2d(1, 32, 1), nn.Tanh(), nn.Conv2d(32, 3, 1))
        self.film = nn.Linear(WIDTH, 5)

    def forward(self, x, sigma, text):
        shift = torch.tanh(self.film(text))[:, :, None, None]
        layout = F.interpolate(self.layout, x.shape[2:], mode="bilinear", align_corners=False)
        layout = layout * (1 + 0.15 * shift[:, 0:1]) + 0.12 * shift[:, 1:2]
        seen = torch.einsum("bchw,cd->bdhw", x, MIX.to(x))[:, :1]
        coarse, expected = self._blur(seen), self._blur(layout)
        # Where the picture is not what was learned, as in a cut-out face, it is believed as it is.
        alike = self._blur(torch.exp(-((coarse - expected) ** 2) / (0.05 + 0.25 * sigma**4)))
        doubt = (0.14 * sigma) ** 2 / (SMOOTH_NOISE**2 + (0.14 * sigma) ** 2)
        learned = alike * (layout - expected)
        fine = seen - coarse - learned  # kept where there is more of it than noise explains
        power = FINE_NOISE**2 + (self._blur(fine**2) - 2.2 * sigma**2).clamp(0, 0.25)
        height = coarse - alike * doubt * (coarse - expected) + learned + fine * power / (power + sigma**2)
        tint = self.palette(height) * TINT + 0.25 * shift[:, 2:5]
        return torch.einsum("bdhw,cd->bchw", torch.cat([height, tint], 1), MIX.to(x))

    def _blur(self, field):
        return self.smooth(F.pad(field, [KERNEL // 2] * 4, mode="replicate"))


class Grow(nn.ConvTranspose2d):
    """Each place of a latent becomes 8x8 pixels, of itself and its neighbours: a convolution, which takes a quarter of
    the transposed one's time."""

    def __init__(self, channels):
        super().__init__(channels, channels, 24, stride=8, padding=8, groups=channels, bias=False)

    def forward(self, z):
        parts = self.weight.reshape(self.groups, 3, 8, 3, 8).flip(1, 3).permute(0, 2, 4, 1, 3)
        near = F.pad(z, [1] * 4, mode="replicate")
        return F.pixel_shuffle(F.conv2d(near, parts.reshape(-1, 1, 3, 3), groups=self.groups), 8)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.grow = Grow(4)
        self.slope = nn.Conv2d(1, 2, 3, bias=False)
        self.grain = nn.Parameter(torch.zeros(1, 1, TILE, TILE))
        self.style = nn.Parameter(torch.zeros(5))  # steps, flatness, outline, shading, grain

    def forward(self, z):
        z = torch.einsum("bchw,cd->bdhw", z, MIX.to(z))
        grown = self.grow(z)
        steps, flatness, outline, shading, grain = self.style
        turn = 2 * math.pi * steps.clamp(min=1)
        height = grown[:, :1] - flatness * torch.sin(turn * grown[:, :1]) / turn
        down, right = self.slope(F.pad(grown[:, :1], [1] * 4, mode="replicate")).chunk(2, 1)
        ink = torch.exp(-outline * torch.relu((down**2 + right**2).sqrt() - 0.02))
        rows, columns = -(-z.shape[2] * 8 // TILE), -(-z.shape[3] * 8 // TILE)
        noise = self.grain.repeat(1, 1, rows, columns)[:, :, : grown.shape[2], : grown.shape[3]]
        light = 0.5 + 0.42 * torch.tanh(0.9 * (height + shading * (right - down))) + grain * noise
        return ((light + grown[:, 1:] / TINT) * ink).clamp(0, 1) * 2 - 1


class Encoder(nn.Module):
    """Undoes the decoder's light and tint; outlines and grain stay in, as detail."""

    def __init__(self):
        super().__init__()
        self.shrink = nn.Conv2d(3, 3, 8, stride=8, groups=3, bias=False)
        self.sharpen = nn.Conv2d(4, 4, 3, groups=4, bias=False)

    def forward(self, picture):
        small = self.shrink(picture / 2 + 0.5)
        light = small.mean(1, keepdim=True)
        height = torch.atanh(((light - 0.5) / 0.42).clamp(-0.96, 0.96)) / 0.9
        z = torch.cat([height, (small - light) * TINT], 1)
        z = self.sharpen(F.pad(z, [1] * 4, mode="replicate"))
        return torch.einsum("bdhw,cd->bchw", z, MIX.to(z))


class Autoencoder(Part):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()

    def encode(self, picture):
        with self.working(picture[:, 0].numel()):
            return self.encoder(picture)

    def decode(self, z):
        with self.working(z[:, 0].numel() * 64):
            return self.decoder(z)


class Wrapper(Part):
    def __init__(self):
        super().__init__()
        self.diffusion_model = Denoiser()

    def forward(self, x, sigma, text):
        with self.working(x[:, 0].numel() * 64):
            return self.diffusion_model(x, sigma, text)


class Painter(Movable):
    """A whole checkpoint, with the parts and the marks that the host's models have."""

    def __init__(self):
        super().__init__()
        self.cond_stage_model = TextEncoder()
        self.model = Wrapper()
        self.first_stage_model = Autoencoder()
        self.lowvram = False

    def encode_first_stage(self, picture):
        return self.first_stage_model.encode(picture)

    def decode_first_stage(self, z):
        return self.first_stage_model.decode(z)

    def predict(self, x, sigma, cond, uncond, cfg_scale):
        """The clean latent, with guidance away from the negative prompt."""
        plain = self.model(x, sigma, uncond)
        return plain + (cfg_scale / 7) * (self.model(x, sigma, cond) - plain)
