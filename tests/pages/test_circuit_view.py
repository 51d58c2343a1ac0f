"""The circuit in a real browser: paths, minimap, the view in the address, saved pictures."""

import base64
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from benchmarks.explorer import large
from PIL import Image
from playwright.sync_api import expect

from neurflow.circuit import Circuit
from tests.pages.browsing import figure, in_sight, share
from tests.pages.conftest import HOSTILE
from tests.waiting import until

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"


def strongest_path(circuit: Circuit, start: str) -> tuple[list[str], float]:
    """The path to the top layer with the largest product, by trying all paths."""
    top = {group.id for group in circuit.layers[-1].groups}
    open_paths, found = [([start], 1.0)], []
    while open_paths:
        ids, weight = open_paths.pop()
        if ids[-1] in top:
            found.append((ids, weight))
        open_paths += [([*ids, e.upper], weight * e.weight) for e in circuit.outputs(ids[-1])]
    return max(found, key=lambda path: abs(path[1]))


def view(page):
    return page.locator(".drawing").evaluate("e => e.style.transform")


@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_the_strongest_path_and_its_navigation(page, wide, way):
    page.locator('[data-group="early/2"]').click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("button", name="to the pixels")).to_be_disabled()
    panel.get_by_role("button", name="to bee").click()
    ids, weight = strongest_path(wide, "early/2")
    page.mouse.move(640, 5)  # off the cards: hovering would highlight others
    expect(page.locator(".card.raised")).to_have_count(len(ids))
    raised = page.locator(".card.raised").evaluate_all("all => all.map(e => e.dataset.group)")
    assert set(raised) == set(ids)
    assert page.locator(".edges.own path").count() == len(ids) - 1
    titles = panel.locator('[data-list="path"] button').evaluate_all("all => all.map(b => b.title)")
    assert titles == ids[1:]
    assert figure(panel.locator(".route p b").inner_text()) == pytest.approx(weight, abs=0.006)
    if way == "mouse":
        panel.locator('[data-list="path"] button').first.click()
    else:
        page.locator('[data-group="early/2"]').focus()
        page.keyboard.press("ArrowRight")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", ids[1])
    expect(panel.get_by_role("button", name="to bee")).to_have_attribute("aria-pressed", "true")
    expect(panel.locator('[data-list="path"] button')).to_have_count(len(ids) - 2)


@pytest.mark.parametrize("width", [1280, 1440])
def test_the_whole_path_is_in_view(show, width):
    page = show(large(6, 12, 200))
    page.set_viewport_size({"width": width, "height": 720})
    start = page.locator(".card").last.get_attribute("data-group")
    page.evaluate("start => { location.hash = `group=${start}` }", start)
    panel = page.get_by_role("complementary")
    expect(panel).to_be_visible()
    panel.get_by_role("button", name="to large", exact=True).click()
    rest = panel.locator('[data-list="path"] button').evaluate_all("all => all.map(b => b.title)")
    assert len(rest) == 5
    page.wait_for_function("document.querySelector('.drawing:not(.moving)')")
    assert all(in_sight(page, group) for group in [start, *rest])


def test_the_address_contains_the_view(page):
    page.locator('[data-group="late/1"]').click()
    page.get_by_role("button", name="to bee", exact=True).click()
    share(page, 40)
    page.get_by_label("Zoom in").click()
    expect(page).to_have_url(re.compile("path=target.*share=0.4.*at="))
    zoomed = page.url
    page.keyboard.press("Shift+ArrowRight")
    expect(page).not_to_have_url(zoomed)  # it is written when the view has come to rest
    shown, edges, address = view(page), page.locator(".edges.all path").count(), page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "late/1")
    expect(page.locator('[data-list="path"] button')).to_have_count(1)
    assert page.locator(".edges.all path").count() == edges
    numbers = [[float(n) for n in re.findall(r"-?[\d.]+", text)] for text in (view(page), shown)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1.5)


def test_an_invalid_address_shows_the_circuit(page):
    page.goto(page.url + "#group=nowhere/9&path=up&share=much&at=1,2,x&neuron=-1")
    page.reload()
    expect(page.locator(".card").first).to_be_visible()
    expect(page.get_by_role("complementary")).to_have_count(0)


def test_keys_zoom_and_pan(page):
    def scale():
        return float(re.search(r"scale\((.*)\)", view(page))[1])

    before = scale()
    page.keyboard.press("+")
    assert scale() == pytest.approx(1.3 * before)
    page.keyboard.press("-")
    assert scale() == pytest.approx(before)
    still = view(page)
    page.keyboard.press("Shift+ArrowDown")
    assert view(page) != still
    page.keyboard.press("0")
    assert in_sight(page, "early/0")
    page.get_by_label("Find", exact=True).press_sequentially("0")
    expect(page.get_by_label("Find", exact=True)).to_have_value("0")


