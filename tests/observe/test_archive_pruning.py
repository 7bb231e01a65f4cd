"""What is deleted when the folder of samples is full: the oldest of it, and no more than has to be."""

from __future__ import annotations

import os

import numpy as np
import pytest

from memtop.history.sample_archive import ArchiveTick, ArchiveWriter, SampleOwner, read_archive

NOW = 1_800_000_000.0
MOST = 80_000
ONE = SampleOwner("uid-0", "app")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "samples" / "cluster"


def tick(at, count=400):
    values = np.random.default_rng(int(at)).uniform(0, 1e9, count).astype(np.float32)
    return ArchiveTick(at, [SampleOwner(f"uid-{i}", "app") for i in range(count)], np.full(count, at), values)


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.glob("*.samples")}


def test_a_full_folder_loses_its_oldest_segment_only(folder):
    writer = ArchiveWriter(folder, MOST)
    lost = 0
    for number in range(300):
        before = sizes(folder)
        writer.append(tick(NOW + 120 * number))
        gone = sorted(set(before) - set(sizes(folder)))
        lost += len(gone)
        assert gone == sorted(before)[: len(gone)], "the oldest go first"
        assert len(gone) <= 1, "one segment begins where one ends"
    assert lost > 10


def test_a_full_folder_remembers_as_far_back_as_fits(folder):
    writer = ArchiveWriter(folder, MOST)
    full = False
    for number in range(300):
        writer.append(tick(NOW + 120 * number))
        kept = sum(sizes(folder).values())
        full = full or kept > 0.8 * MOST
        if full:
            assert kept > 0.6 * MOST, "of eight segments at most two make room"
    assert full
    times = read_archive(folder, [ONE], 0)[ONE].times
    assert np.diff(times).tolist() == [120.0] * (len(times) - 1), "there is no hole in it"
    assert times[-1] == NOW + 120 * 299


def test_what_is_young_and_fits_is_never_deleted(folder):
    for session in range(5):
        writer = ArchiveWriter(folder, MOST)
        writer.append(tick(NOW + 3600 * session, count=3))
        writer.close()
    times = read_archive(folder, [ONE], 0)[ONE].times
    assert times.tolist() == [NOW + 3600 * session for session in range(5)]


def test_only_what_is_too_old_goes_where_there_is_room(folder):
    for session in range(4):
        writer = ArchiveWriter(folder, MOST)
        writer.append(tick(NOW + 3600 * session, count=3))
        writer.close()
    old, *others = sorted(folder.glob("*.samples"))
    os.utime(old, (1, 1))
    ArchiveWriter(folder, MOST).append(tick(NOW + 3600 * 4, count=3))
    assert not old.exists()
    assert all(path.exists() for path in others)
