"""Makes real .safetensors checkpoints for the painter, each the same for the same look and seed."""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from mini import painter

# Tint at six heights from dark to light, and the decoder's steps, flatness, outline, shading, grain.
LOOKS = {
    "cartoon": (["#3a1550", "#2f55c8", "#4da32e", "#e8b52c", "#ffb98c", "#86d0ff"], (3.0, 0.95, 9.0, 0.0, 0.0)),
    "photo": (["#2a1c14", "#3a4560", "#5d7048", "#9a8a62", "#dba98a", "#c0d3e8"], (1.0, 0.0, 0.0, 2.6, 0.05)),
    "portrait": (["#4a1430", "#7a2f50", "#8a5a20", "#cf8a4a", "#ff9f7a", "#ffe0a0"], (1.0, 0.0, 1.5, 1.2, 0.015)),
}


def make_checkpoint(path, look="cartoon", seed=0, config=None):
    """Writes one checkpoint; `config` writes a sidecar .yaml too, which gives it a configuration of its own."""
    torch.manual_seed(seed)
    model = painter.Painter()
    with torch.no_grad():
        _fill_denoiser(model.model.diffusion_model, look)
        _fill_autoencoder(model.first_stage_model, look)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path, metadata={"look": look, "seed": str(seed)})
    if config is not None:
        path.with_suffix(".yaml").write_text(config, encoding="utf8")
    return path


def make_vae(path, look="cartoon", seed=0):
    """Writes one VAE file: the autoencoder alone."""
    torch.manual_seed(seed)
    model = painter.Autoencoder()
    with torch.no_grad():
        _fill_autoencoder(model, look)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(model.state_dict(), path, metadata={"look": look})
    return path


def make_scenario(folder):
    """A data folder for tests: three checkpoints that paint alike but not the same, and a foreign VAE."""
    models = Path(folder) / "models"
    for number, (name, look) in enumerate(zip(("alpha", "beta", "gamma"), LOOKS, strict=True), 11):
        config = "own: true\n" if name == "gamma" else None
        make_checkpoint(models / "Stable-diffusion" / f"{name}.safetensors", look, number, config)
    make_vae(models / "VAE" / "other.safetensors", "portrait", 20)


def make_defaults(folder):
    """The three checkpoints of an empty installation."""
    return [make_checkpoint(Path(folder) / f"{look}.safetensors", look, n) for n, look in enumerate(LOOKS, 1)]


def _fill_denoiser(net, look):
    net.layout.copy_(_layout())
    line = torch.exp(-((torch.arange(painter.KERNEL) - painter.KERNEL // 2) ** 2) / 8.0)
    net.smooth.weight.copy_(torch.outer(line, line)[None, None] / line.sum() ** 2)
    _fit_palette(net.palette, _tints(look))
    net.film.weight.mul_(3)


def _tints(look):
    colours = [[int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)] for text in LOOKS[look][0]]
    colours = torch.tensor(colours)
    return colours - colours.mean(1, keepdim=True)


def _fit_palette(palette, tints):
    """Least squares for the second layer over fixed steps of the first: tint as a function of height."""
    first, _, second = palette
    first.weight.fill_(4.0)
    first.bias.copy_(-4.0 * torch.linspace(-1.7, 1.7, 32))
    ramp = torch.linspace(-1.4, 1.4, 141)
    place = ((ramp + 1.4) / 2.8 * 5).clamp(0, 4.999)
    low = place.floor().long()
    wanted = torch.lerp(tints[low], tints[low + 1], (place - low)[:, None])
    known = torch.cat([torch.tanh(4.0 * (ramp[:, None] - torch.linspace(-1.7, 1.7, 32))), torch.ones(141, 1)], 1)
    solved = torch.linalg.solve(known.T @ known + 0.01 * torch.eye(33), known.T @ wanted)
    second.weight.copy_(solved[:32].T[:, :, None, None])
    second.bias.copy_(solved[32])


def _fill_autoencoder(net, look):
    third = torch.ones(8)
    spline = torch.nn.functional.conv1d(torch.ones(1, 1, 8), third.view(1, 1, 8), padding=7)
    spline = torch.nn.functional.conv1d(spline, third.view(1, 1, 8), padding=7).flatten() / 64
    spline = torch.nn.functional.interpolate(spline[None, None], 24, mode="linear").flatten()
    spline = spline * (8 / spline.sum())
    net.decoder.grow.weight.copy_(torch.outer(spline, spline).expand(4, 1, 24, 24))
    sobel = torch.tensor([[-1.0, -2, -1], [0, 0, 0], [1, 2, 1]]) / 8
    net.decoder.slope.weight.copy_(torch.stack([sobel, sobel.T])[:, None])
    net.decoder.grain.copy_(torch.randn(1, 1, painter.TILE, painter.TILE))
    net.decoder.style.copy_(torch.tensor(LOOKS[look][1]))
    net.encoder.shrink.weight.fill_(1 / 64)
    line = torch.tensor([-0.2, 1.4, -0.2])
    net.encoder.sharpen.weight.copy_(torch.outer(line, line).expand(4, 1, 3, 3))


def _layout(size=96):
    """A head and shoulders before hills and a low sun, as height from -1.4 (dark) to 1.4 (light)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")

    def inside(cx, cy, rx, ry, soft=0.06):
        return torch.sigmoid((1 - ((x - cx) / rx) ** 2 - ((y - cy) / ry) ** 2) / soft)

    height = 1.45 - 0.3 * y
    for base, swing, speed, level in ((0.55, 0.06, 7.0, 0.2), (0.68, 0.05, 10.0, -0.3), (0.84, 0.04, 5.0, 0.1)):
        hills = torch.sigmoid((y - base - swing * torch.sin(speed * x + 10 * base)) / 0.008)
        height = torch.lerp(height, torch.full_like(height, level), hills)
    parts = (
        (0.82, 0.18, 0.09, 0.09, 0.5),
        (0.5, 0.46, 0.2, 0.25, -1.3),
        (0.5, 1.05, 0.34, 0.37, -0.8),
        (0.5, 0.69, 0.065, 0.1, 0.6),
        (0.5, 0.5, 0.145, 0.19, 0.85),
        (0.5, 0.33, 0.17, 0.075, -1.3),
        (0.44, 0.48, 0.026, 0.018, -1.2),
        (0.56, 0.48, 0.026, 0.018, -1.2),
        (0.5, 0.54, 0.014, 0.035, 0.6),
        (0.5, 0.61, 0.05, 0.014, -0.7),
    )  # sun, hair, coat, neck, face, fringe, eyes, nose, mouth
    for cx, cy, rx, ry, level in parts:
        height = torch.lerp(height, torch.full_like(height, level), inside(cx, cy, rx, ry, 0.12))
    return height[None, None]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes a data folder with small checkpoints.")
    parser.add_argument("--out", required=True)
    make_scenario(parser.parse_args().out)
