"""Embeddings fit a text encoder by their width; files below the data folder's embeddings, read on every build."""

from pathlib import Path

import safetensors.torch
from modules import paths, shared


class Embedding:
    def __init__(self, vec, name, step=None):
        self.vec, self.name, self.step = vec, name, step
        self.shape = vec.shape[-1]


class DirWithTextualInversionEmbeddings:
    def __init__(self, path):
        self.path, self.mtime = path, None

    def has_changed(self):
        folder = Path(self.path)
        return folder.is_dir() and (self.mtime is None or folder.stat().st_mtime > self.mtime)

    def update(self):
        if Path(self.path).is_dir():
            self.mtime = Path(self.path).stat().st_mtime


class EmbeddingDatabase:
    def __init__(self):
        self.ids_lookup, self.word_embeddings, self.skipped_embeddings = {}, {}, {}
        self.expected_shape = -1
        self.embedding_dirs = {}
        self.add_embedding_dir(str(Path(paths.data_path) / "embeddings"))

    def add_embedding_dir(self, path):
        self.embedding_dirs[path] = DirWithTextualInversionEmbeddings(path)

    def get_expected_shape(self):
        return shared.sd_model.cond_stage_model.table.weight.shape[1]

    def load_textual_inversion_embeddings(self, force_reload=False):
        if not force_reload and not any(known.has_changed() for known in self.embedding_dirs.values()):
            return
        for known in (self.ids_lookup, self.word_embeddings, self.skipped_embeddings):
            known.clear()
        self.expected_shape = self.get_expected_shape()
        for folder in self.embedding_dirs.values():
            for file in sorted(Path(folder.path).glob("*.safetensors")):
                found = Embedding(safetensors.torch.load_file(file)["emb_params"], file.stem)
                fits = found.shape == self.expected_shape
                (self.word_embeddings if fits else self.skipped_embeddings)[found.name] = found
            folder.update()
