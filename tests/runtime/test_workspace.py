"""Intermediate results are written atomically, and full disks give a clear error."""

import numpy as np
import pytest

from neurflow.errors import RequestError, WorkError
from neurflow.runtime.files import write_atomically
from neurflow.runtime.workspace import Workspace, open_workspace


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "weights"
    write_atomically(path, b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "not bytes")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_error_for_a_full_disk_names_file_and_free_space(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(
        WorkError, match=r"Cannot write .*kept\.json: No space left on device \(\d+"
    ):
        Workspace(tmp_path).write("kept", 1)


def test_values_and_arrays_are_restored(tmp_path):
    work = Workspace(tmp_path / "work")
    assert work.read("missing", 7) == 7
    work.write("cores", {"3": [0.1, 1e-17]})
    assert Workspace(tmp_path / "work").read("cores") == {"3": [0.1, 1e-17]}
    file = work.array("phi", (4, 3))
    np.load(file, mmap_mode="r+")[2] = 5
    again = np.load(work.array("phi", (4, 3)), mmap_mode="r")
    assert again.shape == (4, 3)
    assert again.dtype == np.float32
    assert again.sum() == 15


def test_a_name_may_have_slashes_and_be_long(tmp_path):
    work = Workspace(tmp_path)
    names = [
        "core-6/Gemm",
        "core-6_Gemm",
        "core-" + "block." * 60 + "1",
        "core-" + "block." * 60 + "2",
    ]
    for number, name in enumerate(names):
        work.write(name, number)
    assert [work.read(name) for name in names] == [0, 1, 2, 3]
    assert not [file for file in tmp_path.iterdir() if file.is_dir()]


def test_disk_space_of_an_array_is_allocated_before_writing(tmp_path, monkeypatch):
    file = Workspace(tmp_path).array("phi", (256, 1024))
    assert file.stat().st_blocks * 512 >= 4 * 256 * 1024, "else a full disk kills who fills it"

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(WorkError, match=r"Cannot write .*more\.npy: No space left"):
        Workspace(tmp_path).array("more", (4, 3))
    assert list(tmp_path.iterdir()) == [file]


def test_without_a_folder_all_files_are_removed():
    with open_workspace(None, {}) as work:
        work.write("x", 1)
        folder = work.folder
    assert not folder.exists()


def test_a_run_killed_at_the_start_can_be_restarted(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / f".request.json.{'0' * 16}.partial").write_text("{")
    with open_workspace(tmp_path, {"target": "bee"}) as work:
        assert work.read("request") == {"target": "bee"}


def test_work_of_another_request_is_replaced_only_with_redo(tmp_path):
    with open_workspace(tmp_path, {"target": "bee"}) as work:
        work.write("finished", True)
    with pytest.raises(RequestError, match="version 1 of the method; this neurflow has version 2"):
        open_workspace(tmp_path, {"method": 2, "target": "bee"}).__enter__()
    with pytest.raises(RequestError, match=r"another run \(it differs in target\)"):
        open_workspace(tmp_path, {"target": "ant"}).__enter__()
    with open_workspace(tmp_path, {"target": "bee"}, redo=True) as work:
        assert work.read("finished"), "the same request is resumed"
    with open_workspace(tmp_path, {"target": "ant"}, redo=True) as work:
        assert not work.read("finished")


@pytest.mark.parametrize("name", ["notes.txt", "work/notes.txt"])
def test_folders_of_others_are_refused_and_not_changed(tmp_path, name):
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    with pytest.raises(RequestError, match="not empty"), open_workspace(tmp_path, {}):
        pass
    assert file.read_text() == "mine"
