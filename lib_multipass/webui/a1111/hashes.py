"""The webui's cache of file hashes.

Before the webui loads a file for the first time it hashes it (``CheckpointInfo.calculate_shorthash`` calls
``hashes.sha256``, which looks into the hash cache and then calls ``hashes.calculate_sha256``; 1.6.0 to 1.10.1).
"""

from __future__ import annotations

from modules import hashes

from lib_multipass.plan.names import Checkpoint
from lib_multipass.webui.base import host


def is_settled(checkpoint: Checkpoint) -> bool:
    """Whether the webui will not hash this checkpoint's file: it knows the hash, or is told not to make any.

    Raises:
        OSError: for a file that is not there.
    """
    return bool(host.options.flag("no_hashing") or hashes.sha256_from_cache(checkpoint.filename, _title(checkpoint)))


def store(checkpoint: Checkpoint) -> None:
    """Let the webui make the hash and store it as it does for a file that it loads."""
    hashes.sha256(checkpoint.filename, _title(checkpoint))


def _title(checkpoint: Checkpoint) -> str:
    """The checkpoint's key in the cache (``CheckpointInfo``, 1.6.0 to 1.10.1)."""
    return f"checkpoint/{checkpoint.name}"
