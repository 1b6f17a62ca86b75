import importlib.util
from pathlib import Path


def load_module(path):
    """Runs the file as a module named by its base name, suffix and all; it does not enter sys.modules."""
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def preload_extensions(extensions_dir, parser, extension_list=None):
    for file in sorted(Path(extensions_dir).glob("*/preload.py")):
        load_module(file).preload(parser)
