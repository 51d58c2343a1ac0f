"""Weights in practice: containers, prefixes, and files without a state dict."""

import argparse
import json
import pickle
import zipfile
from datetime import datetime

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from neurflow.errors import ModelError
from neurflow.model.checkpoints import load_weights
from tests.networks import SmallNet, seeded


@pytest.fixture(scope="module")
def state():
    return seeded(SmallNet).state_dict()


def zeros():
    """A network of the same kind with other weights."""
    module = SmallNet()
    for value in module.state_dict().values():
        value.zero_()
    return module


def under(prefix, state):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize(
    ("wrap", "note"),
    [
        (lambda s: s, None),
        (lambda s: {"epoch": 3, "model_state_dict": s, "loss": 0.4}, "under 'model_state_dict'"),
        (lambda s: {"net": s, "optimizer": {"state": {0: {"step": torch.ones(1)}}}}, "'net'"),
        (
            lambda s: {"state_dict": under("model.", s)},
            "the prefix 'model.' was removed from names",
        ),
        (lambda s: under("_orig_mod.", s), "'_orig_mod.' was removed from names"),
        (lambda s: under("module._orig_mod.", s), "prefix 'module._orig_mod.' was removed"),
        (
            lambda s: under(
                "model.", {k.replace("0.", "0._orig_mod.", 1): v for k, v in s.items()}
            ),
            "'_orig_mod.' was removed from names",
        ),
        (
            lambda s: {k.replace("0.", "0._checkpoint_wrapped_module."): v for k, v in s.items()},
            "'_checkpoint_wrapped_module.' was removed",
        ),
        (lambda s: {k.replace("0.", "0._orig_mod.", 1): v for k, v in s.items()}, "'_orig_mod.'"),
        (lambda s: under("some.thing.", s), "the prefix 'some.thing.' was removed from names"),
        (
            lambda s: {"state_dict": {**under("net.", s), "loss.weight": torch.ones(4)}},
            "1 are left out, such as loss.weight",
        ),
        (
            lambda s: {
                "model": {k: torch.zeros_like(v) for k, v in s.items()},
                "ema": {"decay": 0.9, "module": s},
            },
            "under 'ema.module' are used; the file also has 'model'",
        ),
        (
            lambda s: {"args": argparse.Namespace(lr=0.1), "best": np.float64(1), "model": s},
            "'model'",
        ),
        (lambda s: [{"epoch": 1}, s], "those under '1'"),
        (lambda s: {"a": {"b": {"c": {"d": {"e": s}}}}}, "those under 'a.b.c.d.e'"),
        (lambda s: {"optim_state": {k: v + 1 for k, v in s.items()}, "weights": s}, "'weights'"),
        (lambda s: {k: v.numpy() for k, v in s.items()}, None),
        (
            lambda s: {
                "net": s,
                "when": datetime(2024, 1, 1),
                "seen": {1, 2},
                "best": np.arange(3),
                "state": np.random.get_state(),
            },
            "'net'",
        ),
        (
            lambda s: (
                {k: v for k, v in s.items() if k != "head.weight"}
                | {"head.weight_orig": s["head.weight"] + 0, "head.weight_mask": torch.ones(4, 16)}
            ),
            "weights that pruning had split were put together",
        ),
    ],
)
def test_weights_are_found_in_containers_and_reported(tmp_path, state, wrap, note):
    torch.save(wrap(state), tmp_path / "w.pt")
    module = zeros()
    notes = load_weights(module, tmp_path / "w.pt")
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert not notes if note is None else note in " ".join(notes)
    assert ("also has" in " ".join(notes)) == ("also has" in (note or ""))


def test_tensors_that_the_network_lacks_are_left_out_with_a_note(tmp_path, state):
    torch.save(state | {"criterion.weight": torch.ones(3), "ops": torch.ones(1)}, tmp_path / "w.pt")
    module = zeros()
    (note,) = load_weights(module, tmp_path / "w.pt")
    assert "2 are left out, such as criterion.weight" in note
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())


