"""Two webuis of which one hands shares of its batches to the other, with the extension Distributed.

Its folder is given in ``MULTIPASS_DISTRIBUTED``; it is copied, since it writes into itself.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support import webuis
from support.client import Client, Rendered

GIVEN = "MULTIPASS_DISTRIBUTED"
HOW_TO_GIVE = f"set {GIVEN} to the folder of stable-diffusion-webui-distributed to run this with two webuis"
INSTALLED_AS = "stable-diffusion-webui-distributed"
"""Its folder where it was installed from its address; the webui calls the hooks of extensions in the order of these."""
LABEL = "second"
LABELLED = f", Worker Label: {LABEL}"
SEED = 7
EACH = 2
"""Pictures of a batch that each of the two makes, since they are said to be equally fast."""


@dataclass(frozen=True)
class Two:
    """The webui that is asked, and the one that makes a part of its pictures."""

    master: webuis.Server
    worker: webuis.Server

    def shared(self, **job) -> Rendered:
        """A job that both make."""
        return self.master.client.txt2img(**{"seed": SEED, **job}, batch_size=2 * EACH)

    def warm(self, **job) -> tuple[Rendered, list[str]]:
        """The same when everything that it needs is there, and what the worker read and built in it."""
        self.shared(**job)
        self.worker.client.probe()
        made, seen = self.shared(**job), self.worker.client.probe()
        return made, seen["reads"] + seen["builds"]


def given() -> Path | None:
    """The folder that the environment names."""
    folder = os.environ.get(GIVEN)
    if folder and not (Path(folder) / "scripts" / "distributed.py").exists():
        raise ValueError(f"{GIVEN} names {folder}, which is not the folder of stable-diffusion-webui-distributed.")
    return Path(folder) if folder else None


@contextmanager
def running(
    webui: webuis.Webui, data: Path, *, multipass: bool = True, folder_name: str = INSTALLED_AS
) -> Iterator[Two]:
    """Start the worker, and then the master, which asks it for its scripts at its start.

    Args:
        webui: what both are.
        data: a folder that does not exist yet.
        multipass: whether the worker has Multipass; the master has it.
        folder_name: the name of Distributed's folder.
    """
    extension, settings = data / folder_name, data / "distributed.json"
    shutil.copytree(given(), extension, ignore=shutil.ignore_patterns(".git", "__pycache__", "*.log", "*.json"))
    # Over the API no grid is made, but Distributed counts one where it is wanted on the page.
    config = {"return_grid": False}
    with webuis.running(webui, data / "worker", multipass=multipass, config=config) as worker:
        port = int(worker.client.url.rpartition(":")[2])
        workers = [
            {"master": {"avg_ipm": 60, "master": True}},
            {LABEL: {"avg_ipm": 60, "address": "127.0.0.1", "port": port}},
        ]
        # So that nothing depends on how fast they are: none is ever too slow, and none makes pictures besides.
        rules = {"benchmark_payload": {}, "job_timeout": 10**6, "complement_production": False}
        settings.write_text(json.dumps({"workers": workers, **rules}), encoding="utf-8")
        flags = ("--distributed-config", str(settings))
        with webuis.running(webui, data / "master", *flags, config=config, neighbours=[extension]) as master:
            yield Two(master, worker)


def by_one(client: Client, first: int, **job) -> list[tuple[str, bytes]]:
    """Infotexts and pictures of one share as one webui makes it.

    Of as many pictures at once: how many there are shows in the last bits, and in what a VAE encodes in more.

    Args:
        client: the webui.
        first: how many pictures come before.
        job: the job.
    """
    return told(client.txt2img(**{"seed": SEED, **job, "batch_size": EACH} | {"seed": SEED + first}))


def told(made: Rendered) -> list[tuple[str, bytes]]:
    """Infotexts and pictures."""
    return list(zip(made.infotexts, (picture.tobytes() for picture in made.pictures), strict=True))


def assert_equal(made: Rendered, by_master: Sequence[tuple[str, bytes]], by_worker: Sequence[tuple[str, bytes]]):
    """That these pictures with these infotexts were made, each by whom it should be; in any order."""
    expected = [*by_master, *((text + LABELLED, picture) for text, picture in by_worker)]
    assert sorted(text for text, _ in told(made)) == sorted(text for text, _ in expected)
    assert sorted(told(made)) == sorted(expected)
