"""Samples on disk: what is written comes back, whatever happens in between."""

import os
import shutil
import zlib

import numpy as np
import pytest

from memtop.history import sample_archive
from memtop.history.sample_archive import ArchiveTick, ArchiveWriter, SampleOwner, read_archive

NOW = 1_800_000_000.0


def whose(count):
    return [SampleOwner(f"uid-{i}", "app") for i in range(count)]


def tick(at, containers, values, ends=()):
    offsets = -np.arange(len(containers)) % 15
    return ArchiveTick(at, containers, at + offsets, np.array(values, np.float32), ends)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "samples" / "cluster"


def segments(folder):
    return sorted(folder.glob("*.samples"))


def test_what_is_written_comes_back(folder):
    one, two, three = whose(3)
    writer = ArchiveWriter(folder)
    assert writer.append(tick(NOW, [one, two], [1e9, 2e6], [(1, NOW - 5, False), (1, NOW - 9, True)]))
    assert writer.append(tick(NOW + 120, [two, three], [3e6, 7.0]))
    kept = read_archive(folder, [two, three, SampleOwner("uid-9", "app")], NOW - 60)
    assert set(kept) == {two, three}
    assert kept[two].times.tolist() == [NOW + 14, NOW + 120]
    assert kept[two].values.tolist() == [2e6, 3e6]
    assert kept[two].restarts.tolist() == [NOW - 5]
    assert kept[two].oom_kills.tolist() == [NOW - 9]
    assert kept[three].values.tolist() == [7.0]
    assert not len(kept[three].restarts)


def test_nothing_older_than_asked_for(folder):
    writer = ArchiveWriter(folder)
    for minute in range(10):
        writer.append(tick(NOW + 60 * minute, whose(1), [minute]))
    assert read_archive(folder, whose(1), NOW + 270)[whose(1)[0]].values.tolist() == [5, 6, 7, 8, 9]


def test_no_folder_is_no_past(folder):
    assert read_archive(folder, whose(2), 0) == {}


@pytest.mark.parametrize("cut", [1, 5, 11, 12, 13, 30])
def test_a_torn_last_block_is_dropped_and_the_rest_stays(folder, cut):
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, whose(2), [1, 2]))
    (segment,) = segments(folder)
    whole = segment.stat().st_size
    writer.append(tick(NOW + 120, whose(2), [3, 4]))
    writer.close()
    os.truncate(segment, whole + cut)
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1]
    again = ArchiveWriter(folder)
    again.append(tick(NOW + 240, whose(2), [5, 6]))
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1, 5]


def test_a_flipped_bit_ends_its_segment_only(folder):
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, whose(2), [1, 2]))
    writer.append(tick(NOW + 120, whose(2), [3, 4]))
    writer.close()
    (segment,) = segments(folder)
    raw = bytearray(segment.read_bytes())
    raw[20] ^= 0x40
    segment.write_bytes(raw)
    later = ArchiveWriter(folder)
    later.append(tick(NOW + 240, whose(2), [5, 6]))
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [5]


def test_something_that_is_no_segment_is_passed_over(folder):
    folder.mkdir(parents=True)
    (folder / "000-0000.samples").write_bytes(b"not ours" * 100)
    (folder / "001-0000.samples").write_bytes(b"")
    ArchiveWriter(folder).append(tick(NOW, whose(1), [1]))
    assert len(read_archive(folder, whose(1), 0)) == 1


def test_one_writes_and_others_read(folder):
    first, second = ArchiveWriter(folder), ArchiveWriter(folder)
    assert first.append(tick(NOW, whose(1), [1]))
    assert not second.append(tick(NOW, whose(1), [99]))
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1]
    first.close()
    assert second.append(tick(NOW + 120, whose(1), [2]))
    assert not first.append(tick(NOW + 121, whose(1), [99]))
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1, 2]


def test_it_stays_within_its_bounds(folder):
    rng = np.random.default_rng(1)
    most = 80_000
    writer = ArchiveWriter(folder, most)
    for number in range(300):
        writer.append(tick(NOW + 120 * number, whose(400), rng.uniform(0, 1e9, 400)))
        assert sum(path.stat().st_size for path in segments(folder)) <= most
    assert len(segments(folder)) > 3
    newest = read_archive(folder, whose(1), 0)[whose(1)[0]].times[-1]
    assert newest == NOW + 120 * 299