@pytest.mark.filterwarnings("ignore::UserWarning")  # quantised tensors are deprecated
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda v: torch.quantize_per_tensor(v, 0.1, 0, torch.qint8), "holds quantised values"),
        (lambda v: v.to(torch.complex64), "holds complex values"),
        (lambda v: v.to_sparse(), "holds sparse values"),
        (lambda v: v.to("meta"), r"only the shapes of weights \(on the meta device\)"),
    ],
)
def test_invalid_values_of_weights_are_refused(tmp_path, state, change, told):
    torch.save({**state, "head.weight": change(state["head.weight"])}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match=told + ", as in head.weight"):
        load_weights(SmallNet(), tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore:.*spectral_norm:FutureWarning")
@pytest.mark.parametrize(
    "normed", [nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm], ids=["old", "new"]
)
def test_weights_of_spectral_norm_are_combined(tmp_path, normed):
    source = seeded(SmallNet)
    source.block1[0] = normed(nn.Conv2d(3, 8, 3, padding=1))
    for _ in range(2):
        source(torch.rand(2, 3, 8, 8))
    torch.save(source.eval().state_dict(), tmp_path / "w.pt")
    source(torch.rand(2, 3, 8, 8))  # the old form computes the weight in the forward pass
    module = zeros()
    (note,) = load_weights(module, tmp_path / "w.pt")
    assert "weights that spectral norm had split" in note
    torch.testing.assert_close(module.block1[0].weight, source.block1[0].weight)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s | {"head.lora_A": torch.ones(2, 3)}, "adapters .* such as head.lora_A"),
        (
            lambda s: (
                under("base_model.", s) | {"base_model.head.lora_B.default.weight": s["head.bias"]}
            ),
            "merge",
        ),
        (
            lambda s: {"state": {0: {"exp_avg": s["head.bias"]}}, "param_groups": []},
            "not a state dict",
        ),
        (
            lambda s: (
                {k: v for k, v in s.items() if "head" not in k}
                | {"head.scale": torch.ones(1), "head.zero_point": torch.zeros(1)}
            ),
            "in the file is quantised",
        ),
    ],
)
def test_errors_for_weights_that_need_another_step(tmp_path, state, change, told):
    torch.save(change(state), tmp_path / "w.pt")
    with pytest.raises(ModelError, match=told):
        load_weights(SmallNet(), tmp_path / "w.pt")


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
@pytest.mark.parametrize(
    "normed", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm], ids=["old", "new"]
)
def test_weights_of_weight_norm_are_combined(tmp_path, normed):
    source = seeded(SmallNet)
    normed(source.head)
    normed(source.block1[0])
    torch.save(under("module.", source.state_dict()), tmp_path / "w.pt")
    module = zeros()
    notes = " ".join(load_weights(module, tmp_path / "w.pt"))
    assert "weights that weight norm had split" in notes
    torch.testing.assert_close(module.head.weight, source.head.weight)
    torch.testing.assert_close(module.block1[0].weight, source.block1[0].weight)


def test_the_parts_of_a_sharded_model_are_read_by_their_index(tmp_path, state):
    names = sorted(state)
    parts = {f"model-0000{n}-of-00002.safetensors": names[n - 1 :: 2] for n in (1, 2)}
    for file, keys in parts.items():
        save_file({key: state[key] for key in keys}, tmp_path / file)
    places = {key: file for file, keys in parts.items() for key in keys}
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    module = zeros()
    load_weights(module, index)
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    with pytest.raises(ModelError, match=r"part 1 of 2.*model\.safetensors\.index\.json"):
        load_weights(module, tmp_path / next(iter(parts)))
    for content, told in (
        ({"weight_map": {"a": "../w.pt"}}, "not in its folder"),
        ({"weight_map": {"a": "gone.bin"}}, "not in its folder"),
        ([], "not an index"),
        ({"weight_map": {"a": index.name}}, "is not a state dict"),
    ):
        index.write_text(json.dumps(content))
        with pytest.raises(ModelError, match=told):
            load_weights(module, index)


def test_the_kind_of_a_file_is_recognised_by_its_content(tmp_path, state):
    torch.save(state, tmp_path / "w.safetensors")
    save_file(state, tmp_path / "w.bin")
    for name in ("w.safetensors", "w.bin"):
        module = zeros()
        load_weights(module, tmp_path / name)
        assert torch.equal(module.head.weight, state["head.weight"])


def test_a_prefix_is_added_for_a_wrapped_network(tmp_path, state):
    torch.save(state, tmp_path / "w.pt")
    wrapped = nn.Sequential()
    wrapped.backbone = zeros()
    (note,) = load_weights(wrapped, tmp_path / "w.pt")
    assert "the prefix 'backbone.' was added to all names" in note
    assert torch.equal(wrapped.backbone.head.weight, state["head.weight"])


