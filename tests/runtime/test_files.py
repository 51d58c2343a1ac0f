"""Files are written atomically, links are not followed, and JSON is limited before it is parsed."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from filelock import Timeout

from neurflow.errors import WorkError
from neurflow.runtime.files import (
    DEPTH,
    MEBIBYTE,
    create,
    json_value,
    lock,
    read,
    replacing,
    subfolder,
    tidy,
    write_atomically,
)


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file of another user."""
    file = tmp_path / "precious"
    file.write_text("mine")
    return file


def test_a_link_instead_of_a_file_is_replaced(tmp_path: Path, precious: Path) -> None:
    (tmp_path / "page.html").symlink_to(precious)
    write_atomically(tmp_path / "page.html", b"page")
    assert (tmp_path / "page.html").read_bytes() == b"page"
    assert precious.read_text() == "mine"


def test_temporary_names_are_unpredictable_and_unique(
    tmp_path: Path, precious: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = set()
    for _ in range(3):
        with replacing(tmp_path / "page.html"):
            (partial,) = tmp_path.glob(".*")
            names.add(partial.name)
    assert len(names) == 3
    monkeypatch.setattr("secrets.token_hex", lambda _: "0" * 16)
    planted = tmp_path / f".page.html.{'0' * 16}.partial"
    planted.symlink_to(precious)
    with pytest.raises(WorkError, match=r"Cannot write .*page\.html: File exists"):
        write_atomically(tmp_path / "page.html", b"page")
    assert precious.read_text() == "mine" and planted.is_symlink()


def test_only_abandoned_temporary_files_are_removed(tmp_path: Path) -> None:
    left = tmp_path / f".a.json.{'0' * 16}.partial"
    left.write_text("{")
    other = tmp_path / ".notes.partial"
    other.write_text("mine")
    with replacing(tmp_path / "a.json") as handle:
        tidy(tmp_path)
        handle.write(b"1")
    assert sorted(file.name for file in tmp_path.iterdir()) == [".notes.partial", "a.json"]
    assert (tmp_path / "a.json").read_text() == "1"


def test_links_instead_of_folders_and_locks_are_refused(tmp_path: Path, precious: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = tmp_path / "run"
    assert subfolder(run, "work", "a").is_dir()
    (run / "cache").symlink_to(elsewhere)
    with pytest.raises(WorkError, match="cache is a link"):
        subfolder(run, "cache", "a")
    (run / ".lock").symlink_to(precious)
    with pytest.raises(WorkError, match=r"\.lock is a link"):
        lock(run / ".lock")
    assert not list(elsewhere.iterdir()) and precious.read_text() == "mine"
    with pytest.raises(FileExistsError):
        create(run / ".lock")


def test_only_plain_files_up_to_a_size_are_read(tmp_path: Path, precious: Path) -> None:
    assert read(precious, 4) == b"mine"
    (tmp_path / "link").symlink_to(precious)
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(ValueError, match="a link or device"):
            read(tmp_path / name, 100)
    with pytest.raises(ValueError, match="over 0"):
        read(precious, 3)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"[" + b"[]," * 200_000 + b"[]]", "its values would take 2. MiB, over 8"),
        (b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1), f"nested {DEPTH + 1} levels"),
        (b"[" * 20_000, "nested 20000 levels"),
        (b'"[[[[', "not JSON"),
        (b"[NaN]", "not JSON"),
    ],
    ids=["much", "deep", "open", "cut", "not finite"],
)
def test_json_is_bounded_before_it_is_parsed(text: bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        json_value(text, 8 * MEBIBYTE)


def test_brackets_in_strings_do_not_count() -> None:
    said = {"a [b": ['"' + "[" * 1000, "\\", "{,:" * 10_000]}
    assert json_value(json.dumps(said).encode(), MEBIBYTE) == said


def test_locks_that_cannot_be_written_are_errors_with_a_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object, **options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("os.open", refuse)
    held = lock(tmp_path / ".lock")
    with pytest.raises(WorkError, match=r"Permission denied\. Make the folder writable"):
        held.acquire()


def test_locks_of_others_time_out(tmp_path: Path) -> None:
    with lock(tmp_path / ".lock"), pytest.raises(Timeout):
        lock(tmp_path / ".lock").acquire(blocking=False)