def test_the_minimap_shows_and_moves_the_view(page):
    for _ in range(5):
        page.get_by_label("Zoom in").click()
    small = page.locator(".minimap")
    box, frame = small.bounding_box(), page.locator(".in-view").bounding_box()
    assert frame["width"] < box["width"]
    assert not in_sight(page, "early/0")
    row = page.locator(".spots:not(.raised)").bounding_box()
    page.mouse.click(row["x"] + 2, row["y"] + 2)
    moved = page.locator(".in-view").bounding_box()
    assert moved["x"] + moved["width"] / 2 == pytest.approx(row["x"] + 2, abs=3)
    assert moved["y"] + moved["height"] / 2 == pytest.approx(row["y"] + 2, abs=3)


def saved(page, name, path):
    page.get_by_label("Save as a picture").click()
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    download.value.save_as(path)
    expect(page.get_by_role("button", name=name)).to_be_hidden()
    return path


def test_the_saved_svg_is_complete_and_hostile_labels_are_text(show, wide, tmp_path):
    page = show(wide)
    share(page, 100)
    file = saved(page, "SVG, the whole circuit", tmp_path / "circuit.svg")
    root = ET.fromstring(file.read_bytes())
    assert len(root.findall(f".//{SVG}path")) == len(wide.edges)
    dashed = [p for p in root.iter(f"{SVG}path") if p.get("stroke-dasharray")]
    assert len(dashed) == sum(edge.weight < 0 for edge in wide.edges)
    pictures = [image.get("href") for image in root.iter(f"{SVG}image")]
    assert len(pictures) == sum(len(g.crops) for layer in wide.layers for g in layer.groups)
    assert all(source.startswith("data:image/png;base64,") for source in pictures)
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {layer.name for layer in wide.layers} <= set(words)
    ends = [word.split("…") for word in words if word and "<" in word and "…" in word]
    assert any(HOSTILE.startswith(first) and HOSTILE.endswith(last) for first, last in ends)
    assert not list(root.iter(f"{SVG}script"))


def test_the_saved_png_has_double_resolution_and_content(show, wide, tmp_path):
    page = show(wide, "dark")
    svg = ET.fromstring(saved(page, "SVG, what is in view", tmp_path / "view.svg").read_bytes())
    with Image.open(saved(page, "PNG, what is in view", tmp_path / "view.png")) as image:
        assert image.size == (2 * int(svg.get("width")), 2 * int(svg.get("height")))
        pixels = np.asarray(image.convert("RGB"))
    assert (pixels[0, 0] == 255).all()  # white, also where the page is dark
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 50


@pytest.fixture(scope="module")
def many():
    """A circuit with more groups than are drawn at once."""
    return large(layers=5, groups=60, edges=500)


def test_only_the_nearby_part_of_a_large_circuit_is_drawn(show, many):
    page = show(many)
    assert 0 < page.locator(".card").count() < 200
    canvas = page.locator("canvas.edges")
    assert len(np.unique(pixels_of(canvas))) > 10
    # one of its pixels is one of the screen
    assert canvas.evaluate("c => c.width / c.getBoundingClientRect().width") == pytest.approx(1)
    page.get_by_label("Find", exact=True).fill("block0.conv0/59")
    expect(page.locator('[data-group="block0.conv0/59"]')).to_be_visible()


def pixels_of(canvas):
    """The values of a canvas, (y, x, channel)."""
    address = canvas.evaluate(
        """c => {
          const copy = document.createElement("canvas");
          [copy.width, copy.height] = [c.width, c.height];
          copy.getContext("2d").drawImage(c, 0, 0);
          return copy.toDataURL();
        }"""
    )
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))))


def test_edges_painted_while_the_view_moves_equal_those_painted_at_once(show, many):
    """After a small move only a strip is painted; the rest is copied."""
    page = show(many)
    canvas = page.locator("canvas.edges")

    def repainted(act, *args, **options):
        old = canvas.element_handle()
        act(*args, **options)
        page.wait_for_function("old => !old.isConnected", arg=old)
        return pixels_of(canvas)

    moved = repainted(page.keyboard.press, "Shift+ArrowLeft")
    dark = repainted(page.emulate_media, color_scheme="dark")
    afresh = repainted(page.emulate_media, color_scheme="light")
    differs = lambda a, b: (np.abs(a.astype(int) - b) > 40).any(axis=2).mean()  # noqa: E731
    assert differs(moved, dark) > 0.02
    assert differs(moved, afresh) < 0.002


