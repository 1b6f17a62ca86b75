"""The command line. The flags that only matter to the real host are taken and have no effect."""

import argparse
import tempfile
from pathlib import Path

import mini
from modules import script_loading

_IGNORED = (
    *("no-half", "no-half-vae", "medvram", "medvram-sdxl", "lowvram", "disable-nan-check"),
    *("skip-torch-cuda-test", "skip-install", "skip-prepare-environment", "skip-python-version-check"),
    *("no-download-sd-model", "do-not-download-clip", "disable-console-progressbars"),
)

parser = argparse.ArgumentParser(description="A miniature webui, for tests.")
parser.add_argument("--data-dir", default="")
parser.add_argument("--port", type=int, default=None)
parser.add_argument("--like", choices=["1.6.0", "1.10.1", "forge"], default="1.10.1", help="what to behave like")
parser.add_argument("--use-cpu", nargs="+", default=[])
parser.add_argument("--api-auth", default=None, help="name:password pairs, separated by commas")
parser.add_argument("--vae-path", default=None)
parser.add_argument("--ui-config-file", default=None)
parser.add_argument("--freeze-specific-settings", default=None)
parser.add_argument("--device-memory", type=int, metavar="BYTES", help="pretend a CUDA device of this size")
parser.add_argument("--host-memory", type=int, metavar="BYTES", help="pretend so much RAM for models and files")
parser.add_argument("--work-memory", type=int, default=0, metavar="BYTES", help="taken per pixel on that device")
parser.add_argument("--weight-scale", type=int, default=1, metavar="N", help="weights and files count so many times")
for _flag in ("api", "nowebui", "freeze-settings", "no-hashing", *_IGNORED):
    parser.add_argument(f"--{_flag}", action="store_true")


def _data_dir():
    known, _ = parser.parse_known_args(mini.arguments)
    folder = Path(known.data_dir or tempfile.mkdtemp(prefix="miniature-webui-")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


_folder = _data_dir()
script_loading.preload_extensions(str(Path(_folder) / "extensions"), parser)
cmd_opts = parser.parse_args(mini.arguments)
cmd_opts.data_dir = _folder
cmd_opts.ui_config_file = cmd_opts.ui_config_file or str(Path(_folder) / "ui-config.json")
mini.old_host = cmd_opts.like == "1.6.0"