def test_what_is_too_old_is_deleted_of_other_clusters_too(folder):
    other = folder.parent / "other"
    for place in (folder, other):
        writer = ArchiveWriter(place)
        writer.append(tick(NOW, whose(1), [1]))
        writer.close()
        os.utime(segments(place)[0], (1, 1))
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW + 120, whose(1), [2]))
    assert len(segments(folder)) == 1
    assert segments(other) == []


def test_a_segment_does_not_last_for_ever(folder):
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, whose(1), [1]))
    writer.append(tick(NOW + sample_archive.SEGMENT_SECONDS + 1, whose(1), [2]))
    assert len(segments(folder)) == 2
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1, 2]


def test_nobody_else_may_read_it(folder):
    ArchiveWriter(folder).append(tick(NOW, whose(1), [1]))
    assert folder.stat().st_mode & 0o077 == 0
    assert segments(folder)[0].stat().st_mode & 0o077 == 0


def test_a_disk_that_cannot_be_written_says_so(folder, monkeypatch):
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, whose(1), [1]))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.open", full)
        with pytest.raises(OSError, match="No space left"):
            writer.append(tick(NOW + 120, whose(1), [2]))
    writer.append(tick(NOW + 240, whose(1), [3]))
    assert len(segments(folder)) == 2  # the first one's end may be torn
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1, 3]


@pytest.mark.parametrize("what", ["folder", "segments"])
def test_what_is_deleted_under_it_is_begun_anew(folder, what):
    (one,) = whose(1)
    writer = ArchiveWriter(folder)
    assert writer.append(tick(NOW, [one], [1.0]))
    if what == "folder":
        shutil.rmtree(folder)
    else:
        for segment in segments(folder):
            segment.unlink()
    assert writer.append(tick(NOW + 120, [one], [2.0]))
    assert read_archive(folder, [one], NOW - 60)[one].values.tolist() == [2.0]
    assert not ArchiveWriter(folder).append(tick(NOW + 120, [one], [3.0])), "the folder is locked again"


def _sealed(block):
    """A block with the right checksum, whatever it holds."""
    body = zlib.compress(block)
    return sample_archive._BLOCK_HEAD.pack(sample_archive._MAGIC, len(body), zlib.crc32(body)) + body


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": b"\xff\xff\xff\xff"},
        {"numbers": b"abc"},
        {"offsets": b""},
        {"values": b"\0"},
        {"ends": [(99, NOW, True)]},
        {"names": [], "numbers": b"\0\0\0\0"},
        {"time": float("inf")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_block_that_makes_no_sense_ends_its_segment_only(folder, change):
    one = whose(1)
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, one, [1.0]))
    writer.close()
    odd = {
        "time": NOW + 60, "names": [("uid-0", "app")], "numbers": b"\0\0\0\0", "offsets": b"\0\0",
        "values": b"\0\0\0\0", "ends": [], "pods": [], **change,
    }  # fmt: skip
    fields = sample_archive._ArchiveBlock.__struct_fields__
    block = sample_archive._ArchiveBlock(**{name: odd[name] for name in fields})
    segments(folder)[0].open("ab").write(_sealed(sample_archive._ENCODER.encode(block)))
    kept = read_archive(folder, one, NOW - 60)[one[0]]
    assert kept.values.tolist()[0] == 1.0
    assert np.isfinite(kept.times).all()


def test_a_pipe_or_a_bomb_among_the_segments_is_passed_over(folder, monkeypatch):
    monkeypatch.setattr("config.private_files.PIPE_SECONDS", 0.1)
    writer = ArchiveWriter(folder)
    writer.append(tick(NOW, whose(1), [1.0]))
    os.mkfifo(folder / "000000000001-0000.samples")
    (folder / "000000000002-0000.samples").write_bytes(_sealed(b"\0" * (200 << 20)))
    assert read_archive(folder, whose(1), 0)[whose(1)[0]].values.tolist() == [1.0]
