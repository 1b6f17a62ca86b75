"""What the host knows of the model that was hijacked last; it does so when it builds one or loads into its place."""

import torch
from modules.textual_inversion.textual_inversion import EmbeddingDatabase


class StableDiffusionModelHijack:
    def __init__(self):
        self.embedding_db = EmbeddingDatabase()
        self.circular_enabled, self.clip, self.layers = False, None, None
        self.clear_comments()

    def clear_comments(self):
        """What encoding texts has to say in a job begins anew."""
        self.comments, self.extra_generation_params = [], {}

    def hijack(self, m):
        self.layers, self.clip = [*m.modules()], m.cond_stage_model

    def undo_hijack(self, m):
        self.apply_circular(False)
        self.clip = self.layers = None

    def apply_circular(self, enable):
        """Only on the layers of the model that was hijacked last, whichever is active."""
        changed, self.circular_enabled = enable != self.circular_enabled, enable
        convolutions = [layer for layer in self.layers if type(layer) is torch.nn.Conv2d] if changed else []
        for layer in convolutions:
            layer.padding_mode = ("zeros", "circular")[enable]


model_hijack = StableDiffusionModelHijack()
