"""What a container leaves of the computer's memory: Linux control groups, versions 1 and 2.

Docker, RunPod, Kubernetes and systemd limit the memory of the processes in a group; ``psutil`` tells of the whole
computer. Who takes more than the group may have is killed by the kernel, without an error to anybody.

https://docs.kernel.org/admin-guide/cgroup-v2.html, "Memory"; https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

OWN, MOUNT = "/proc/self/cgroup", "/sys/fs/cgroup"
_FILES = {
    2: ("memory.max", "memory.current", ("inactive_file", "active_file")),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
}
"""By version: the limit, what is used, and of ``memory.stat`` the file cache in it, which the kernel gives up before it
kills anybody."""

_BEYOND = 2**60


def free_bytes(read: Callable[[str], str | None] | None = None) -> int | None:
    """Bytes that the tightest of this process's groups still leaves, its file cache included; None without a limit.

    Args:
        read: gives the text of a file, None if it is not there; by default the real files.
    """
    read = read or _read
    left = [_left_in(version, folder, read) for version, folder in folders(read(OWN) or "")]
    return min((amount for amount in left if amount is not None), default=None)


def folders(own: str) -> Iterator[tuple[int, str]]:
    """The folders of the groups that a process is in and of all groups around them, each with the version.

    In a container the path is often that outside of it, which is not there; its own group is the root then.

    Args:
        own: the text of ``/proc/self/cgroup``: lines ``number:controllers:path``, in version 2 ``0::path``.
    """
    for line in own.splitlines():
        _, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        version = 1 if controllers else 2
        if not colon or (version == 1 and "memory" not in controllers.split(",")):
            continue
        root = PurePosixPath(MOUNT if version == 2 else f"{MOUNT}/memory")
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        for end in range(len(parts), -1, -1):
            yield version, str(root.joinpath(*parts[:end]))


def left(limit: str | None, used: str | None, stat: str | None, cache: tuple[str, ...]) -> int | None:
    """Bytes that a group leaves, at least 0; None if it has no limit or does not tell.

    Args:
        limit: the text of its limit: bytes, or ``max``; version 1 has a number beyond all memory for it.
        used: bytes in use, file cache included.
        stat: lines ``name bytes``.
        cache: the names in them of the file cache.
    """
    most, taken = _number(limit), _number(used)
    if most is None or taken is None or most >= _BEYOND:
        return None
    stats = dict(line.split(maxsplit=1) for line in (stat or "").splitlines() if " " in line)
    cached = sum(_number(stats.get(name)) or 0 for name in cache)
    return max(0, most - max(0, taken - cached))


def _left_in(version: int, folder: str, read: Callable[[str], str | None]) -> int | None:
    limit, used, cache = _FILES[version]
    most = read(f"{folder}/{limit}")
    if left(most, "0", None, ()) is None:  # most groups have no limit
        return None
    return left(most, read(f"{folder}/{used}"), read(f"{folder}/memory.stat"), cache)


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def _read(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):  # not Linux, not there, or not for us
        return None
