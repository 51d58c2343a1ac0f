"""Sweeps give the circuits of single runs, without repeated or lost work."""

import functools
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import neurflow
from neurflow.atlas import Atlas
from neurflow.cli import main
from neurflow.errors import NeurFlowError, RequestError, ResultError, WorkError
from neurflow.study import activations
from neurflow.sweeping import merge, status
from neurflow.sweeping.api import targets_of
from neurflow.sweeping.engines import Workers
from neurflow.sweeping.job_runner import JobRunner
from neurflow.sweeping.plan import LOCK, PLAN, Plan, Setup, add_to_plan, job_of, read_plan, shard_of
from neurflow.sweeping.state import lock_of
from tests.sweeping.conftest import ALL, CONFIG, circuits
from tests.sweeping.loading import telling
from tests.waiting import until

ROOT = Path(__file__).parents[2]

OPTIONS = {
    "tau": 4,
    "k": 6,
    "steps": 4,
    "granularities": "1.0,0.5",
    "groups": 3,
    "concept-set": "all",
}


class RecordedNotes:
    """Stores the notes of a sweep."""

    def __init__(self):
        self.notes = []

    def start(self, stage, total): ...

    def advance(self, count=1): ...

    def note(self, text):
        self.notes.append(text)


def states(found):
    return {state.target: state.state for state in found}


def test_circuits_equal_single_runs_and_no_work_is_repeated(sweep, alone, tmp_path, monkeypatch):
    assert states(sweep(ALL)) == dict.fromkeys(ALL, "done")
    assert circuits(tmp_path / "out") == alone
    monkeypatch.setattr(
        "neurflow.sweeping.job_runner.discover", None
    )  # would fail if it were called
    assert states(sweep([*ALL, "ant"])) == dict.fromkeys(ALL, "done")


def test_predictions_are_computed_once_for_all_classes(
    sweep, load, pictures, tmp_path, monkeypatch
):
    config = CONFIG.model_copy(update={"concept_set": "predicted"})
    sizes, real = [], activations.ModelOnImages.classes

    def counted(self, pixels):
        sizes.append(len(pixels))
        return real(self, pixels)

    monkeypatch.setattr(activations.ModelOnImages, "classes", counted)
    found = sweep("all", config=config)
    assert sum(sizes) == len(list(pictures.iterdir())), "each picture once, for all classes"
    model = load()
    seen = json.loads((tmp_path / "out" / "predictions.json").read_text())["classes"]
    assert {state.target for state in found} == {
        model.class_names[c] for called in seen.values() for c in called
    }
    for state in found:
        single = neurflow.discover(model, pictures, state.target, config=config)
        stored = neurflow.load_circuit(tmp_path / "out" / "circuits" / state.name)
        assert single.model_dump(exclude={"layers"}) == stored.model_dump(exclude={"layers"})


def test_the_error_for_a_damaged_plan_is_short(tmp_path):
    plan = Plan(
        model="m", reference="r", images="i", layers=None, config=CONFIG, max_images=None, jobs=()
    )
    add_to_plan(tmp_path / "sweep", plan)
    file = tmp_path / "sweep" / PLAN
    stored = json.loads(file.read_text())
    stored["config"]["selection"] = "x" * 9000
    file.write_text(json.dumps(stored))
    with pytest.raises(ResultError, match=r"sweep\.json is damaged: Not a valid Config") as found:
        status(tmp_path / "sweep")
    assert len(str(found.value)) < 1000


@pytest.mark.parametrize("damage", ["", "[]", '{"classes": {"0": 1}, "unread": {}}'])
def test_damaged_predictions_are_computed_again(sweep, tmp_path, damage):
    config = CONFIG.model_copy(update={"concept_set": "predicted"})
    before = sweep("all", config=config)
    file = tmp_path / "out" / "predictions.json"
    whole = file.read_bytes()
    file.write_text(damage)
    assert sweep("all", config=config) == before
    assert file.read_bytes() == whole


class Forwards:
    """Counts the crops that are pooled."""

    def __init__(self, monkeypatch):
        self.images, real = 0, activations.StreamingPass._pooled

        def counted(*given, **options):
            self.images += 1
            return real(*given, **options)

        monkeypatch.setattr(activations.StreamingPass, "_pooled", counted)


