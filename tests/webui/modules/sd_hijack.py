"""What the host knows of the model that was hijacked last; it does so when it builds one or loads into its place."""

import torch
from modules.textual_inversion.textual_inversion import EmbeddingDatabase


class StableDiffusionModelHijack:
    layers = clip = None
    circular_enabled = False

    def __init__(self):
        self.embedding_db = EmbeddingDatabase()

    def hijack(self, m):
        self.clip, self.layers = m.cond_stage_model, list(m.modules())

    def undo_hijack(self, m):
        self.apply_circular(False)
        self.layers = self.clip = None

    def apply_circular(self, enable):
        """Only on the layers of the model that was hijacked last, whichever is active."""
        if self.circular_enabled == enable:
            return
        self.circular_enabled = enable
        for layer in self.layers:
            if type(layer) is torch.nn.Conv2d:
                layer.padding_mode = "circular" if enable else "zeros"


model_hijack = StableDiffusionModelHijack()
