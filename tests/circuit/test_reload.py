"""Loading the model of a result: class names, preprocessing, and references that need consent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from neurflow.circuit import Circuit, load_circuit
from neurflow.circuit.reload import facts_to_reload, reload_model
from neurflow.errors import ModelError, RequestError, ResultError
from neurflow.model import Model, load_model
from neurflow.model.preprocessing import Preprocessing

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


def told(circuit: Circuit, model: Model, **changes: Any) -> Circuit:
    """The circuit with the information about that model."""
    info = model.info.model_copy(update=changes)
    return circuit.model_copy(update={"model": info, **facts_to_reload(model)})


def stored(circuit: Circuit, folder: Path) -> Circuit:
    circuit.save(folder)
    return load_circuit(folder)


@pytest.fixture
def reference(tmp_path: Path) -> str:
    (tmp_path / "net.py").write_text(NET)
    return f"file:{tmp_path / 'net.py'}:net"


def test_class_names_preprocessing_and_options_are_restored(
    circuit: Circuit, reference: str, tmp_path: Path
) -> None:
    model = load_model(
        reference, mean=0.5, std=(0.1, 0.2, 0.3), input_size=16, class_names=["tumor", "healthy"]
    )
    kept = stored(told(circuit, model), tmp_path / "run")
    assert kept == told(circuit, model)
    again = reload_model(kept, reference)
    assert again.class_names == ("tumor", "healthy")
    assert again.transform == model.transform
    assert again.info == model.info
    assert reload_model(kept, reference, class_names=["a", "b"]).class_names == ("a", "b")


def test_weights_from_a_file_are_restored_with_the_number_of_classes(
    circuit: Circuit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import squeezenet1_1

    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    torch.save(squeezenet1_1(num_classes=2).state_dict(), "my.pth")
    names = ["tumor", "healthy"]
    model = load_model(
        "torchvision:squeezenet1_1", "my.pth", class_names=names, input_size=(64, 64)
    )
    again = reload_model(stored(told(circuit, model), tmp_path / "run"))
    assert again.info == model.info and again.class_names == ("tumor", "healthy")
    Path("my.pth").unlink()
    with pytest.raises(RequestError, match=r"were in my\.pth, .* no such file in .*--weights FILE"):
        reload_model(told(circuit, model))


def test_class_names_that_are_numbers_are_restored(circuit: Circuit, tmp_path: Path) -> None:
    from torchvision.models import squeezenet1_1

    torch.save(squeezenet1_1(num_classes=10).state_dict(), tmp_path / "digits.pth")
    digits = [str(n) for n in range(10)]
    model = load_model("torchvision:squeezenet1_1", tmp_path / "digits.pth", class_names=digits)
    again = reload_model(told(circuit, model))
    assert (again.info, again.class_names) == (model.info, tuple(digits))


def test_random_weights_are_restored(circuit: Circuit, reference: str) -> None:
    path = Path(reference.split(":")[1])
    path.write_text(NET.replace("    torch.manual_seed(0)\n", ""))
    for name in ("torchvision:squeezenet1_1", reference):
        state = torch.random.get_rng_state()
        model = load_model(name, "random", input_size=(64, 64))
        assert torch.equal(state, torch.random.get_rng_state())
        torch.rand(3)
        assert reload_model(told(circuit, model), name).info == model.info


def test_a_renamed_model_file_uses_the_weights_of_the_result(
    circuit: Circuit, reference: str, tmp_path: Path
) -> None:
    module = load_model(reference).module
    torch.save({k: v + 1 for k, v in module.state_dict().items()}, tmp_path / "w.pth")
    model = load_model(reference, tmp_path / "w.pth")
    (tmp_path / "net.py").rename(tmp_path / "other.py")
    again = reload_model(told(circuit, model), f"file:{tmp_path / 'other.py'}:net")
    assert again.info.digest == model.info.digest


def test_the_preprocessing_of_the_run_is_used_if_the_library_changed_its_own(
    circuit: Circuit, reference: str
) -> None:
    model = load_model(reference)
    model.transform = Preprocessing(resize=99, crop=(64, 64))
    assert reload_model(told(circuit, model), reference).transform == model.transform


def test_results_of_earlier_versions_are_loaded(circuit: Circuit, reference: str) -> None:
    model = load_model(reference)
    before = circuit.model_copy(update={"model": model.info})
    assert before.class_names == () and before.preprocessing is None
    assert reload_model(before, reference).class_names == ("0", "1")


def test_the_demo_network_is_loaded_without_a_reference(circuit: Circuit) -> None:
    from neurflow.demo.network import REFERENCE, demo_model

    info = circuit.model.model_copy(update={"reference": REFERENCE})
    again = reload_model(circuit.model_copy(update={"model": info}))
    assert again.info.digest == demo_model().info.digest


@pytest.mark.parametrize(
    "reference",
    [
        "file:net.py:net",
        "onnx:net.onnx",
        "hf:someone/model",
        "timm:hf-hub:someone/model",
        "timm:local-dir:/tmp/model",
        "torchvision:../net",
        "pickle:net",
        "torchvision:resnet18\nfile:x.py:f",
    ],
)
def test_references_in_results_are_followed_only_to_libraries(
    circuit: Circuit, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "neurflow.circuit.reload.load_model", lambda *_, **__: pytest.fail("followed")
    )
    info = circuit.model.model_copy(update={"reference": reference})
    with pytest.raises(RequestError, match="If you trust it: --model"):
        reload_model(circuit.model_copy(update={"model": info}))


@pytest.mark.parametrize("weights", ["/dev/zero", "//host/share/a.pth", "sub/none.pth"])
def test_weights_are_read_only_from_plain_files(
    circuit: Circuit, weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "neurflow.circuit.reload.load_model", lambda *_, **__: pytest.fail("followed")
    )
    info = {"reference": "torchvision:resnet18", "weights": weights}
    with pytest.raises(RequestError, match="--weights FILE"):
        reload_model(circuit.model_copy(update={"model": circuit.model.model_copy(update=info)}))


@pytest.mark.parametrize(
    "facts",
    [{"crop": "all"}, {"no_such_setting": 1}, {"crop": (1, 2, 3)}, {"fill": None}],
    ids=["kind", "name", "length", "none"],
)
def test_invalid_preprocessing_is_refused(
    circuit: Circuit, reference: str, facts: dict[str, Any]
) -> None:
    with pytest.raises(ResultError, match="preprocessing of the result"):
        reload_model(circuit.model_copy(update={"preprocessing": facts}), reference)


def test_types_of_options_are_checked(circuit: Circuit, tmp_path: Path) -> None:
    import json

    circuit.save(tmp_path)
    content = json.loads((tmp_path / "circuit.json").read_text())
    for options in (
        {"device": "cuda"},
        {"mean": "x"},
        {"class_names": "/etc/passwd"},
        {"resize": -1},
    ):
        content["circuit"]["model"]["options"] = options
        (tmp_path / "circuit.json").write_text(json.dumps(content))
        with pytest.raises(ResultError, match=r"model\.options"):
            load_circuit(tmp_path)


def test_a_module_with_other_shapes_is_reported(circuit: Circuit) -> None:
    model = Model(nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 2)))
    with pytest.raises(RequestError, match="in memory"):
        reload_model(told(circuit, model))
    with pytest.raises(ModelError):
        reload_model(told(circuit, model), "torchvision:nothing")
