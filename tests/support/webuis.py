"""Webuis to run the scenarios on: the miniature, and the real ones whose folders are given in ``MULTIPASS_WEBUI``.

Everything that a webui writes, and everything that is linked into it, lies in a ``--data-dir`` of its own: the webui's
folder is not touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock

from support import forked
from support.client import Client
from support.forked import Forked
from support.hosts import A1111, Kind, kind_of, one_each

REPOSITORY = Path(__file__).parents[2]
MINIATURE = REPOSITORY / "tests" / "webui"
GIVEN = "MULTIPASS_WEBUI"
FILES = "MULTIPASS_FILES"
"""A variable with the folder of what ``real_files.py`` has made, for a webui without the model code for it."""
HOW_TO_GIVE = f"set {GIVEN} to the folder of a webui (several: separated by {os.pathsep!r}) to run this on it"

# One thread: ultralytics changes torch's thread count on first use, which changes the last bit of later pictures.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "YOLO_OFFLINE": "true",
    "OMP_NUM_THREADS": "1",
    "PYTHONUNBUFFERED": "1",
}
CONFIG = {
    "sd_model_checkpoint": "alpha.safetensors",
    "sd_vae": "Automatic",
    "samples_save": False,
    "grid_save": False,
    "live_previews_enable": False,
    # Up to 1.6.0 a job fails when it overrides an option that is not stored.
    "ad_only_selected_scripts": True,
    "CLIP_stop_at_last_layers": 1,
}
PROBES = {"beneath-multipass": "beneath", "multipass-probe": "probe"}
"""Folders of the tests' own extensions by their names in the webui, which loads extensions in the order of names."""
SLOWEST_START = 240
"""Seconds; a real webui takes 10 to 50 here, most of it importing."""


@dataclass(frozen=True)
class Webui:
    """A webui that can be started."""

    name: str
    root: Path
    python: str
    adetailer: Path | None
    real: bool
    flags: tuple[str, ...] = ()
    kind: Kind = A1111

    def __str__(self) -> str:
        return self.name


def miniatures() -> list[Webui]:
    """The miniature, as it behaves like the newest webui and like one whose eviction is broken."""
    detailer = MINIATURE / "adetailer"
    return [
        Webui(f"miniature-{like}", MINIATURE, sys.executable, detailer, False, ("--like", like))
        for like in ("1.10.1", "1.6.0")
    ]


def given() -> list[Webui]:
    """The real webuis that the environment names, with the ADetailer in them or in ``MULTIPASS_ADETAILER``."""
    roots = [Path(root) for root in os.environ.get(GIVEN, "").split(os.pathsep) if root]
    pythons, adetailers = (one_each(name, len(roots)) for name in ("MULTIPASS_WEBUI_PYTHON", "MULTIPASS_ADETAILER"))
    return [
        Webui(root.name, root, _python_of(root, python), _adetailer_of(root, adetailer), True, kind=kind_of(root))
        for root, python, adetailer in zip(roots, pythons, adetailers, strict=True)
    ]


def maker() -> Webui | None:
    """The first of those given that can make full-size files; None without one."""
    return next((webui for webui in given() if webui.kind.makes_files), None)


def _python_of(root: Path, named: str) -> str:
    for inside in ("venv/bin/python", "venv/Scripts/python.exe"):
        if (root / inside).exists():
            return str(root / inside)
    return named or sys.executable


def _adetailer_of(root: Path, elsewhere: str) -> Path | None:
    candidates = [Path(elsewhere)] if elsewhere else []
    candidates.append(root / "extensions" / "adetailer")
    return next((folder for folder in candidates if folder.is_dir()), None)


@dataclass
class Server:
    """A running webui."""

    webui: Webui
    data: Path
    client: Client
    process: subprocess.Popen | Forked = field(repr=False)

    @property
    def log(self) -> str:
        """Everything that it has printed so far."""
        return (self.data / "log.txt").read_text(encoding="utf-8", errors="replace")

    @property
    def config(self) -> bytes:
        """Its config.json as it lies on disk."""
        return (self.data / "config.json").read_bytes()


@contextmanager
def running(
    webui: Webui,
    data: Path,
    *flags: str,
    multipass: bool = True,
    config: dict | None = None,
    checkpoints: bool = True,
    environment: dict | None = None,
    device: tuple[str, ...] | None = None,
    neighbours: Iterable[Path] = (),
) -> Iterator[Server]:
    """Start a webui on a free loopback port with an empty data folder, wait until it is ready, stop it at the end.

    Args:
        webui: which one.
        data: a folder that does not exist yet.
        flags: command-line flags besides the usual ones.
        multipass: whether the extension under test is linked into it.
        config: options that differ from the usual ones; None for one that shall not be stored.
        checkpoints: whether to put the tests' checkpoints into it; the miniature makes some of its own if not.
        environment: variables besides the usual ones.
        device: flags that say where to compute, on the CPU unless given; none for the webui's own choice, which is a
            CUDA device if it has one.
        neighbours: folders of further extensions.
    """
    fill(data, webui, multipass, config or {}, checkpoints, neighbours)
    port = free_port()
    device = webui.kind.on_cpu if device is None else device
    arguments = [*webui.kind.flags, *device, *webui.flags, *flags, "--port", str(port), "--data-dir", str(data)]
    if not webui.kind.serves_its_folder:
        arguments += ["--gradio-allowed-path", str(webui.root)]
    if webui.real and webui.adetailer:
        arguments.append("--ad-no-huggingface")
    variables = {
        **os.environ,
        **ENVIRONMENT,
        "PROBE_SHARED_CONFIG": str(data / "shared.yaml") if webui.real else "",
        "PROBE_TEXT_ENCODER": str(data / "multipass-tiny.json") if webui.real else "",
        "PROBE_TOKENIZER": str(data / "clip") if webui.real else "",
        **(environment or {}),
    }
    process = _launch(webui, arguments, variables, data / "log.txt")
    server = Server(webui, data, Client(f"http://127.0.0.1:{port}", webui.kind, not multipass), process)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _launch(webui: Webui, arguments: list[str], variables: dict[str, str], log: Path) -> subprocess.Popen | Forked:
    program = webui.root / "launch.py"
    if not webui.real and forked.POSSIBLE:
        log.touch()
        return Forked(program, arguments, variables, log)
    command = [webui.python, str(program), *arguments]
    with log.open("w", encoding="utf-8") as file:
        streams = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
        return subprocess.Popen(command, cwd=webui.root, env=variables, **streams)


