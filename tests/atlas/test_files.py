"""Packing does not change the answers of an atlas, and a kill while packing loses nothing."""

import json
import os
import shutil
from pathlib import Path

import pytest

from neurflow.atlas import Atlas, renew
from neurflow.atlas.files import contents, new_file, pack, packed_file
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import add_circuit
from neurflow.errors import ResultError, WorkError
from neurflow.runtime.progress import Silent
from tests.conftest import relabelled


def rows(atlas):
    """All rows of all tables, sorted."""
    return {
        table: sorted(map(repr, atlas.query(f"SELECT * FROM {table}").to_dict("records")))
        for table in TABLES
    }


@pytest.fixture(scope="module")
def circuits_in_atlas(circuits, tmp_path_factory):
    """The folder of a sweep whose circuits are in the atlas but not packed."""
    folder = tmp_path_factory.mktemp("sweep")
    for name, circuit in circuits.items():
        add_circuit(folder / "atlas", name, circuit)
    return folder


@pytest.fixture
def sweep(circuits_in_atlas, tmp_path):
    """A copy of it, to be written into."""
    return shutil.copytree(circuits_in_atlas, tmp_path / "sweep")


@pytest.fixture(scope="module")
def expected(circuits_in_atlas):
    return rows(Atlas(circuits_in_atlas))


def files(atlas):
    return {str(file.relative_to(atlas)) for file in atlas.rglob("*.parquet")}


def test_packed_tables_have_the_rows_of_the_circuits(sweep, expected):
    entered = contents(sweep / "atlas").entered
    pack(sweep / "atlas")
    assert rows(Atlas(sweep)) == expected and all(expected[t] for t in TABLES if t not in LATER)
    assert files(sweep / "atlas") == {f"{table}.parquet" for table in TABLES}
    assert contents(sweep / "atlas").entered == entered, "when they were entered is kept"


LATER = {"labels", "evidence"}
"""tables that are empty in a new circuit"""


def test_a_circuit_that_is_added_again_replaces_the_packed_one(sweep, expected, circuits):
    pack(sweep / "atlas")
    ant = circuits["c-ant"]
    id = ant.layers[0].groups[0].id
    add_circuit(sweep / "atlas", "c-ant", relabelled(ant, id, "wings"))
    for _ in range(2):
        found = rows(Atlas(sweep))
        assert {t: found[t] for t in TABLES if t != "labels"} == {
            t: expected[t] for t in TABLES if t != "labels"
        }
        assert len(found["labels"]) == 1 and "wings" in found["labels"][0]
        pack(sweep / "atlas")
    assert not contents(sweep / "atlas").new


def test_tables_are_packed_only_if_a_quarter_is_new(sweep, circuits):
    atlas, ant = sweep / "atlas", circuits["c-ant"]
    for number in range(4):
        add_circuit(atlas, f"c-ant-{number}", ant)
    pack(atlas)
    assert len(contents(atlas).packed) == 7
    for number, new in ((4, 1), (5, 2), (6, 0)):  # 1 of 8 and 2 of 9 are less than a quarter
        add_circuit(atlas, f"c-ant-{number}", ant)
        before = packed_file(atlas, "groups").stat().st_mtime_ns
        pack(atlas)
        assert len(contents(atlas).new) == new
        assert (packed_file(atlas, "groups").stat().st_mtime_ns == before) == bool(new)
    assert len(Atlas(sweep).query("SELECT * FROM targets")) == 10


class Killed(BaseException):
    """Simulates a kill; no code catches it."""


@pytest.mark.parametrize("again", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("what", ["replace", "unlink"])
def test_a_kill_while_packing_loses_nothing(sweep, expected, circuits, monkeypatch, what, again):
    if again:
        pack(sweep / "atlas")
        add_circuit(sweep / "atlas", "c-ant", circuits["c-ant"])
        add_circuit(sweep / "atlas", "c-fly", circuits["c-bee"])
        expected = rows(Atlas(sweep))
    asking = Atlas(sweep)
    owner, name = (os, "replace") if what == "replace" else (Path, "unlink")
    real, kills = getattr(owner, name), 0
    while True:
        left = [kills]

        def deadly(*given, left=left, **options):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*given, **options)

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, deadly)
            try:
                pack(sweep / "atlas")
                break
            except Killed:
                kills += 1
        assert rows(Atlas(sweep)) == expected
        assert rows(asking) == expected, "who asks meanwhile is told no row twice"
        assert Atlas(sweep).query("SELECT count(*) FROM targets").iloc[0, 0] == 3 + again
    assert kills >= (len(TABLES) if what == "replace" else 1)
    assert rows(asking) == rows(Atlas(sweep)) == expected
    assert not contents(sweep / "atlas").new


def test_a_full_disk_leaves_the_atlas_as_it_was(sweep, expected, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.replace", full)
        with pytest.raises(WorkError, match="No space left"):
            pack(sweep / "atlas")
    assert rows(Atlas(sweep)) == expected
    assert not list((sweep / "atlas").rglob("*.partial"))


def test_queries_work_while_another_process_packs(sweep, expected):
    asking = Atlas(sweep)
    pack(sweep / "atlas")  # the files that it had listed were removed
    assert rows(asking) == expected


@pytest.mark.parametrize("damage", ["packed.json", "groups.parquet", "list"])
def test_a_damaged_atlas_is_rebuilt(sweep, expected, circuits, damage):
    for name, circuit in circuits.items():
        circuit.save(sweep / "circuits" / name)
    renew(sweep, whole=True)
    assert not contents(sweep / "atlas").new
    if damage == "list":
        (sweep / "atlas" / "packed.json").write_text(json.dumps(["c-ant"]))
    else:
        (sweep / "atlas" / damage).unlink()
    assert rows(Atlas(sweep)) == expected


@pytest.mark.parametrize("packed", [True, False])
def test_a_truncated_table_is_reported_with_the_solution(sweep, expected, circuits, packed):
    for name, circuit in circuits.items():
        circuit.save(sweep / "circuits" / name)
    renew(sweep, whole=True)
    atlas = sweep / "atlas"
    if packed:
        file = packed_file(atlas, "neurons")
    else:
        add_circuit(atlas, "c-ant", circuits["c-ant"])
        file = new_file(atlas, "neurons", "c-ant")
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(ResultError, match=r"damaged.*neurflow atlas .* --renew"):
        add_circuit(atlas, "c-bee", circuits["c-bee"])
        pack(atlas)
    with pytest.raises(ResultError, match=r"damaged.*neurflow atlas .* --renew"):
        Atlas(sweep, progress=Silent())
    renew(sweep, whole=True)
    assert rows(Atlas(sweep)) == expected


def test_incomplete_entries_are_not_read(sweep, expected, circuits, monkeypatch):
    atlas, written = sweep / "atlas", [3]

    def deadly(*given, real=os.replace):
        written[0] -= 1
        if written[0] < 0:
            raise Killed
        real(*given)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr("os.replace", deadly)
        add_circuit(atlas, "c-half", circuits["c-bee"])
    assert list(atlas.rglob("c-half.parquet")) and not new_file(atlas, "targets", "c-half").exists()
    assert rows(Atlas(sweep)) == expected
    pack(atlas)
    assert rows(Atlas(sweep)) == expected
