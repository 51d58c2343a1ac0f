"""The server returns the figures of ``neurflow.debug``, and refusals give the reason."""

import base64
import io
import shutil
import struct
import threading
import zlib
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

import neurflow
from neurflow.errors import ModelError
from neurflow.labels.search import find
from neurflow.labels.zero_shot import ClipLabeler
from neurflow.pages.messages import EffectsRequest
from neurflow.server import one_picture
from neurflow.server import session as session_module
from neurflow.server.app import create_app
from neurflow.server.session import Session
from neurflow.server.worker import CancellableProgress, Cancelled, Worker, YieldingProgress
from tests.cli.conftest import model_of
from tests.clip import save_tiny_clip
from tests.server.conftest import noise, picture_file


def file_of(picture, kind="PNG"):
    data = io.BytesIO()
    picture.save(data, kind)
    return data.getvalue()


def claiming(width, height):
    """The beginning of a PNG, with its size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\0IDAT"


def uploaded(client, picture=None, name="odd.png", kind="PNG"):
    answer = client.post(
        "/api/pictures", params={"name": name}, content=file_of(picture or noise(3), kind)
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_circuit_has_the_current_labels(client, run):
    group = neurflow.load_circuit(run).layers[0].groups[0].id
    assert client.get("/api/circuit").json()["target"] == "bee"
    answer = client.put(f"/api/groups/{group}/label", json={"label": "  coloured\nnoise "})
    assert answer.json() == {"id": group, "label": "coloured noise", "caption": None}
    groups = client.get("/api/circuit").json()["layers"][0]["groups"]
    assert next(g for g in groups if g["id"] == group)["label"] == "coloured noise"
    assert neurflow.load_circuit(run).group(group).label == "coloured noise"
    assert client.put(f"/api/groups/{group}/label", json={"label": None}).json()["label"] is None
    assert neurflow.load_circuit(run).group(group).rejected[0].label == "coloured noise"


def test_pictures_and_masks_equal_debug(client, run, tmp_path):
    circuit = neurflow.load_circuit(run)
    groups = [layer.groups[0].id for layer in circuit.layers[:2]]  # of two layers
    shown = uploaded(client)  # first: two threads must not export networks at the same time
    told = neurflow.debug(circuit, model_of(circuit), picture_file(tmp_path), mask=groups)
    report = shown["shown"]["report"]
    (picture,) = told.pictures
    below = [reading for reading in picture.groups if not reading.id.startswith("head")]
    assert report["top"] == [each.model_dump() for each in picture.top]
    assert report["groups"] == [reading.model_dump(mode="json") for reading in below]
    asked = {"pictures": [shown["number"]], "groups": groups}
    answer = client.post("/api/mask", json=asked).json()
    assert answer["effects"] == [told.what_if.effects[0].model_dump(mode="json")]
    assert (answer["draws"], answer["matched"]) == (told.what_if.draws, told.what_if.matched)
    quick = client.post("/api/mask", json={**asked, "draws": 0, "by": "mean"}).json()
    assert quick["effects"][0]["random"] is None
    mean = neurflow.debug(
        circuit, model_of(circuit), picture_file(tmp_path), mask=groups, ablation="mean", draws=0
    )
    assert quick["effects"][0]["target_after"] == mean.what_if.effects[0].target_after


def test_samples_can_be_explained_and_audited(client, session, run, labelled, monkeypatch):
    over, run_audit = threading.Event(), session._run_audit
    monkeypatch.setattr(session, "_run_audit", lambda: (run_audit(), over.set()))
    samples = client.get("/api/samples").json()
    assert [(s["name"], s["label"]) for s in samples][:1] == [("ant/0.png", "ant")]
    shown = client.post(f"/api/samples/{samples[1]['number']}").json()
    assert shown["shown"]["report"]["label"] == "ant"
    assert client.get(f"/api/pictures/{shown['number']}").json() == shown
    assert client.get("/api/audit").json()["state"] == "not started"
    assert client.post("/api/audit").json()["state"] == "running"
    over.wait()
    found = client.get("/api/audit").json()
    assert found["state"] == "done"
    circuit = neurflow.load_circuit(run)
    told = neurflow.audit(circuit, model_of(circuit), labelled)
    assert found["report"] == told.model_dump(mode="json")


def test_the_oldest_pictures_are_dropped_and_none_is_written(client, run, monkeypatch):
    def files():
        return {file: file.stat().st_mtime_ns for file in run.rglob("*")}

    assert session_module.HELD == 32
    before = files()
    monkeypatch.setattr(session_module, "HELD", 2)
    numbers = [uploaded(client, noise(seed))["number"] for seed in range(3)]
    assert client.get(f"/api/pictures/{numbers[2]}").status_code == 200
    answer = client.get(f"/api/pictures/{numbers[0]}")
    assert answer.status_code == 410
    assert "Drop the picture again" in answer.json()["error"]
    assert uploaded(client, noise(0))["number"] == numbers[0], "the same picture, the same number"
    assert len(set(numbers)) == 3
    assert files() == before


@pytest.mark.parametrize(
    ("asked", "code", "words"),
    [
        ({"groups": ["block3/77"]}, 404, "no group 'block3/77'"),
        ({"groups": ["head/0"]}, 400, "is the target itself"),
        ({"groups": ["block3/0"], "pictures": [99]}, 410, "does not have picture 99"),
        ({"groups": ["block3/0"], "draws": 101}, 422, "draws"),
        ({"groups": []}, 422, "groups"),
        ({"groups": ["block3/0"], "hidden": 1}, 422, "hidden"),
    ],
)
def test_wrong_masks(client, asked, code, words):
    number = uploaded(client)["number"]
    answer = client.post("/api/mask", json={"pictures": [number], **asked})
    assert (answer.status_code, list(answer.json())) == (code, ["error"])
    assert words in answer.json()["error"]


def test_the_circuit_is_served_if_the_model_cannot_be_loaded(run):
    def missing(_):
        raise ModelError("The weights have moved.")

    with TestClient(create_app(Session(run, missing)), base_url="http://localhost") as client:
        assert client.get("/api/circuit").status_code == 200
        answer = client.post("/api/pictures", content=file_of(noise(1)))
        assert (answer.status_code, answer.json()) == (503, {"error": "The weights have moved."})
        status = client.get("/api/status").json()
        assert (status["state"], status["message"]) == ("failed", "The weights have moved.")


def test_without_samples_there_is_no_audit(run):
    with TestClient(create_app(Session(run, model_of)), base_url="http://localhost") as client:
        assert client.get("/api/samples").json() == []
        assert client.post("/api/samples/0").status_code == 404
        answer = client.post("/api/audit")
        assert answer.status_code == 400
        assert "--images FOLDER" in answer.json()["error"]


@pytest.mark.parametrize(
    ("mode", "kind"), [("RGBA", "PNG"), ("L", "PNG"), ("P", "GIF"), ("CMYK", "JPEG"), ("1", "TIFF")]
)
def test_pictures_of_all_kinds_are_read(client, mode, kind):
    assert uploaded(client, noise(2).convert(mode), kind=kind)["shown"]["size"] == [32, 32]


def test_long_work_yields_to_short_requests():
    worker, order = Worker(), []
    began, go_on = threading.Event(), threading.Event()

    def long():
        progress = YieldingProgress(worker, lambda *told: order.append(told))
        progress.start("masking", 2)
        began.set()
        go_on.wait()
        progress.advance()
        progress.advance()

    done = worker.submit(long)
    began.wait()
    short = worker.submit(lambda: order.append("short"))
    go_on.set()
    done.result()
    assert short.done()
    assert order == [("masking", 0, 2), ("masking", 1, 2), "short", ("masking", 2, 2)]
    failed = worker.submit(lambda: 1 / 0)
    assert isinstance(failed.exception(), ZeroDivisionError)
    worker.stop()


def test_work_of_disconnected_clients_is_cancelled():
    watched = CancellableProgress()
    watched.advance()
    watched.gone.set()
    with pytest.raises(Cancelled):
        watched.advance()
    worker, started = Worker(), threading.Event()

    def endless():
        progress = YieldingProgress(worker, lambda *_: started.set())
        while True:
            progress.advance()

    running = worker.submit(endless)
    started.wait()
    worker.stop()
    assert isinstance(running.exception(), Cancelled)


@pytest.mark.parametrize("size", [(8_200, 8_200), (12_000, 12_000), (200_000, 200_000)])
def test_decompression_bombs_are_refused_by_their_header(client, size):
    answer = client.post("/api/pictures?name=bomb.png", content=claiming(*size))
    assert answer.status_code == 400
    told = answer.json()["error"]
    assert told.startswith("The picture 'bomb.png' cannot be read: too large: ")


def test_uploads_that_are_not_pictures_are_refused(client):
    half = file_of(noise(1))[:150]
    for data in (b"", b"<svg/>", b"%PDF-1.4", claiming(8, 8), half):
        answer = client.post("/api/pictures", content=data)
        assert answer.status_code == 400
        assert set(answer.json()) == {"error"}


def test_missing_samples_do_not_affect_others(run, tmp_path):
    def samples(model):
        return neurflow.load_images(tmp_path / "nowhere", model)

    session = Session(run, model_of, samples)
    with TestClient(create_app(session), base_url="http://localhost") as client:
        uploaded(client)
        status = client.get("/api/status").json()
        assert (status["state"], "There is no image or folder" in status["message"]) == (
            "ready",
            True,
        )


def test_the_status_lists_the_classes_of_the_target(client, session, monkeypatch):
    uploaded(client)
    circuit = session.circuit
    bee = circuit.target.neuron
    changes = ({}, [bee]), ({"minus": bee + 1}, [bee, bee + 1]), ({"layer": "block3"}, [])
    for change, classes in changes:
        target = circuit.target.model_copy(update=change)
        changed = SimpleNamespace(target=target, layers=circuit.layers)
        monkeypatch.setattr(session, "circuit", changed)
        assert client.get("/api/status").json()["classes"] == classes


def test_skipped_samples_are_reported(run, labelled, tmp_path):
    folder = shutil.copytree(labelled, tmp_path / "samples")
    (folder / "bee" / "scan.dcm").write_bytes(b"DICM")
    session = Session(run, model_of, lambda model: neurflow.load_images(folder, model))
    with TestClient(create_app(session), base_url="http://localhost") as client:
        assert client.get("/api/samples").status_code == 200
        message = client.get("/api/status").json()["message"]
    assert message == "1 file of other kinds was left out (.dcm 1)."


def test_results_of_earlier_versions_can_be_viewed(run, tmp_path):
    circuit = neurflow.load_circuit(run)
    layers = tuple(
        layer.model_copy(
            update={
                "groups": tuple(g.model_copy(update={"calibration": None}) for g in layer.groups)
            }
        )
        for layer in circuit.layers
    )
    circuit.model_copy(update={"layers": layers}).save(tmp_path / "old")
    session = Session(tmp_path / "old", model_of)
    with TestClient(create_app(session), base_url="http://localhost") as client:
        answer = client.post("/api/pictures", content=file_of(noise(1)))
        assert (answer.status_code, "earlier version" in answer.json()["error"]) == (503, True)
        assert client.get("/api/circuit").status_code == 200


def test_effects_equal_those_of_masking_each_group(client, run, tmp_path):
    circuit = neurflow.load_circuit(run)
    ids = [layer.groups[0].id for layer in circuit.layers[:2]]
    number = uploaded(client)["number"]
    asked = {"picture": number, "groups": ids, "draws": 7}
    answer = client.post("/api/effects", json=asked)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    target = circuit.target.neuron
    assert told["answer"]["index"] != told["rival"]["index"]
    assert target in (told["answer"]["index"], told["rival"]["index"])
    assert told["value"] == pytest.approx(told["answer"]["logit"] - told["rival"]["logit"])
    for id, found in zip(ids, told["effects"], strict=True):
        mask = {"pictures": [number], "groups": [id], "draws": 7}
        (alone,) = client.post("/api/mask", json=mask).json()["effects"]
        before, after = (
            {c["index"]: c["logit"] for c in alone[when]} for when in ("before", "after")
        )
        ends = told["answer"]["index"], told["rival"]["index"]
        leads = [logits[ends[0]] - logits[ends[1]] for logits in (before, after)]
        assert found["effect"] == pytest.approx(leads[0] - leads[1], abs=1e-4)
        value, low, high = found["random"]
        assert low <= value <= high
    alone = client.post("/api/effects", json={**asked, "rival": "none", "draws": 0}).json()
    assert alone["rival"] is None and alone["value"] == told["answer"]["logit"]
    assert [each["random"] for each in alone["effects"]] == [None, None]
    for rival in (told["answer"]["index"], 10**6):
        assert client.post("/api/effects", json={**asked, "rival": rival}).status_code == 400
    unknown = client.post("/api/effects", json={**asked, "groups": ["block3/99"]})
    assert unknown.status_code == 404


def test_masks_are_answered_between_the_effects_of_two_groups(client, run, session, monkeypatch):
    ids = [layer.groups[0].id for layer in neurflow.load_circuit(run).layers[:2]]
    asked = EffectsRequest(picture=uploaded(client)["number"], groups=ids, draws=0)
    order, real = [], one_picture.group_effects
    began, go_on = threading.Event(), threading.Event()

    def watched(*given):
        for effect in real(*given):
            order.append(effect.id)
            began.set()
            go_on.wait()
            yield effect

    monkeypatch.setattr(one_picture, "group_effects", watched)
    progress = CancellableProgress()
    effects = session.worker.submit(lambda: session.effects(asked, progress))
    began.wait()
    mask = session.worker.submit(lambda: order.append("mask"))
    go_on.set()
    assert [effect.id for effect in effects.result().effects] == ids
    assert mask.done()
    assert order == [ids[0], "mask", ids[1]]
    progress.gone.set()
    again = session.worker.submit(lambda: session.effects(asked, progress))
    assert isinstance(again.exception(), Cancelled)
    assert order[3:] == [ids[0]], "the other layer is not computed"


def test_words_find_classes_and_similar_groups(client, run, session, tmp_path):
    told = client.get("/api/find", params={"words": "BE"}).json()
    names = session._model.class_names
    assert told["classes"] == [{"index": names.index("bee"), "name": "bee"}]
    assert told["groups"] == []
    save_tiny_clip(tmp_path)
    loaded = []

    def load_clip():
        loaded.append(1)
        return ClipLabeler(tmp_path)

    looking = Session(run, model_of, load_clip=load_clip)
    with TestClient(create_app(looking), base_url="http://localhost") as asking:
        assert asking.get("/api/status").status_code == 200 and not loaded
        found = [asking.get("/api/find", params={"words": "wings"}).json()["groups"] for _ in "ab"]
    assert found[0] == found[1] and loaded == [1]
    expected = find(looking.circuit, "wings", ClipLabeler(tmp_path))
    assert [(each["id"], each["contrast"]) for each in found[0]] == [
        (each.group, pytest.approx(each.score)) for each in expected if each.score >= 0.5
    ][:8]
    assert client.get("/api/find", params={"words": ""}).status_code == 422


def test_partial_masks_have_intermediate_effects(client):
    number = uploaded(client)["number"]
    asked = {"pictures": [number], "groups": ["block3/0"], "draws": 0}
    (all_of_it,) = client.post("/api/mask", json=asked).json()["effects"]
    scaled = [
        client.post("/api/mask", json={**asked, "by": by}).json()["effects"][0] for by in (0, 1)
    ]
    assert scaled[0]["target_after"] == pytest.approx(all_of_it["target_after"], abs=1e-5)
    assert scaled[1]["target_after"] == pytest.approx(all_of_it["target_before"], abs=1e-5)
    assert client.post("/api/mask", json={**asked, "by": 1.5}).status_code == 422


def test_neurons_respond_where_their_feature_maps_are_large(client, run):
    circuit = neurflow.load_circuit(run)
    number = uploaded(client)["number"]
    found = client.get(f"/api/pictures/{number}/neurons", params={"layer": "block3"}).json()
    assert {each["neuron"] for each in found["neurons"]} == set(circuit.layer("block3").neurons)
    size = found["height"] * found["width"]
    heats = [base64.b64decode(each["heat"]) for each in found["neurons"]]
    assert size > 1 and all(len(heat) == size for heat in heats)
    for each, heat in zip(found["neurons"], heats, strict=True):
        assert max(heat) == pytest.approx(min(each["strength"] / 3, 1) * 255, abs=1.5)
    for layer in ("head", "nowhere"):
        missing = client.get(f"/api/pictures/{number}/neurons", params={"layer": layer})
        assert missing.status_code == 404