def fill(
    data: Path,
    webui: Webui,
    multipass: bool,
    config: dict,
    checkpoints: bool = True,
    neighbours: Iterable[Path] = (),
) -> None:
    """Put the extensions, the checkpoints and the settings into an empty data folder."""
    extensions = data / "extensions"
    extensions.mkdir(parents=True)
    (data / "tmp").mkdir()  # where Forge Neo's page puts its pictures, if it is there
    if multipass:
        _link(REPOSITORY, extensions / "multipass")
    if webui.adetailer:
        _link(webui.adetailer, extensions / "adetailer")
    for name, folder in PROBES.items():
        _link(Path(__file__).parent / folder, extensions / name)
    for folder in neighbours:
        _link(folder, extensions / folder.name)
    if checkpoints:
        shutil.copytree(_real_files(webui) if webui.real else make_miniature_files(), data, dirs_exist_ok=True)
        if webui.kind.embeddings != A1111.embeddings:
            (data / A1111.embeddings).rename(data / webui.kind.embeddings)
    kept = {"multipass_stages": 0} if multipass else {}  # a job samples both passes, but where a test wants it else
    wanted = {**CONFIG, **kept, **webui.kind.config, **config}
    settings = {name: value for name, value in wanted.items() if value is not None}
    (data / "config.json").write_text(json.dumps(settings), encoding="utf-8")


def _link(source: Path, link: Path) -> None:
    try:
        link.symlink_to(source, target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(source, link, ignore=shutil.ignore_patterns(".venv", ".git", "tests"))


def make_miniature_files() -> Path:
    """Checkpoints for the miniature, made once."""
    return made("miniature", [sys.executable, "-m", "mini.checkpoints"], MINIATURE)


def _real_files(webui: Webui) -> Path:
    """Checkpoints, VAE and face detector for real webuis, made by the model code of the first one that needs them."""
    if not webui.kind.makes_files:
        return _made_elsewhere(webui)
    maker = Path(__file__).with_name("real_files.py")
    detector = ["--detector"] if webui.adetailer else []
    command = [webui.python, str(maker), "--repositories", str(webui.root / "repositories"), *detector]
    return made("real", command, webui.root, (maker, maker.with_name("real_sdxl.py")))


def _made_elsewhere(webui: Webui) -> Path:
    """Those that another webui has made for its own tests, or that were made by hand."""
    files = Path(os.environ.get(FILES) or REPOSITORY / ".cache" / "real")
    if not (files / "multipass-tiny.json").exists():
        raise RuntimeError(
            f"{webui} cannot make the tests' files: run a test on a stock webui first, or let {FILES} name a folder"
        )
    return files


def made(name: str, command: list[str], folder: Path, sources: Iterable[Path] = ()) -> Path:
    """A cached folder of files; made again when it is unfinished or was moved, since configs hold absolute paths, and
    when the source of what makes it has changed."""
    files = REPOSITORY / ".cache" / name
    done = files / "made-at.txt"
    state = "\n".join([str(files), *(hashlib.sha256(source.read_bytes()).hexdigest() for source in sources)])
    files.parent.mkdir(exist_ok=True)
    with FileLock(files.with_suffix(".lock")):  # tests run in several processes
        if not done.exists() or done.read_text(encoding="utf-8") != state:
            shutil.rmtree(files, ignore_errors=True)
            subprocess.run([*command, "--out", str(files)], cwd=folder, check=True)
            done.write_text(state, encoding="utf-8")
    return files


def free_port() -> int:
    """One of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait(server: Server) -> None:
    """Wait for the log, not by asking: a request while a real webui starts makes it fail to start."""
    until = time.monotonic() + SLOWEST_START
    while time.monotonic() < until and server.process.poll() is None:
        if server.webui.kind.is_ready(server.log):
            server.client.wait(until)
            return
        time.sleep(0.2)
    raise RuntimeError(f"{server.webui} did not start; the end of its log:\n{server.log[-4000:]}")


def make_full_size(webui: Webui, data: Path, *names: str) -> None:
    """Put full-size checkpoints, made by the webui's own model code, into a data folder that is not filled yet."""
    maker = Path(__file__).with_name("full_size.py")
    command = [webui.python, str(maker), "--out", str(data), "--webui", str(webui.root), *names]
    subprocess.run(command, cwd=webui.root, check=True, stdout=subprocess.DEVNULL)