def test_targets_with_the_same_pictures_pool_them_once(
    sweep, alone, pictures, tmp_path, monkeypatch
):
    forwards = Forwards(monkeypatch)
    found = sweep(["ant", "bee", "block3/1"])
    assert forwards.images == len(list(pictures.iterdir()))
    stored = circuits(tmp_path / "out")
    assert all(stored[state.name] == alone[state.name] for state in found[:2])
    assert not (tmp_path / "out" / "pool").exists(), "it goes when nobody needs it any more"


def test_a_damaged_pool_is_computed_again(sweep, alone, pictures, tmp_path, monkeypatch):
    sweep(["ant", "bee"], shard="1/2")
    files = sorted((tmp_path / "out" / "pool").rglob("*.npy"))
    assert files
    for file in files[::2]:
        file.write_bytes(file.read_bytes()[:-8])
    forwards = Forwards(monkeypatch)
    sweep(["ant", "bee"])
    assert 0 < forwards.images <= len(list(pictures.iterdir()))
    assert circuits(tmp_path / "out").items() <= alone.items()


def test_two_sweeps_into_one_folder_share_the_work(sweep, load, tmp_path, monkeypatch):
    waits, sleep = threading.Event(), time.sleep
    looking = SimpleNamespace(sleep=lambda _: (waits.set(), sleep(0.01)))
    monkeypatch.setattr("neurflow.sweeping.sweeps.time", looking)
    sweep(["ant"])
    bee = job_of(load().target("bee"))
    with lock_of(tmp_path / "out", bee):  # as the other sweep would
        done = []
        thread = threading.Thread(target=lambda: done.extend(sweep(["ant", "bee"])))
        thread.start()
        until(waits.is_set, thread.is_alive)
        assert "running" in states(status(tmp_path / "out")).values()
        assert not done, "it waits for the other"
    thread.join()
    assert states(done) == {"ant": "done", "bee": "done"}


def test_another_sweep_is_refused(sweep, tmp_path):
    sweep(["ant"])
    with pytest.raises(RequestError, match="belongs to another sweep"):
        sweep(["ant"], config=CONFIG.model_copy(update={"tau": 3}))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(RequestError, match="not empty and has no sweep"):
        sweep(["ant"], out=tmp_path / "mine", redo=True)


def test_a_sweep_that_was_stopped_before_its_plan_was_stored_can_start_again(sweep, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / LOCK).touch()
    (out / f".{PLAN}.{'0' * 16}.partial").write_bytes(b"{")
    sweep(["ant"])
    assert states(status(out)) == {"ant": "done"}


def test_a_sweep_of_an_earlier_version_is_kept_or_redone(sweep, alone, tmp_path):
    sweep(ALL[:2])
    plan = tmp_path / "out" / PLAN
    earlier = json.loads(plan.read_text())
    del earlier["method"]  # as before it was kept
    plan.write_text(json.dumps(earlier))
    for file in (tmp_path / "out" / "circuits").glob("*/work/request.json"):
        request = json.loads(file.read_text())
        file.write_text(json.dumps({**request, "method": 1}))
    with pytest.raises(RequestError, match=r"sweep of version 1 of the method.*--redo"):
        sweep(["ant"])
    assert states(sweep(["ant"], redo=True)) == {"ant": "done"}
    assert [state.target for state in status(tmp_path / "out")] == ["ant"]
    assert len(circuits(tmp_path / "out")) == 1, "what is not redone is not taken for done"
    assert len(Atlas(tmp_path / "out").query("SELECT * FROM targets")) == 1
    assert states(sweep(ALL[:2], redo=True)) == dict.fromkeys(ALL[:2], "done")
    again = circuits(tmp_path / "out")
    assert len(again) == 2 and again.items() <= alone.items()


def test_shards_divide_the_targets_and_are_merged(sweep, alone, tmp_path):
    parts = [tmp_path / "part1", tmp_path / "part2"]
    for i, part in enumerate(parts, 1):
        assert len(sweep(ALL, shard=f"{i}/2", out=part)) == 2
    assert states(merge(tmp_path / "whole", parts)) == dict.fromkeys(ALL, "done")
    assert circuits(tmp_path / "whole") == alone
    assert len(Atlas(tmp_path / "whole").query("SELECT * FROM targets")) == 4
    whole = [f"{i}/3" for i in (1, 2, 3)]
    jobs = read_plan(tmp_path / "whole").jobs
    assert sorted(j.name for s in whole for j in shard_of(jobs, s)) == sorted(j.name for j in jobs)
    for wrong in ("0/2", "3/2", "1", "a/b", "-1/2"):
        with pytest.raises(RequestError, match="Write i/n"):
            shard_of(jobs, wrong)


