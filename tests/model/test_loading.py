"""Models by reference, weights from files, and their errors."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from neurflow import Model, load_model
from neurflow.errors import ModelError, TargetError
from neurflow.model import Preprocessing
from tests.networks import SmallNet

NAME = "torchvision:squeezenet1_1"


@pytest.fixture(scope="module")
def state():
    return models.squeezenet1_1().state_dict()


@pytest.mark.parametrize("option", ["input_size", "resize"])
def test_sizes_that_no_network_takes_are_refused_before_anything_is_allocated(option):
    with pytest.raises(ModelError, match=r"of 100000 × 100000 pixels are too large: .*such as 224"):
        load_model("torchvision:squeezenet1_1", "random", **{option: 100_000})


def test_weights_from_a_state_dict_and_from_safetensors(tmp_path, state):
    torch.save(state, tmp_path / "w.pth")
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, tmp_path / "ddp.pth")
    save_file(state, tmp_path / "w.safetensors")
    digests = {
        load_model(NAME, tmp_path / name).info.digest
        for name in ("w.pth", "ddp.pth", "w.safetensors")
    }
    assert len(digests) == 1
    assert load_model(NAME, "random").info.digest not in digests


def test_torchvision_models_have_preprocessing_and_class_names(tmp_path, state):
    model = load_model(NAME, "random", mean=0.5, std=0.25)
    assert model.class_names[207] == "golden retriever"
    assert model.input_size == (3, 224, 224)
    assert model.transform.mean == (0.5,) * 3
    assert model.transform.resize == 256


def test_a_user_defined_factory(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from torch import nn\n"
        "def make():\n"
        "    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(),\n"
        "        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))\n"
    )
    model = load_model(f"file:{tmp_path / 'mine.py'}:make", "random", class_names=["no", "yes"])
    assert model.proposed_layers() == ("1", "2", "4")
    assert model.target("yes").neuron == 1
    with pytest.raises(ModelError, match=r"has no function 'mak'. Near names: make"):
        load_model(f"file:{tmp_path / 'mine.py'}:mak")


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "resnet18",
            "Write torchvision:NAME, timm:NAME, hf:NAME_OR_FOLDER, onnx:FILE or file:module.py",
        ),
        ("torchvision:resnet19", "torchvision has no classifier 'resnet19'. Near names: resnet1"),
        ("file:nowhere.py:make", "There is no Python file 'nowhere.py'"),
    ],
)
def test_errors_for_unknown_references_suggest_a_solution(reference, message):
    with pytest.raises(ModelError, match=message):
        load_model(reference, "random")


def test_weights_that_do_not_fit_are_refused(tmp_path, state):
    other = dict(state)
    other["features.0.weight"] = torch.zeros(1)
    other.pop("classifier.1.bias")
    torch.save(other, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="1 missing, 0 unexpected, 1 of another shape"):
        load_model(NAME, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"There is no weights file .*gone\.pth"):
        load_model(NAME, tmp_path / "gone.pth")
    with pytest.raises(
        ModelError,
        match="There is no weights file 'IMAGENET', and torchvision has no weights of that name",
    ):
        load_model(NAME, "IMAGENET")


class Harmful:
    def __reduce__(self):
        return print, ("this must never run",)


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ModelError):
        load_model(NAME, tmp_path / "w.pth")
    torch.save(SmallNet(), tmp_path / "whole.pth")
    with pytest.raises(ModelError, match="Save only the state dict"):
        load_model(NAME, tmp_path / "whole.pth")
    assert "never" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_truncated_weights_are_refused(tmp_path, state, name):
    save_file(state, tmp_path / name) if name.endswith("s") else torch.save(state, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 3])
    with pytest.raises(ModelError, match=r"cannot be read|is cut short"):
        load_model(NAME, tmp_path / name)


def test_weights_with_nan_are_refused(tmp_path, state):
    bad = {k: v.clone() for k, v in state.items()}
    bad["features.0.bias"][3] = float("nan")
    torch.save(bad, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"features\.0\.bias has NaN or infinity"):
        load_model(NAME, tmp_path / "w.pth")


@pytest.fixture(scope="module")
def small():
    transform = Preprocessing(resize=None, crop=(32, 32))
    return Model(SmallNet(), transform=transform, class_names=["ant", "Red Bee", "cat-fish", "cat"])


def test_targets_by_name_number_neuron_and_difference(small):
    assert (
        small.target("red bee").neuron
        == small.target(1).neuron
        == small.target("red_bee").neuron
        == 1
    )
    assert small.target("cat-fish").minus is None
    difference = small.target("cat-fish-ant")
    assert (difference.neuron, difference.minus, difference.name) == (2, 0, "cat-fish - ant")
    assert small.target("cat - ant").minus == 0
    inner = small.target("block2/11")
    assert (inner.layer, inner.neuron) == ("block2", 11)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("bee", "There is no class 'bee'. Near names: Red Bee"),
        ("9", "There is no class '9'"),
        ("block2/12", "has neurons 0 to 11, not 12"),
        ("bee-ant", "There is no class 'bee-ant'"),
    ],
)
def test_errors_for_unknown_targets_suggest_similar_names(small, target, message):
    with pytest.raises(TargetError, match=message):
        small.target(target)


def test_errors_for_ambiguous_names_list_the_numbers():
    model = Model(
        SmallNet(), transform=Preprocessing(crop=(32, 32)), class_names=["crane", "x", "Crane", "y"]
    )
    with pytest.raises(TargetError, match=r"names classes \[0, 2\]"):
        model.target("CRANE")


def test_the_number_of_class_names_must_equal_that_of_logits():
    model = Model(SmallNet(), transform=Preprocessing(crop=(32, 32)), class_names=["a", "b"])
    with pytest.raises(ModelError, match="2 class names for 4 logits"):
        model.target("a")


def test_a_mean_in_units_of_bytes_is_refused():
    assert Preprocessing().adapted(mean=0, std=1 / 255).mean == (0, 0, 0)
    with pytest.raises(ModelError, match="divide both by 255"):
        Preprocessing().adapted(mean=127.5, std=127.5)


def test_a_transform_that_fails_or_makes_no_image_is_refused():
    with pytest.raises(ModelError, match="transform fails on a plain RGB picture"):
        Model(SmallNet(), transform=lambda _: 1 / 0).input_size  # noqa: B018
    with pytest.raises(ModelError, match=r"must return a tensor \[channel, height, width\]"):
        Model(SmallNet(), transform=lambda _: [1]).input_size  # noqa: B018


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "nn.Sequential(nn.Flatten(), nn.LazyLinear(2))",
            "does not exist before the first forward",
        ),
        ("torch.jit.trace(nn.Conv2d(3, 2, 1), torch.rand(1, 3, 4, 4))", "TorchScript"),
    ],
)
def test_networks_that_cannot_be_exported_or_hooked_are_refused(tmp_path, code, said):
    file = tmp_path / "net.py"
    file.write_text(f"import torch\nfrom torch import nn\ndef make(): return {code}\n")
    with pytest.raises(ModelError, match=said):
        load_model(f"file:{file}:make")


def test_a_module_is_not_accepted_as_a_reference():
    with pytest.raises(ModelError, match=r"neurflow\.Model\(module\)"):
        load_model(SmallNet())
