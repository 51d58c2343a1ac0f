"""Other cuts on the page equal those of Python in all digits that are shown."""

import re
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from neurflow.circuit import GroupTree, NeuronGroup
from neurflow.circuit.interactions import exemplars, regrouped
from neurflow.circuit.trees import cut, numbered
from neurflow.pages.payload import payload
from neurflow.refs import Crop, ImageRef
from tests.pages.browsing import figure

pytestmark = pytest.mark.browser


def with_tree(circuit, name, count):
    """The circuit, with a tree in one layer that joins its pairs one after the other."""
    layer = circuit.layer(name)
    members = sorted(member for group in layer.groups for member in group.members)
    pairs = len(members)
    merges = [(0, 1), *((i, pairs + i - 2) for i in range(2, pairs))]
    numbers = numbered(merges, count)
    tree = GroupTree(
        members=members,
        merges=merges,
        heights=tuple(float(i) for i in range(pairs - 1)),
        numbers=numbers,
        returns=(*(None,) * pairs, *(0.1 if i % 2 else 0.9 for i in range(pairs - 2)), None),
        agreement=(1.0, 0.8, 0.1, 0.5),
        default=count,
    )
    owns = {branch: [branch] for branch in range(pairs)}
    for i, (a, b) in enumerate(merges):
        owns[pairs + i] = owns[a] + owns[b]
    groups = []
    for branch in cut(merges, count):
        own = tuple(members[p] for p in sorted(owns[branch]))
        id = f"{name}/{numbers[branch]}"
        groups.append(NeuronGroup(id=id, members=own, crops=exemplars(own, layer.neurons)))
    groups.sort(key=lambda group: -len(group.members))
    grouped = layer.model_copy(update={"groups": tuple(groups), "tree": tree})
    layers = [grouped if each is layer else each for each in circuit.layers]
    return regrouped(circuit, layers)


@pytest.fixture
def tree(wide):
    return with_tree(wide, "early", 2)


def test_the_slider_shows_the_same_cut_as_python_and_updates_the_address(show, tree):
    page = show(tree)
    slider = page.get_by_label("Groups of early")
    slider.fill("4")
    expected = tree.cut({"early": 4})
    early = page.locator('[data-group^="early/"]')
    expect(early).to_have_count(4)
    shown = set(early.evaluate_all("all => all.map(card => card.dataset.group)"))
    assert shown == {group.id for group in expected.layer("early").groups}
    page.locator('[data-group="late/0"]').click()
    inputs = page.locator('[data-list="lower"] li')
    expect(inputs).to_have_count(4)
    found = {
        row.get_by_role("button").get_attribute("title").split(" → ")[0]: figure(
            row.locator(".number").inner_text()
        )
        for row in inputs.all()
    }
    weights = {edge.lower: edge.weight for edge in expected.inputs("late/0")}
    assert sorted(found.values()) == pytest.approx(sorted(weights.values()), abs=0.006)
    expect(page).to_have_url(re.compile("cut=early%3D4"))
    page.reload()
    expect(early).to_have_count(4)
    slider.dblclick()
    expect(early).to_have_count(2)


def test_the_column_head_names_groups_that_do_not_recur(show, tree):
    page = show(tree)
    head = page.locator(".column-head").first
    expect(head).not_to_contain_text("not stable")
    page.get_by_label("Groups of early").fill("3")
    expect(head).to_contain_text("3 groups, not stable")


@pytest.mark.parametrize("count", [3, 4])
def test_cards_mark_groups_that_do_not_recur(show, tree, count):
    page = show(tree)
    page.get_by_label("Groups of early").fill(str(count))
    cards = page.locator('[data-group^="early/"]')
    expect(cards).to_have_count(count)
    layer = tree.cut({"early": count}).layer("early")
    returns = {group.id: layer.returns(group) for group in layer.groups}
    expected = {id for id, value in returns.items() if value is not None and value < 0.2}
    assert len(expected) == (1 if count == 4 else 0)
    marked = cards.filter(has=page.locator(".badges", has_text="not stable"))
    shown = marked.evaluate_all("all => all.map(card => card.dataset.group)")
    assert set(shown) == expected


def test_the_tree_is_small_and_follows_edits(tree):
    data = payload(tree)
    assert data.layers[0].tree is not None
    merged = tree.layers[0].groups
    one = merged[0].model_copy(update={"members": (*merged[0].members, *merged[1].members)})
    layer = tree.layers[0].model_copy(update={"groups": (one,)})
    by_hand = tree.model_copy(update={"layers": (layer, *tree.layers[1:])})
    assert payload(by_hand).layers[0].tree is None


def test_crops_of_different_photographs_come_first(wide):
    group = wide.layers[0].groups[0]
    crops = tuple(
        Crop(image, (8 * n, 0, 8 * n + 8, 8))
        for image, n in [(0, 0), (0, 1), (1, 2), (0, 3), (1, 4)]
    )
    thumbnails = dict.fromkeys(crops, next(iter(wide.thumbnails.values())))
    layer = wide.layers[0].model_copy(
        update={"groups": (group.model_copy(update={"crops": crops}), *wide.layers[0].groups[1:])}
    )
    circuit = wide.model_copy(
        update={"layers": (layer, *wide.layers[1:]), "thumbnails": wide.thumbnails | thumbnails}
    )
    data = payload(circuit)
    shown = [data.crops[c] for c in data.layers[0].groups[0].crops]
    assert [(c.image, c.box[0]) for c in shown] == [(0, 0), (1, 16), (0, 8), (1, 32), (0, 24)]


def test_groups_of_one_photograph_have_a_badge(show, wide):
    images = tuple(ImageRef(name=f"{i}.png") for i in range(6))
    page = show(wide.model_copy(update={"images": images}))
    assert page.locator(".badges").count() == 0, "three photographs each"
    crops = tuple(crop for crop in wide.thumbnails if crop.image == 0)
    group = wide.layers[0].groups[0].model_copy(update={"crops": crops})
    layer = wide.layers[0].model_copy(update={"groups": (group, *wide.layers[0].groups[1:])})
    few = show(wide.model_copy(update={"images": images, "layers": (layer, *wide.layers[1:])}))
    expect(few.locator(f'[data-group="{group.id}"] .badges')).to_have_text("1 photo")


def test_back_and_forward_step_through_selections(page):
    selected = page.locator(".card.selected")
    for id in ("late/0", "late/1"):
        page.locator(f'[data-group="{id}"]').click()
        page.wait_for_url(f"**group={quote(id, safe='')}*")
    page.go_back()
    expect(selected).to_have_attribute("data-group", "late/0")
    page.go_back()
    expect(selected).to_have_count(0)
    page.go_forward()
    expect(selected).to_have_attribute("data-group", "late/0")


def test_crops_can_be_enlarged_and_the_panel_collapsed(page):
    page.locator('[data-group="late/0"]').click()
    page.get_by_role("button", name="Enlarge crop 1").click()
    box = page.get_by_role("dialog")
    expect(box).to_contain_text("1 of 3")
    page.keyboard.press("ArrowRight")
    expect(box).to_contain_text("2 of 3")
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "late/0")
    page.get_by_role("button", name="Fold details").click()
    expect(page.get_by_role("complementary")).to_have_count(0)
    page.get_by_role("button", name="Details").click()
    edge = page.get_by_role("separator")
    before = page.get_by_role("complementary").bounding_box()["width"]
    edge.press("ArrowLeft")
    assert page.get_by_role("complementary").bounding_box()["width"] == before + 24
