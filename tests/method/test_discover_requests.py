"""Requests to discover: folders in use, unreadable pictures, concept sets, targets, and refusals."""

from functools import partial

import pytest
import torch

import neurflow
from neurflow import Config, discover
from neurflow.config import METHOD_VERSION
from neurflow.errors import ImagesError, LayerError, RequestError, WorkError
from tests.method.test_discover import (
    CONFIG,
    Kill,
    KilledAt,
    circuit,
    images,
    model,
    picture,
    target,
)
from tests.reference import method

__all__ = ["circuit", "images", "model", "target"]  # fixtures


def test_a_folder_of_another_run_is_not_overwritten(model, images, target, tmp_path):
    discover(model, images, target, config=CONFIG, out=tmp_path / "run")
    with pytest.raises(RequestError, match=r"belongs to another run \(it differs in config\)"):
        discover(model, images, target, config=Config(tau=3, k=20, steps=8), out=tmp_path / "run")
    other = Config(tau=3, k=20, steps=8)
    assert discover(model, images, target, config=other, out=tmp_path / "run", redo=True)
    assert neurflow.load_circuit(tmp_path / "run").config.tau == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("")
    with pytest.raises(RequestError, match="not empty and is not a run of neurflow"):
        discover(model, images, target, config=CONFIG, out=tmp_path / "mine", redo=True)
    assert (tmp_path / "mine" / "thesis.tex").exists()


@pytest.mark.parametrize("finished", [True, False])
def test_a_run_of_an_earlier_version_is_not_resumed(
    model, images, target, circuit, tmp_path, monkeypatch, finished
):
    again = partial(discover, model, images, target, config=CONFIG, out=tmp_path / "run")
    with monkeypatch.context() as earlier:
        earlier.setattr("neurflow.method.discover.METHOD_VERSION", METHOD_VERSION - 1)
        if finished:
            again()
        else:
            with pytest.raises(Kill):
                again(progress=KilledAt("groups"))
    earlier_version = f"version {METHOD_VERSION - 1} of the method; .* --out, .*--redo"
    with pytest.raises(RequestError, match=earlier_version):
        again()
    assert again(redo=True) == circuit
    log = KilledAt()
    again(redo=True, progress=log)
    assert not log.counts, "what is of this version is resumed, not redone"


def test_a_refused_request_can_be_corrected_in_the_same_folder(model, images, target, tmp_path):
    with pytest.raises(RequestError, match="Lower k"):
        discover(model, images, target, config=Config(k=5000), out=tmp_path / "run")
    found = discover(model, images, target, config=CONFIG, out=tmp_path / "run")
    assert found.config.k == CONFIG.k


