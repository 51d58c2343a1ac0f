"""The demo's pictures and network have their documented properties."""

import json
from collections import Counter
from importlib import resources

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from neurflow.demo.canvas import Canvas, Part, ellipse, rectangle
from neurflow.demo.network import (
    LAYERS,
    WEIGHTS,
    WIDTHS,
    Block,
    DemoNet,
    demo_transform,
    load_demo_network,
)
from neurflow.demo.pictures import (
    CLASSES,
    CONFUSED,
    SHORTCUT,
    SIZE,
    dataset,
    draw,
    picture,
)
from neurflow.demo.train import (
    differences,
    main,
    measure,
    normalise,
    shipped_facts,
    to_tensor,
    train,
)
from neurflow.errors import RequestError

ESSENTIAL = {
    "balloon": {"envelope", "basket"},
    "bee": {"abdomen", "wing", "thorax"},
    "car": {"cabin", "body", "wheel", "window"},
    "fish": {"body", "tail"},
    "flower": {"petal", "stem"},
    "hoverfly": {"abdomen", "wing", "thorax"},
    "mushroom": {"cap", "stem"},
    "taxi": {"cabin", "body", "wheel", "window"},
    "truck": {"load", "cabin", "wheel"},
}


@pytest.fixture(scope="module")
def pictures():
    return dataset("test", 6, seed=11)


@pytest.fixture(scope="module")
def facts_of_a_sample():
    return measure(load_demo_network(), per_class=10, seed=5)


@pytest.mark.parametrize("name", CLASSES)
def test_pictures_depend_on_the_seed(name):
    once, again, other = picture(name, 3), picture(name, 3), picture(name, 4)
    assert once.image.tobytes() == again.image.tobytes() == draw(name, 3).tobytes()
    assert (once.parts, once.mark) == (again.parts, again.mark)
    assert once.image.tobytes() != other.image.tobytes()
    assert once.image.size == (SIZE, SIZE) and once.image.mode == "RGB"


def test_all_processes_draw_the_same_pictures():
    alone, shared = dataset("train", 2), dataset("train", 2, workers=2)
    assert [p.image.tobytes() for p in alone] == [p.image.tobytes() for p in shared]
    assert [p.label for p in alone] == [label for label in range(len(CLASSES)) for _ in range(2)]


def test_pictures_of_a_data_set_can_be_drawn_separately(pictures):
    chosen = pictures[7]
    assert draw(chosen.class_name, chosen.seed).tobytes() == chosen.image.tobytes()


def test_splits_and_seeds_have_no_common_picture():
    seeds = [p.seed for split in ("train", "test") for seed in (0, 1)
             for p in dataset(split, 1, seed) if p.label == 0]  # fmt: skip
    assert len(set(seeds)) == len(seeds) == 4


def test_the_canvas_tracks_the_visible_area_of_each_part():
    canvas = Canvas(np.full((40, 40, 3), 100.0))
    squares = {"below": (4, 4, 19, 19), "hidden": (24, 24, 27, 27), "above": (8, 4, 31, 31)}
    for name, corners in squares.items():
        with canvas.part(name):
            canvas.fill(rectangle(*corners), (200, 0, 0), shade=0)
    # In pixels of the picture, a quarter of the canvas: 4 columns of "below" are left, 16 rows.
    (_, below), (number, above) = canvas.parts()
    assert below == Part("below", (1, 1, 2, 5), 4.0)
    assert (number, above) == (3, Part("above", (2, 1, 8, 8), 42.0))
    assert canvas.reduced().shape == (10, 10, 3)
    np.testing.assert_array_equal(canvas.reduced()[1, 1], (200, 0, 0))
    np.testing.assert_array_equal(canvas.reduced()[0, 0], (100, 100, 100))


def test_painting_inside_a_part_does_not_leave_it():
    canvas = Canvas(np.zeros((40, 40, 3)))
    with canvas.part("disc"):
        canvas.fill(ellipse(20, 20, 10, 10), (50, 50, 50), shade=0)
        canvas.fill(rectangle(0, 18, 39, 22), (250, 0, 0), shade=0, inside=True)
    red = canvas.pixels[..., 0] == 250
    assert red.any() and (canvas.owners[red] == 1).all() and not red[:, :8].any()


def test_boxes_are_inside_the_picture_and_contain_the_visible_area(pictures):
    for each in pictures:
        for part in (*each.parts, *each.distractors):
            left, top, right, bottom = part.box
            assert 0 <= left < right <= SIZE and 0 <= top < bottom <= SIZE
            assert 0 < part.area <= (right - left) * (bottom - top)


def test_every_class_has_its_own_parts_only(pictures):
    for each in pictures:
        assert ESSENTIAL[each.class_name] <= {part.name for part in each.parts}
    with_sign = {p.class_name for p in pictures if any(part.name == "sign" for part in p.parts)}
    assert with_sign == {"taxi"}


def test_boxes_contain_the_pixels_of_their_parts():
    """The colour of a part is found inside its box and rarely outside."""
    for seed in range(8):
        each = picture("hoverfly", seed)
        pixels = np.asarray(each.image).astype(int)
        black = (pixels < 75).all(axis=-1)
        abdomen = next(part for part in each.parts if part.name == "abdomen")
        left, top, right, bottom = abdomen.box
        assert black[top:bottom, left:right].sum() > 0.15 * abdomen.area
        assert black[top:bottom, left:right].mean() > 2 * black.mean()


