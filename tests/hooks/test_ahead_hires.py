"""Reading the third checkpoint ahead: it is ADetailer's, and the hires pass is what covers its reading."""

import pytest

from lib_multipass.memory.reader import Reader

A, B, C = "alpha", "beta", "gamma"


@pytest.fixture
def started(host, monkeypatch):
    """The checkpoints whose reading began, with what was loaded then."""
    host.run(host.job())
    assert host.loaded == [A]
    begun = []

    def start(self, path, hashing, keep_going, *then):
        begun.append(
            (host.sd_models.get_closet_checkpoint_match(path.replace("\\", "/").rpartition("/")[2]), host.loaded)
        )
        original(self, path, hashing, keep_going, *then)

    original = Reader.start
    monkeypatch.setattr(Reader, "start", start)
    yield begun
    host.run(host.job())


def names(begun):
    return [(checkpoint.name_for_extra, sorted(loaded)) for checkpoint, loaded in begun]


def test_each_pass_covers_the_next_file(host, started):
    host.run(host.job(True, B, C, faces={"ad_model": "face_yolov8n.pt"}))
    assert names(started) == [(B, [A]), (C, [A, B])]
    assert sorted(host.loaded) == [A, B, C]


def test_nothing_is_read_twice(host, started):
    for _ in range(2):
        host.run(host.job(True, B, C, faces={"ad_model": "face_yolov8n.pt"}))
    assert len(started) == 2


def test_a_job_without_a_third_checkpoint(host, started):
    host.run(host.job(True, B, faces={"ad_model": "face_yolov8n.pt"}))
    assert names(started) == [(B, [A])]


def test_when_the_second_is_loaded_the_first_pass_covers_the_third(host, started):
    host.run(host.job(True, B))
    started.clear()
    host.run(host.job(True, B, C, faces={"ad_model": "face_yolov8n.pt"}))
    assert names(started) == [(C, [A, B])]


def test_an_unticked_job_reads_nothing(host, started):
    host.run(host.job(hr_checkpoint_name=B))
    assert started == []
