"""Embeddings fit a text encoder by their width. Their folder is looked at with every build; here nothing lies in it."""

from pathlib import Path

from modules import paths, shared


class DirWithTextualInversionEmbeddings:
    """A folder, and its time of change when it was last read."""

    def __init__(self, path):
        self.path, self.mtime = Path(path), None

    def _now(self):
        return self.path.stat().st_mtime if self.path.is_dir() else None

    def has_changed(self):
        return self._now() not in (None, self.mtime)

    def update(self):
        self.mtime = self._now()


class EmbeddingDatabase:
    def __init__(self):
        self.word_embeddings, self.skipped_embeddings, self.ids_lookup = {}, {}, {}
        own = Path(paths.data_path) / "embeddings"
        self.embedding_dirs, self.expected_shape = {str(own): DirWithTextualInversionEmbeddings(own)}, -1

    def get_expected_shape(self):
        return shared.sd_model.cond_stage_model.table.weight.shape[1]

    def load_textual_inversion_embeddings(self, force_reload=False):
        folders = self.embedding_dirs.values()
        if force_reload or any(folder.has_changed() for folder in folders):
            self.expected_shape = self.get_expected_shape()
            for known in (self.skipped_embeddings, self.word_embeddings, self.ids_lookup):
                known.clear()
            for folder in folders:
                folder.update()