def test_unreadable_images_are_skipped_and_reported(model, target, tmp_path):
    for seed in range(6):
        picture(seed).save(tmp_path / f"{seed}.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    found = discover(model, tmp_path, target, config=CONFIG)
    assert [image.name for image in found.skipped] == ["broken.png"]
    assert found.skipped[0].reason
    for file in tmp_path.glob("[0-9].png"):
        file.write_bytes(b"")
    with pytest.raises(ImagesError, match="None of the 7 images can be read"):
        discover(model, tmp_path, target, config=CONFIG)


def test_an_image_that_disappears_is_reported_and_skipped(model, target, tmp_path):
    (tmp_path / "photos").mkdir()
    for seed in range(6):
        picture(seed).save(tmp_path / "photos" / f"{seed}.png")

    class Losing(KilledAt):
        def advance(self, count=1):
            super().advance(count)
            if self.now == "activations" and self.counts[self.now] == 1:
                for file in (tmp_path / "photos").iterdir():
                    file.rename(tmp_path / file.name)

    request = {"target": target, "config": CONFIG, "out": tmp_path / "run"}
    with pytest.raises(WorkError, match=r"\d\.png could be read before, but not now"):
        discover(model, tmp_path / "photos", progress=Losing(), **request)
    for file in tmp_path.glob("?.png"):
        file.rename(tmp_path / "photos" / file.name)
    log = KilledAt()
    assert discover(model, tmp_path / "photos", progress=log, **request).crop_count
    assert "choosing images" not in log.counts


def test_concept_sets(model, images, target, tmp_path):
    everything = discover(
        model, images, target, config=Config(**{**CONFIG.model_dump(), "concept_set": "all"})
    )
    assert len(everything.images) == 6
    rarest = next(name for name in model.class_names if name != target)
    for seed in range(3):
        (tmp_path / f"n01234567_{rarest}").mkdir(exist_ok=True)
        picture(seed).save(tmp_path / f"n01234567_{rarest}" / f"{seed}.png")
    labelled = Config(**{**CONFIG.model_dump(), "concept_set": "labelled"})
    found = discover(model, tmp_path, rarest, config=labelled, max_images=2)
    assert [ref.label for ref in found.images] == [f"n01234567_{rarest}"] * 2
    with pytest.raises(ImagesError, match="No image is labelled"):
        discover(model, tmp_path, target, config=labelled)


def test_without_an_image_of_the_target_the_error_lists_predictions(model, images, target):
    other = next(name for name in model.class_names if name != target)
    only = [image for image in images if _predicted(model, image) == target]
    with pytest.raises(ImagesError, match=f"is predicted as '{other}'; most are {target}"):
        discover(model, only, other, config=CONFIG)


def _predicted(model, image):
    with torch.no_grad():
        return model.class_names[int(model.module(model.transform(image)[None]).argmax())]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"config": Config(k=5000)}, r"k=5000 is more than the \d+ crops of \d images"),
        ({"layers": ["block9", "head"]}, "'block9' does not exist. Near names: block"),
        ({"layers": ["block3", "block1", "head"]}, "does not depend on 'block3'"),
        ({"layers": ["block1", "block1", "head"]}, "does not depend on 'block1'"),
        ({"layers": ["head"]}, "At least one layer below"),
        (
            {"target": "block2/3", "layers": ["block1", "block3"]},
            "'block3' does not come before the target's layer 'block2'",
        ),
    ],
)
def test_errors_for_wrong_requests_name_cause_and_solution(
    model, images, target, arguments, message
):
    with pytest.raises((RequestError, LayerError), match=message):
        discover(model, images, **{"target": target, "config": CONFIG, **arguments})


@pytest.mark.parametrize(
    "values", [{"tau": 0}, {"granularities": (2.0,)}, {"sead": 1}, {"k": "many"}]
)
def test_impossible_configurations_are_refused(values):
    with pytest.raises(RequestError, match=next(iter(values))):
        Config(**values)


def test_a_neuron_inside_the_network_as_target(model, images):
    found = discover(model, images, "block2/5", config=CONFIG)
    assert [layer.name for layer in found.layers] == ["block1", "block2"]
    assert len(found.images) == 6


def test_a_difference_of_classes_as_target(model, images, target):
    """The head is linear: IG of s is the difference of its weights times its input."""
    other = next(name for name in model.class_names if name != target)
    found = discover(model, images, f"{target} - {other}", ["block3", "head"], CONFIG)
    neuron = found.layers[-1].neurons[model.class_names.index(target)]
    weight = model.module.head.weight.detach()
    row = weight[model.class_names.index(target)] - weight[model.class_names.index(other)]
    source = neurflow.load_images(images, model)
    names = [ref.name for ref in source.refs]
    pixels = [
        torch.nn.functional.interpolate(
            source.read(names.index(found.images[crop.image].name))[
                None, :, crop.box[1] : crop.box[3], crop.box[0] : crop.box[2]
            ],
            (32, 32),
            mode="bilinear",
        )
        for crop in neuron.crops
    ]
    with torch.no_grad():
        below = model.module.block1(torch.cat(pixels))
        below = model.module.block3(model.module.block2(below)).mean((2, 3))
    scores = (below * row).tolist()
    assert list(neuron.core_neurons) == method.core_neurons(scores, CONFIG.tau)
    for part in neuron.semantic_groups:
        weights = method.interaction_weights([scores[p] for p in part.crops], neuron.core_neurons)
        assert part.weights == pytest.approx(weights, rel=1e-3, abs=1e-5)
        assert all(part.weights.values())
