"""Journals: sums are restored exactly or not at all, and are written once a minute."""

import numpy as np
import pytest

from neurflow.runtime.journal import EVERY, Journal


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def sums(value=0.0):
    return {"sum": np.full((2, 3), value), "done": np.full(4, bool(value))}


def test_sums_are_restored_only_for_the_same_key(tmp_path, clock):
    journal, running, other = Journal(tmp_path / "a.npz", clock=clock), sums(), sums(7.0)
    journal.follow("x", running)
    journal.follow("y", other)
    running["sum"][1, 2], running["done"][0] = 1 / 3, True
    clock.now = EVERY
    journal.tick()
    again, fresh = Journal(tmp_path / "a.npz", clock=clock), sums()
    again.follow("x", fresh)
    assert all((fresh[name] == running[name]).all() for name in running)
    stranger = sums()
    again.follow("z", stranger)
    assert not stranger["done"].any()
    clock.now = 3 * EVERY
    again.tick()  # sums that have not been requested yet are still stored
    late = sums()
    Journal(tmp_path / "a.npz").follow("y", late)
    assert (late["sum"] == 7).all()


def test_journals_are_written_once_a_minute_if_all_numbers_are_finite(tmp_path, clock):
    journal, running = Journal(tmp_path / "a.npz", clock=clock), sums(1.0)
    journal.follow("x", running)
    clock.now = EVERY - 1
    journal.tick()
    assert not (tmp_path / "a.npz").exists()
    clock.now = EVERY
    running["sum"][0] = np.nan
    journal.tick()
    assert not (tmp_path / "a.npz").exists()
    running["sum"][0] = 0
    clock.now = 2 * EVERY
    journal.tick()
    assert (tmp_path / "a.npz").exists()
    Journal(tmp_path / "a.npz").write()  # by a journal without requests
    Journal(tmp_path / "a.npz").follow("x", again := sums())
    assert again["done"].all()
    journal.remove()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "data", [b"", b"no zip", {"x/sum": np.zeros(2)}, {"x/sum": np.full((2, 3), np.inf)}]
)
def test_damaged_journals_and_other_shapes_are_ignored(tmp_path, data):
    file = tmp_path / "a.npz"
    if isinstance(data, bytes):
        file.write_bytes(data)
    else:
        np.savez(file, **{"x/done": np.ones(4, dtype=bool), **data})
    running = sums()
    Journal(file).follow("x", running)
    assert not running["done"].any()
    assert not running["sum"].any()


def test_without_a_file_nothing_is_stored(tmp_path, clock, monkeypatch):
    monkeypatch.chdir(tmp_path)
    journal = Journal(clock=clock)
    journal.follow("x", sums(1.0))
    clock.now = 10 * EVERY
    journal.tick()
    journal.follow("x", again := sums())
    assert not again["done"].any()
    journal.remove()
    assert not list(tmp_path.iterdir())
