"""Names of weights that wrappers have changed: which are rewritten, and which are ambiguous."""

import pytest
import torch
from torch import nn

from neurflow.errors import ModelError
from neurflow.model.checkpoints import load_weights
from tests.networks import SmallNet, seeded


@pytest.fixture(scope="module")
def state():
    return seeded(SmallNet).state_dict()


def renamed(state, body, head):
    """The same weights with one prefix for the head and another for the rest."""
    return {
        (head + key.removeprefix("head.") if key.startswith("head.") else body + key): value
        for key, value in state.items()
    }


def plus_one(state, prefix=""):
    return {prefix + key: value + 1 for key, value in state.items()}


def load(tmp_path, content, module=None):
    torch.save(content, tmp_path / "w.pt")
    module = module or SmallNet(4)
    return module, load_weights(module, tmp_path / "w.pt")


@pytest.mark.parametrize(
    ("body", "head", "note"),
    [
        (
            "module.backbone.",
            "module.head.",
            "the prefixes 'module.backbone.' and 'module.' were removed from names",
        ),
        ("model.encoder.", "model.head.", "'model.encoder.' and 'model.' were removed"),
        ("_orig_mod.module.", "_orig_mod.module.head.", "'_orig_mod.module.' was removed"),
        ("ema.module.", "ema.module.head.", "the prefix 'ema.module.' was removed"),
        ("module.", "head.", "the prefix 'module.' was removed from names"),
        ("", "module.head.", "the prefix 'module.' was removed from names"),
        ("backbone.", "classifier.1.", "'backbone.' to '', 'classifier.1.' to 'head.'"),
        ("", "fc.", "names were changed: 'fc.' to 'head.'"),
    ],
)
def test_several_prefixes_are_removed_in_one_note(tmp_path, state, body, head, note):
    module, notes = load(tmp_path, renamed(state, body, head))
    assert all(torch.equal(value, state[key]) for key, value in module.state_dict().items())
    assert len(notes) == 1
    assert note in notes[0]


def test_prefixes_are_added_or_exchanged_for_a_wrapped_network(tmp_path, state):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = SmallNet(4)
            self.backbone.head = nn.Identity()
            self.fc = nn.Linear(16, 4)

    for content in (state, renamed(state, "module.net.", "module.fc.")):
        module, notes = load(tmp_path, content, Wrapped())
        assert torch.equal(module.fc.weight, state["head.weight"])
        assert torch.equal(module.backbone.block1[0].weight, state["block1.0.weight"])
        assert len(notes) == 1


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (
            lambda s: {**{f"student.{k}": v for k, v in s.items()}, **plus_one(s, "teacher.")},
            r"such as student\.block1\.0\.weight and teacher\.block1\.0\.weight.*'student\.'",
        ),
        (
            lambda s: (
                renamed(s, "module.a.", "module.a.head.")
                | {k: v for k, v in plus_one(s, "module.b.").items() if "block1" in k}
                | {"module.head.weight": s["head.weight"] + 1}
            ),
            None,
        ),
    ],
)
def test_copies_of_equal_shapes_are_refused_by_name(tmp_path, state, make, named):
    if named is None:  # the copy is not complete, so it is left out
        module, notes = load(tmp_path, make(state))
        assert torch.equal(module.head.weight, state["head.weight"])
        assert "are left out" in " ".join(notes)
        return
    with pytest.raises(ModelError, match=named):
        load(tmp_path, make(state))


def test_a_missing_part_is_never_taken_from_another_copy(tmp_path, state):
    body = {f"student.{k}": v for k, v in state.items() if not k.startswith("head.bias")}
    teacher = {k: v for k, v in plus_one(state, "teacher.").items() if "block1" not in k}
    with pytest.raises(ModelError, match="has several weights that fit"):
        load(tmp_path, body | teacher)


def test_averaged_weights_and_equal_copies_are_not_ambiguous(tmp_path, state):
    ema = {f"model_ema.module.{k}": v for k, v in state.items()}
    module, notes = load(tmp_path, plus_one(state, "model.") | ema)
    assert torch.equal(module.head.weight, state["head.weight"])
    assert "'model_ema.module.' was removed" in notes[0]
    module, _ = load(tmp_path, {f"{p}.{k}": v for p in ("net", "copy") for k, v in state.items()})
    assert torch.equal(module.head.weight, state["head.weight"])
    schema = {f"schematic.{k}": v for k, v in state.items()}  # "ema" is no word of it
    with pytest.raises(ModelError, match="several weights that fit"):
        load(tmp_path, plus_one(state, "model.") | schema)


def test_layers_counted_from_another_number_are_refused(tmp_path):
    """A shifted number fits in shape, and would put weights into the wrong layer."""
    layers = [nn.Conv2d(3, 8, 1), *(nn.Conv2d(8, 8, 1) for _ in range(3)), nn.Flatten()]
    module = nn.Sequential(*layers)
    counted = {f"{int(key[0]) + 1}{key[1:]}": value for key, value in module.state_dict().items()}
    with pytest.raises(ModelError, match="do not fit Sequential"):
        load(tmp_path, counted, module)