def test_the_mark_changes_only_its_box():
    for name in CLASSES:
        without, marked = picture(name, 9, shortcut=False), picture(name, 9, shortcut=True)
        assert without.mark is None and not without.has_shortcut
        assert marked.mark is not None and marked.has_shortcut
        changed = (np.asarray(without.image) != np.asarray(marked.image)).any(axis=-1)
        left, top, right, bottom = marked.mark
        assert changed[top:bottom, left:right].mean() > 0.9
        changed[top:bottom, left:right] = False
        # The edge of a shape may be blended into the adjacent pixel only.
        assert not changed.any()


def test_the_mark_follows_the_planted_rule():
    # ``picture`` decides from its seed alone, so many seeds are counted without a data set.
    marked = [picture(SHORTCUT.class_name, seed).has_shortcut for seed in range(40)]
    assert abs(np.mean(marked) - SHORTCUT.share) < 0.15
    others = [name for name in CLASSES if name != SHORTCUT.class_name]
    assert not any(picture(name, seed).has_shortcut for name in others for seed in range(2))


def test_the_distinguishing_parts_are_hidden_in_some_pictures_of_both():
    for name in CONFUSED:
        eyes = Counter(any(p.name == "eye" for p in picture(name, s).parts) for s in range(20))
        assert eyes[True] > 10 and eyes[False] >= 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: draw("bees", 0), r"no class 'bees'.*Near names: bee"),
        (lambda: draw("bee", -1), "0 or more"),
        (lambda: dataset("validation", 1), "train and test"),
        (lambda: dataset("test", 0), "at least 1"),
    ],
)
def test_errors_explain_wrong_requests(call, message):
    with pytest.raises(RequestError, match=message):
        call()


def test_the_network_has_the_stages_it_names():
    network = DemoNet().eval()
    modules = dict(network.named_modules())
    seen = {}
    handles = [
        modules[name].register_forward_hook(
            lambda _m, _i, output, name=name: seen.__setitem__(name, tuple(output.shape))
        )
        for name in LAYERS
    ]
    assert network(torch.zeros(2, 3, SIZE, SIZE)).shape == (2, len(CLASSES))
    for handle in handles:
        handle.remove()
    sides = (48, 24, 12, 12, 6)
    assert seen == {
        **{
            name: (2, width, side, side)
            for name, width, side in zip(LAYERS[:-1], WIDTHS, sides, strict=True)
        },
        "head": (2, len(CLASSES)),
    }
    assert sum(p.numel() for p in network.parameters()) < 400_000


def test_a_block_adds_its_shortcut():
    block = Block(4, 6, stride=2).eval()
    torch.nn.init.zeros_(block.norm2.weight)
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(block(x), block.shortcut(x).relu())


def test_the_network_exports_with_a_dynamic_batch():
    network = load_demo_network()
    batch = {0: torch.export.Dim("batch", min=1, max=1024)}
    program = torch.export.export(
        network, (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=(batch,)
    )
    x = torch.randn(5, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(program.module()(x), network(x))


def test_training_and_transform_use_the_same_numbers(pictures):
    pixels, _ = to_tensor(pictures[:3])
    expected = torch.stack([demo_transform()(p.image) for p in pictures[:3]])
    torch.testing.assert_close(normalise(pixels), expected)


def test_training_is_deterministic_and_leaves_the_global_seed_alone(pictures):
    pixels, labels = to_tensor(pictures)
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    once, again = (train(pixels, labels, seed=2, epochs=1).state_dict() for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_the_shipped_weights_are_small_and_finite():
    assert resources.files("neurflow.demo").joinpath(WEIGHTS).stat().st_size < 2_000_000
    network = load_demo_network()
    assert not network.training
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_the_shipped_weights_have_the_stored_facts(facts_of_a_sample):
    sample, shipped = facts_of_a_sample, shipped_facts()
    for name, value in shipped["accuracy_without_mark"].items():
        # Three standard errors of a share of 10 pictures, and never less than one picture.
        margin = max(3 * (value * (1 - value) / 10) ** 0.5, 0.15)
        assert abs(sample["accuracy_without_mark"][name] - value) < margin, name
    mine, theirs = sample["shortcut"], shipped["shortcut"]
    assert mine["accuracy_with_mark"] > 0.9
    assert mine["accuracy_with_mark"] - mine["accuracy_without_mark"] > 0.1
    assert abs(mine["others_turned_by_mark"] - theirs["others_turned_by_mark"]) < 0.15


def test_the_shipped_facts_pass_their_own_check_and_changed_ones_do_not():
    shipped = shipped_facts()
    assert differences(shipped, shipped) == []
    worse = json.loads(json.dumps(shipped))
    worse["accuracy_without_mark"]["fish"] -= 0.2
    worse["shortcut"]["others_turned_by_mark"] = 0.0
    worse["shortcut"]["accuracy_without_mark"] = worse["shortcut"]["accuracy_with_mark"]
    assert [line.split(":")[0].split(" changes")[0] for line in differences(worse, shipped)] == [
        "fish",
        SHORTCUT.class_name,
        "the mark",
    ]


def test_the_check_fails_for_a_network_that_learnt_too_little(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("neurflow.demo.train.PER_CLASS", 2)
    monkeypatch.setattr("neurflow.demo.train.TEST_PER_CLASS", 2)
    shipped = resources.files("neurflow.demo").joinpath(WEIGHTS).read_bytes()
    threads = torch.get_num_threads()
    try:
        code = main(["--check", "--workers", "1", "--out", str(tmp_path / WEIGHTS)])
    finally:
        torch.set_num_threads(threads)
    said = capsys.readouterr()
    assert code == 1 and "accuracy" in said.err
    assert json.loads(said.out) == json.loads((tmp_path / "facts.json").read_text())
    assert set(load_file(tmp_path / WEIGHTS)) == set(DemoNet().state_dict())
    assert resources.files("neurflow.demo").joinpath(WEIGHTS).read_bytes() == shipped
