"""Runs inside a real webui's Python: one line of JSON entries in, the webui's own parse of their infotext out.

python real_parser.py <folder of the webui> <empty data folder>
"""

import importlib
import json
import os
import sys

root, data = sys.argv[1:]
answers, sys.stdout = sys.stdout, sys.stderr  # the webui prints
os.chdir(root)
sys.path.insert(0, root)
sys.argv = ["launch.py", "--skip-torch-cuda-test", "--data-dir", data]
os.environ["IGNORE_CMD_ARGS_ERRORS"] = "1"

importlib.import_module("modules.paths")
importlib.import_module("modules.shared_init").initialize()
try:
    host = importlib.import_module("modules.infotext_utils")
except ImportError:  # before 1.8.0
    host = importlib.import_module("modules.generation_parameters_copypaste")

for line in sys.stdin:
    written = ", ".join(f"{key}: {host.quote(value)}" for key, value in json.loads(line).items())
    text = f"a cat\nNegative prompt: rain\n{written}"
    print(json.dumps(host.parse_generation_parameters(text)), file=answers, flush=True)
