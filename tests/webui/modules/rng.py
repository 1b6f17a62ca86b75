from types import SimpleNamespace

import torch

nv_rng, rng_philox = None, SimpleNamespace()


class ImageRNG:
    """Noise of its own for every seed, whatever the batch. The first draw seeds torch's own generator as well."""

    def __init__(self, shape, seeds, subseeds=None, subseed_strength=0.0, seed_resize_from_h=0, seed_resize_from_w=0):
        self.subseeds = subseeds
        self.shape, self._unused = tuple(shape), [int(seed) % 2**63 for seed in seeds]
        self.generators = [torch.Generator().manual_seed(seed) for seed in self._unused]

    def next(self):
        while self._unused:
            # The function of torch itself keeps the caller's stack for each kind of device that is not there.
            torch.default_generator.manual_seed(self._unused.pop(0))
        return torch.stack([torch.randn(self.shape, generator=generator) for generator in self.generators])
