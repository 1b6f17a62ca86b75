"""What containers leave of the memory, from the texts that Linux has about them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib_multipass.memory.cgroups import folders, free_bytes

GB = 10**9
DOCKER = "0::/\n"
V1 = "12:memory:/docker/4f1c\n11:cpu,cpuacct:/docker/4f1c\n1:name=systemd:/docker/4f1c\n0::/docker/4f1c\n"
NESTED = "0::/user.slice/user-1000.slice/app.service\n"
ROOT, ROOT1 = "/sys/fs/cgroup", "/sys/fs/cgroup/memory"


def group(folder, limit, used, cached=0):
    return {
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": f"anon {used}\nfile {cached}\ninactive_file {cached // 3}\n"
        f"active_file {cached - cached // 3}\nunevictable 0\n",
    }


def group1(folder, limit, used, cached=0):
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": f"cache 5\ninactive_file 7\ntotal_inactive_file {cached}\ntotal_active_file 0\n",
    }


def left(own, *groups):
    texts = {"/proc/self/cgroup": own}
    for one in groups:
        texts |= one
    return free_bytes(texts.get)


def test_a_container():
    assert left(DOCKER, group(ROOT, 16 * GB, 5 * GB)) == 11 * GB


def test_the_cache_of_files_is_given_up_before_anybody_is_killed():
    assert left(DOCKER, group(ROOT, 16 * GB, 15 * GB, cached=9 * GB)) == 10 * GB


def test_version_1():
    assert left(V1, group1(ROOT1, 16 * GB, 5 * GB, cached=GB)) == 12 * GB
    assert left(V1, group1(f"{ROOT1}/docker/4f1c", 8 * GB, 5 * GB), group1(ROOT1, 2**63 - 4096, 6 * GB)) == 3 * GB


def test_the_tightest_of_the_groups_around_it_counts():
    inner, outer = f"{ROOT}/user.slice/user-1000.slice/app.service", f"{ROOT}/user.slice"
    assert left(NESTED, group(inner, "max", GB), group(outer, 4 * GB, 3 * GB)) == GB
    assert left(NESTED, group(inner, 2 * GB, GB), group(outer, 9 * GB, 3 * GB)) == GB


@pytest.mark.parametrize(
    ("own", "groups"),
    [
        (None, []),  # Windows, macOS
        ("", []),
        (DOCKER, []),
        (DOCKER, [group(ROOT, "max", 5 * GB)]),
        (V1, [group1(ROOT1, 9223372036854771712, 5 * GB)]),
        ("what is this", [group(ROOT, 5, 5)]),
        ("4:cpu:/x", [group(ROOT, 5, 5), group1(ROOT1, 5, 5)]),
    ],
)
def test_without_a_limit_nothing_is_told(own, groups):
    assert left(own, *groups) is None


def test_more_than_the_limit_in_use_leaves_nothing():
    assert left(DOCKER, group(ROOT, 5, 9)) == 0


def test_paths_do_not_lead_out():
    assert list(folders("0::/../../etc\n")) == [(2, f"{ROOT}/etc"), (2, ROOT)]


@given(st.text(max_size=60), st.text(max_size=30), st.text(max_size=30), st.text(max_size=60))
def test_any_text_is_taken(own, limit, used, stat):
    files = {"memory.max": limit, "memory.current": used, "memory.stat": stat, "cgroup": own}
    told = free_bytes(lambda path: files.get(path.rpartition("/")[2]))
    assert told is None or told >= 0


def test_this_computer_does_not_mind_being_asked():
    told = free_bytes()
    assert told is None or told >= 0
