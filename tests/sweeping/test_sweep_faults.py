"""Sweeps with failing targets, dying workers, full disks and missing pictures."""

import errno
import json
import os
import signal
import subprocess
import sys

import pytest

import neurflow
from neurflow.atlas import Atlas
from neurflow.atlas.files import contents, drop
from neurflow.atlas.tables import up_to_date
from neurflow.sweeping import status
from neurflow.sweeping.engines import Workers
from neurflow.sweeping.job_runner import JobRunner
from neurflow.sweeping.plan import job_of, read_plan
from tests.sweeping.conftest import ALL, CONFIG, circuits
from tests.sweeping.test_sweep import OPTIONS, ROOT, RecordedNotes, states
from tests.waiting import until


def test_a_bug_fails_one_target_with_a_traceback(sweep, tmp_path, monkeypatch):
    from neurflow.sweeping import job_runner

    real = job_runner.discover

    def broken(model, images, target, *rest, **options):
        return real(model, images, target, *rest, **options) if target.name != "bee" else {}["bug"]

    monkeypatch.setattr(job_runner, "discover", broken)
    found = sweep(["ant", "bee", "fly"])
    assert states(found) == {"ant": "done", "bee": "failed", "fly": "done"}
    assert "KeyError: 'bug'" in found[1].problem
    kept = json.loads((tmp_path / "out" / "failures" / f"{found[1].name}.json").read_text())
    assert "Traceback" in kept["trace"] and "in broken" in kept["trace"]


def test_a_failed_target_is_reported_and_the_others_continue(sweep, tmp_path):
    config = CONFIG.model_copy(update={"concept_set": "labelled"})
    heard = RecordedNotes()
    found = sweep(["ant", "block2/3"], config=config, progress=heard)
    assert states(found) == {"ant": "failed", "block2/3": "done"}
    assert "No image is labelled 'ant'" in found[0].problem
    assert any(note.startswith("ant failed: No image") for note in heard.notes)
    assert status(tmp_path / "out") == found


def test_the_job_of_a_killed_worker_is_resumed_by_another(sweep, alone, kills, tmp_path):
    kills.write_text("1")
    found = sweep(["ant", "bee"], workers=2)
    assert kills.read_text() == "0"
    assert states(found) == {"ant": "done", "bee": "done"}
    assert circuits(tmp_path / "out").items() <= alone.items()


def test_a_job_that_kills_two_workers_fails(sweep, kills):
    kills.write_text("1000")
    found = sweep(["ant"], workers=1, engine=Workers(1))
    assert states(found) == {"ant": "failed"}
    assert "by signal SIGKILL" in found[0].problem
    assert int(kills.read_text()) == 998
    kills.unlink()
    assert states(sweep(["ant"])) == {"ant": "done"}


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_sweep_leaves_no_worker_and_can_be_resumed(
    sweep, alone, reference, pictures, gate, tmp_path, sent
):
    out, three = tmp_path / "out", ALL[:3]
    sweep(["ant"])
    (finished,) = (out / "circuits").glob("*/circuit.json")
    before = finished.stat().st_mtime_ns
    gate.mkdir()
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    start = "from neurflow.cli import main; main()"
    command = [sys.executable, "-c", start, "sweep", "run", reference, pictures, "--out", out]
    running = subprocess.Popen(
        [*map(str, command), "--targets", ",".join(three), "--workers", "2", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(list(gate.iterdir())) == 2, lambda: running.poll() is None)
    os.kill(running.pid, sent)
    gate.rename(tmp_path / "open")  # a worker finishes its job after its sweep was killed
    _, told = running.communicate()  # returns when the last worker has closed the pipe
    assert running.returncode in (-sent, 128 + sent, 1)
    assert sent == signal.SIGKILL or "Traceback" not in told
    assert states(sweep(three)) == dict.fromkeys(three, "done")
    stored = circuits(out)
    assert len(stored) == 3 and stored.items() <= alone.items()
    assert finished.stat().st_mtime_ns == before, "finished circuits are not found again"


def test_a_full_disk_fails_a_target_and_loses_nothing(sweep, alone, tmp_path, monkeypatch):
    real, left = os.replace, [60]

    def filling(source, goal):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(source, goal)

    monkeypatch.setattr("os.replace", filling)
    found = sweep(ALL)
    assert set(states(found).values()) == {"done", "waiting"}, "why it failed cannot be kept either"
    kept = circuits(tmp_path / "out")
    assert kept and kept.items() <= alone.items()
    monkeypatch.undo()
    again = sweep(ALL)
    assert states(again) == dict.fromkeys(ALL, "done"), again
    assert circuits(tmp_path / "out") == alone
    entered = Atlas(tmp_path / "out").query("SELECT circuit FROM targets").circuit
    assert set(entered) == set(alone)


def test_finished_circuits_are_added_to_the_atlas(sweep, tmp_path, monkeypatch):
    out = tmp_path / "out"
    names = {state.name for state in sweep(["ant", "bee"])}
    assert up_to_date(out / "atlas") == names and not contents(out / "atlas").new, "not packed"
    drop(out / "atlas", [name for name in names if name.endswith("-ant")])
    assert len(up_to_date(out / "atlas")) == 1
    monkeypatch.setattr(
        "neurflow.sweeping.job_runner.discover", None
    )  # would fail if it were called
    assert states(sweep(["ant", "bee"])) == {"ant": "done", "bee": "done"}
    assert up_to_date(out / "atlas") == names
    assert len(Atlas(out).query("SELECT * FROM targets")) == 2


def test_out_of_memory_fails_only_that_target(sweep, monkeypatch):
    from neurflow.sweeping import job_runner

    real = job_runner.discover

    def starved(model, images, target, *rest, **options):
        if target.name == "bee":
            raise MemoryError
        return real(model, images, target, *rest, **options)

    monkeypatch.setattr(job_runner, "discover", starved)
    found = sweep(["ant", "bee", "fly"])
    assert states(found) == {"ant": "done", "bee": "failed", "fly": "done"}
    assert "smaller --memory" in found[1].problem


def test_missing_pictures_fail_the_remaining_targets(sweep, load, pictures, tmp_path):
    sweep(["ant"])
    model = load()
    sweep(["ant", "bee"])  # the plan has both
    jobs = read_plan(tmp_path / "out").jobs
    assert [job.target.name for job in jobs] == ["ant", "bee"]
    from neurflow.sweeping.plan import Setup

    setup = Setup(tmp_path / "out", lambda: model, pictures, 2**30)
    worker = JobRunner(setup)
    for file in pictures.iterdir():
        file.unlink()
    gone = job_of(model.target("fly"))
    outcome = worker.run(gone)
    assert outcome.state == "failed" and "can be read" in outcome.problem
    assert len(circuits(tmp_path / "out")) == 2


def test_a_corrupt_picture_is_listed_in_every_circuit(sweep, pictures, tmp_path):
    (pictures / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    sweep(["ant", "bee"])
    for name in circuits(tmp_path / "out"):
        circuit = neurflow.load_circuit(tmp_path / "out" / "circuits" / name)
        assert [image.name for image in circuit.skipped] == ["torn.png"]