def test_cards_too_small_to_be_read_are_painted_and_can_be_chosen(show, many):
    page = show(many)
    page.get_by_label("Fit the whole circuit").click()
    cards = page.locator(".card")
    expect(cards).to_have_count(1)  # the first of the target's column, which Tab leads to
    box = cards.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 5.5 * box["height"]  # on the fifth of the column
    page.mouse.move(x, y)
    at = "([x, y]) => document.elementFromPoint(x, y).dataset.group"
    group = page.wait_for_function(at, arg=[x, y]).json_value()
    inputs = {edge.lower for edge in many.inputs(group)}
    assert inputs <= set(cards.evaluate_all("all => all.map(e => e.dataset.group)"))
    page.mouse.click(x, y)
    expect(page.locator(".card.selected")).to_have_attribute("data-group", group)


def test_keyboard_focus_is_kept_in_a_large_circuit(show, many):
    page = show(many)
    page.locator(".card").first.focus()
    page.keyboard.press("Enter")
    for key in ["ArrowDown"] * 12 + ["ArrowRight", "ArrowLeft"] * 2 + ["ArrowUp"] * 3:
        page.keyboard.press(key)
        chosen = page.locator(".card.selected").get_attribute("data-group")
        page.wait_for_function("id => document.activeElement.dataset.group === id", arg=chosen)
        assert in_sight(page, chosen)


def test_a_search_result_outside_the_view_becomes_visible(show, many):
    page = show(many)
    box = page.get_by_label("Find", exact=True)
    box.fill("/41")
    expect(page.get_by_role("status").first).to_have_text("5 groups")
    box.press("Enter")
    chosen = page.locator(".card.selected")
    expect(chosen).to_have_attribute("data-group", re.compile("/41$"))
    assert in_sight(page, chosen.get_attribute("data-group"))


def drawn_at(page):
    """Scale, x and y of the drawing."""
    return page.locator(".drawing").evaluate(
        """drawing => {
            const { a, e, f } = new DOMMatrix(getComputedStyle(drawing).transform);
            return [a, e, f];
        }"""
    )


def test_the_circuit_is_moved_by_mouse_wheel_and_fingers(page):
    frame = page.locator(".graph").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + 60
    card = page.locator('[data-group="late/1"]').bounding_box()
    scale, left, top = drawn_at(page)

    page.mouse.move(card["x"] + 20, card["y"] + 20)
    page.mouse.down()
    page.mouse.move(card["x"] + 50, card["y"] + 60, steps=6)
    page.mouse.up()
    assert drawn_at(page) == pytest.approx([scale, left + 30, top + 40], abs=12)  # the slop
    expect(page.locator(".card.selected")).to_have_count(0)  # a drag is no click
    page.mouse.click(card["x"] + 50, card["y"] + 60)
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "late/1")
    page.keyboard.press("Escape")
    expect(page.locator(".card.selected")).to_have_count(0)

    scale, left, top = drawn_at(page)
    page.mouse.move(x, y)
    page.mouse.wheel(60, 10)
    until(lambda: drawn_at(page) == pytest.approx([scale, left - 60, top], abs=1))

    touch = page.context.new_cdp_session(page)

    def fingers(kind, *places):
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", (x - 20, y), (x + 20, y))
    for spread in (30, 40, 50, 60):
        fingers("touchMove", (x - spread, y), (x + spread, y))
    fingers("touchEnd")
    until(lambda: drawn_at(page)[0] > 2 * scale)


def with_four_crops(neuron, crops):
    (part,) = neuron.semantic_groups
    four = {"crops": tuple(crops[:4]), "activations": (4.0, 3.0, 2.0, 1.5)}
    parts = (part.model_copy(update={"crops": (0, 1, 2, 3)}),)
    return neuron.model_copy(update={**four, "semantic_groups": parts})


def test_what_is_printed_is_no_wider_than_the_paper(show, wide):
    crops = list(wide.thumbnails)
    layers = tuple(
        layer.model_copy(
            update={"neurons": {a: with_four_crops(n, crops) for a, n in layer.neurons.items()}}
        )
        for layer in wide.layers
    )
    page = show(wide.model_copy(update={"layers": layers}))
    page.set_viewport_size({"width": 1280, "height": 1400})  # as high as paper
    page.locator('[data-group="late/1"]').click()
    strips = page.locator(".panel .members .strip")
    expect(strips).to_have_count(2)
    page.emulate_media(media="print")
    expect(strips.first.locator("img:visible")).to_have_count(4)
    for strip in strips.all():
        row, last = strip.locator("..").bounding_box(), strip.locator("img").last.bounding_box()
        assert last["x"] + last["width"] <= row["x"] + row["width"]
    right = "each => each.getBoundingClientRect().right"
    frame = page.locator(".graph").evaluate(right)
    assert 0.8 * frame < page.locator('[data-group="head/0"]').evaluate(right) < frame < 701