def test_changed_weights_or_pictures_are_detected(sweep, load, pictures, tmp_path):
    sweep(["ant"])
    (pictures / "0.png").unlink()
    with pytest.raises(WorkError, match="images of this worker differs"):
        JobRunner(Setup(tmp_path / "out", load, pictures, 2**30))


@pytest.mark.parametrize(
    "options, words",
    [
        ({"targets": ["moth"]}, "no class 'moth'"),
        ({"targets": ["ant"], "layers": ["block9", "head"]}, "block9"),
        ({"targets": ["ant"], "workers": 0}, "at least 1"),
        ({"targets": ["ant"], "shard": "5/2"}, "Write i/n"),
        ({"targets": ["ant"], "images": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_requests_fail_at_once(sweep, options, words):
    with pytest.raises(NeurFlowError, match=words):
        sweep(**options)


def test_objects_that_cannot_be_pickled_are_refused(sweep, load):
    with pytest.raises(RequestError, match="cannot be sent to other processes"):
        sweep(["ant"], load_model=load(), workers=2)
    with pytest.raises(RequestError, match="Use a function of a module"):
        sweep(["ant"], load_model=lambda: load(), workers=2)


def test_errors_of_a_worker_at_the_start_are_reported(sweep, tmp_path, load, pictures):
    sweep(["ant"])
    plan = json.loads((tmp_path / "out" / "sweep.json").read_text())
    plan["model"] = "0" * 64
    (tmp_path / "out" / "sweep.json").write_text(json.dumps(plan))
    setup = Setup(tmp_path / "out", load, pictures, 2**30)
    with pytest.raises(WorkError, match="model of this worker differs"):
        list(Workers(1).run(setup, read_plan(tmp_path / "out").jobs))


def test_workers_see_the_environment_as_it_is_when_they_start(
    sweep, tmp_path, pictures, monkeypatch
):
    sweep(["ant"])
    jobs = read_plan(tmp_path / "out").jobs
    setup = Setup(tmp_path / "out", functools.partial(telling, "NEURFLOW_TOLD"), pictures, 2**30)
    for value in ("first", "second"):
        monkeypatch.setenv("NEURFLOW_TOLD", value)
        with pytest.raises(WorkError, match=f"^{value}$"):
            list(Workers(1).run(setup, jobs))


def test_targets_can_be_a_file_or_a_list_of_any_length(tmp_path):
    many = [f"class number {i}" for i in range(400)]
    assert targets_of([", ".join(many)]) == many
    (tmp_path / "many.txt").write_text("\n".join(["# all", *many]), encoding="utf-8-sig")
    assert targets_of([str(tmp_path / "many.txt")]) == many
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(RequestError, match="one target per line"):
        targets_of([str(tmp_path / "picture.png")])
    with pytest.raises(RequestError, match="names no target"):
        targets_of([" , "])


def test_the_exit_code_is_1_if_a_target_failed(reference, pictures, tmp_path, capsys):
    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return ended.value.code or 0, *capsys.readouterr()

    out, options = tmp_path / "out", [f"--{name}={value}" for name, value in OPTIONS.items()]
    (tmp_path / "targets.txt").write_text("ant\n# a remark\n\nblock2/3\n")
    command = ["sweep", "run", reference, pictures, "--out", out, *options]
    code, told, _ = run(*command, "--targets", tmp_path / "targets.txt", "--json")
    assert code == 0
    assert [each["state"] for each in json.loads(told)["targets"]] == ["done", "done"]
    code, told, _ = run("sweep", "status", out)
    assert code == 0 and "2 done" in told
    labelled = [*command[:-1], "--concept-set=labelled"]
    labelled[5] = tmp_path / "labelled"
    code, told, err = run(*labelled, "--targets", "ant")
    assert code == 1 and "1 of 1 targets are not done (1 failed)" in err and "1 failed" in told
    code, told, err = run("sweep", "merge", tmp_path / "labelled", "--out", tmp_path / "merged")
    assert code == 1 and "No image is labelled" in err and "1 failed" in told
    assert run("sweep", "status", tmp_path / "nothing")[0] == 2