def test_errors_show_an_example_of_each_kind_of_mismatch(tmp_path, state):
    torch.save(SmallNet(7).state_dict(), tmp_path / "seven.pt")
    with pytest.raises(ModelError, match=r"7 outputs where the network has 4: give 7 class names"):
        load_weights(SmallNet(), tmp_path / "seven.pt")
    other = {key.replace("head", "classifier"): value for key, value in state.items()}
    torch.save(other | {"second.bias": torch.ones(4)}, tmp_path / "other.pt")
    with pytest.raises(ModelError, match=r"missing head.bias; unexpected classifier.bias") as found:
        load_weights(SmallNet(), tmp_path / "other.pt")
    assert "usually the head" in str(found.value)
    for empty in ([1, 2], {"loss": 3}):
        torch.save(empty, tmp_path / "none.pt")
        with pytest.raises(ModelError, match="is not a state dict"):
            load_weights(SmallNet(), tmp_path / "none.pt")


def archive(*names):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name in names:
                file.writestr(name, b"x")

    return write


def holding(data):
    return lambda path: path.write_bytes(data)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        (
            "traced.pt",
            lambda p: torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(p),
            "is TorchScript",
        ),
        (
            "program.pt2",
            lambda p: torch.export.save(torch.export.export(nn.ReLU(), (torch.ones(1),)), p),
            "a program of torch.export",
        ),
        ("whole.pth", lambda p: torch.save(SmallNet(), p), r"SmallNet\), and loading it could run"),
        ("model.onnx", holding(b"\x08\x07\x12\x07pytorch"), "Give it as the model: onnx:"),
        ("renamed.pth", holding(b"\x08\x07\x12\x07pytorch"), "is an ONNX file"),
        ("weights.h5", holding(b"\x89HDF\r\n\x1a\n"), "is a Keras or HDF5 file"),
        ("model.keras", archive("config.json", "model.weights.h5"), "is a Keras or HDF5 file"),
        ("model.tflite", holding(b"\x1c\0\0\0TFL3"), "is a TensorFlow file"),
        ("saved_model.pb", holding(b"\x08\x01\x12"), "is a TensorFlow file"),
        ("flax.msgpack", holding(b"\x82"), "is a Flax or NumPy file"),
        ("pointer.pth", holding(b"version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
        ("page.pth", holding(b"<!DOCTYPE html><html>"), "is a web page"),
        ("nothing.pth", holding(b""), "is empty"),
        ("photo.pth", holding(b"\x89PNG\r\n\x1a\n"), "is not a weights file"),
        ("model.gguf", holding(b"GGUF\3\0\0\0"), "is not a weights file"),
        ("packed.zip", archive("weights.pth"), "unpack it"),
        ("folder", lambda path: path.mkdir(), "is a folder"),
        ("dcp", lambda p: (p.mkdir(), (p / ".metadata").touch()), "dcp_to_torch"),
        ("w.pth.gz", holding(b"\x1f\x8b\x08\0"), "is compressed"),
        ("w.pkl", lambda p: p.write_bytes(pickle.dumps([1], 4)), "not written by torch.save"),
        (
            "p4.pt",
            lambda p: torch.save({"a": torch.ones(1)}, p, pickle_protocol=4),
            "Save it again",
        ),
        (
            "damaged.pth",
            holding(b"\x80\x02garbage"),
            "cannot be read|has objects other than tensors|not written by torch.save",
        ),
    ],
)
def test_errors_for_other_kinds_of_files_suggest_a_solution(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(ModelError, match=message):
        load_weights(SmallNet(), tmp_path / name)


def test_integers_in_place_of_weights_are_refused(tmp_path, state):
    torch.save({k: (v * 99).to(torch.int8) for k, v in state.items()}, tmp_path / "int8.pt")
    with pytest.raises(ModelError, match=r"holds integers \(int8\) as .*before quantisation"):
        load_weights(zeros(), tmp_path / "int8.pt")


def test_a_folder_names_the_file_of_weights_in_it(tmp_path, state):
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"the file of weights in it: .*/model.safetensors"):
        load_weights(zeros(), tmp_path)


def test_a_truncated_file_is_reported(tmp_path, state):
    torch.save(state, tmp_path / "net.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "net.pt").read_bytes()[:-200])
    with pytest.raises(ModelError, match="is cut short"):
        load_weights(zeros(), tmp_path / "cut.pt")


def test_default_dicts_beside_the_weights_are_read(tmp_path, state):
    from collections import Counter, defaultdict

    more = {"hyper_parameters": defaultdict(dict), "seen": Counter("ab")}
    torch.save({"state_dict": state, **more}, tmp_path / "net.ckpt")
    module = zeros()
    load_weights(module, tmp_path / "net.ckpt")
    assert all(torch.equal(v, state[k]) for k, v in module.state_dict().items())
