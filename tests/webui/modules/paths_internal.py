from pathlib import Path

from modules.shared_cmd_options import cmd_opts

script_path = str(Path(__file__).resolve().parent.parent)
data_path = cmd_opts.data_dir
models_path = str(Path(data_path) / "models")
extensions_dir = str(Path(data_path) / "extensions")
