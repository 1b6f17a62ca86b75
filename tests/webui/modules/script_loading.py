import importlib.util
from pathlib import Path

from modules import errors


def load_module(path):
    """Runs the file as a module named by its base name, suffix and all; it does not enter sys.modules."""
    spec = importlib.util.spec_from_file_location(Path(path).name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def preload_extensions(extensions_dir, parser, extension_list=None):
    for path in sorted(Path(extensions_dir).glob("*/preload.py")):
        try:
            module = load_module(str(path))
            if hasattr(module, "preload"):
                module.preload(parser)
        except Exception:
            errors.report(f"{path} failed", exc_info=True)
