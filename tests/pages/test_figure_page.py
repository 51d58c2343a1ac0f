"""Figures, tables, search results and accessibility in a real browser."""

import csv
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest
from benchmarks.explorer import large
from PIL import Image
from playwright.sync_api import expect

from neurflow.circuit.robustness_file import RobustnessFile, with_robustness
from neurflow.pages import write_report
from neurflow.stats import Interval
from tests.pages.browsing import figure, patient, violations
from tests.pages.conftest import HOSTILE

pytestmark = pytest.mark.browser
SVG = "{http://www.w3.org/2000/svg}"
MM = 96 / 25.4


def pinned(show, wide, *ids, scheme="light"):
    """The page with some pinned groups and their figure opened."""
    page = show(wide, scheme)
    for id in ids:
        page.locator(f'[data-group="{id}"]').press("Enter")
        page.get_by_role("button", name="Pin for the figure").click()
    page.get_by_role("button", name=f"Figure ({len(ids)} pinned)").click()
    expect(page.locator(".figure-picture")).to_be_visible()
    return page


def saved(page, name, path):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    download.value.save_as(path)
    return path


def drawn(page, path):
    return ET.fromstring(saved(page, "Save SVG", path).read_bytes())


def words(root):
    return [text.text for text in root.iter(f"{SVG}text")]


def test_the_figure_has_pinned_groups_and_their_edges(show, wide, tmp_path):
    page = pinned(show, wide, "early/1", "early/2", "late/1", "head/0")
    root = drawn(page, tmp_path / "figure.svg")
    assert (tmp_path / "figure.svg").stat().st_size < 1e6
    tiles = [tile.get("data-group") for tile in root.iter(f"{SVG}g") if tile.get("data-group")]
    assert set(tiles) == {"early/1", "early/2", "late/1", "head/0"}
    edges = {
        (edge.lower, edge.upper): edge.weight
        for edge in wide.edges
        if edge.lower in tiles and edge.upper in tiles
    }
    told = [figure(text) for text in words(root) if re.fullmatch(r"[+−][\d.]+\u00a0%", text or "")]
    assert sorted(told) == pytest.approx(sorted(edges.values()), abs=0.006)
    assert len(root.findall(f".//{SVG}path")) == len(edges) == 3
    assert not list(root.iter(f"{SVG}script"))
    ends = [text.split("…") for text in words(root) if "<" in text]
    assert any(HOSTILE.startswith(first) for first, *_ in ends)
    sources = [image.get("href") for image in root.iter(f"{SVG}image")]
    assert sources and all(source.startswith("data:image/jpeg;base64,") for source in sources)
    said = " ".join(words(root))
    assert "Tiny" in said and "177 crops of 3 photographs" in said and "not tested" in said


def test_edges_across_omitted_layers_sum_all_paths(show, wide, tmp_path):
    page = pinned(show, wide, "early/0", "head/0")
    root = drawn(page, tmp_path / "figure.svg")
    weight = sum(
        edge.weight * above.weight
        for edge in wide.outputs("early/0")
        for above in wide.outputs(edge.upper)
    )
    (told,) = (text for text in words(root) if re.fullmatch(r"[+−][\d.]+\u00a0%", text or ""))
    assert figure(told) == pytest.approx(weight, abs=0.006)
    assert "skips layers" in " ".join(words(root))


def test_names_and_appearance_are_in_the_address(show, wide, tmp_path):
    page = pinned(show, wide, "early/2", "late/1")
    page.get_by_label("Name of early/2").fill("dark muzzle")
    page.get_by_label("Width").select_option("column")
    page.get_by_label("Look").select_option("dark")
    page.get_by_label("Title").fill("Why a bee")
    expect(page).to_have_url(re.compile("pin=early.*name=early.*title.*bee"))
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator(".figure-picture")).to_be_visible()
    root = drawn(page, tmp_path / "figure.svg")
    assert "dark muzzle" in words(root) and "Why a bee" in words(root)
    assert float(root.get("width")) == pytest.approx(85 * MM, rel=0.03)
    assert root.find(f"{SVG}rect").get("fill") == "#15171a"
    page.get_by_label("Look").select_option("transparent dark")
    page.get_by_label("Title").fill("Bee" * 60)
    slide = drawn(page, tmp_path / "slide.svg")
    assert slide.find(f"{SVG}rect") is None
    title = slide.find(f"{SVG}text")
    assert title.get("fill") == "#eceded"  # to be read on a dark slide
    assert "…" in title.text  # the title is never wider than the figure
    page.get_by_label("Look").select_option("transparent")
    clear = drawn(page, tmp_path / "clear.svg")
    assert clear.find(f"{SVG}rect") is None  # no background
    with Image.open(saved(page, "Save PNG", tmp_path / "clear.png")) as image:
        assert image.size[0] == 4 * int(clear.get("width"))
        assert image.convert("RGBA").getpixel((1, 1))[3] == 0
    page.get_by_role("button", name="Circuit", exact=True).click()
    expect(page.locator('[data-group="early/2"] .card-name')).to_have_text("dark muzzle")


def test_the_printed_page_has_only_the_figure_in_its_size(show, wide):
    page = pinned(show, wide, "early/2", "late/1")
    size = page.locator(".figure-picture").evaluate("e => [e.width, e.height]")
    pdf = page.pdf(prefer_css_page_size=True)
    boxes = re.findall(rb"/MediaBox ?\[ ?0 0 ([\d.]+) ([\d.]+)", pdf)
    assert len(boxes) == 1
    assert [float(side) / 0.75 for side in boxes[0]] == pytest.approx(size, abs=2)


@pytest.mark.parametrize(("size", "millimetres"), [("column", 85), ("page", 178), ("slide", 338.7)])
def test_a_figure_has_the_width_that_was_chosen(show, wide, size, millimetres):
    page = pinned(show, wide, "early/2", "late/1")
    page.get_by_label("Width").select_option(size)
    picture = page.locator(".figure-picture")
    expect(picture).to_have_attribute("width", str(round(millimetres / 25.4 * 96)))


def test_step_through_shows_groups_from_the_target_down(show, wide):
    page = pinned(show, wide, "early/2", "late/1", "head/0")
    page.get_by_role("button", name="Step through").click()
    stage = page.get_by_role("dialog", name="Step through the figure")
    expect(stage.get_by_role("status")).to_have_text("1 of 3 groups")

    def dimmed():
        source = stage.locator("img").get_attribute("src")
        return page.evaluate(
            "text => (decodeURIComponent(text).match(/<g data-group[^>]*opacity/g) ?? []).length",
            source,
        )

    assert dimmed() == 2
    page.keyboard.press("ArrowRight")
    expect(stage.get_by_role("status")).to_have_text("2 of 3 groups")
    assert dimmed() == 1
    page.keyboard.press("Escape")
    expect(stage).to_have_count(0)


def test_the_table_of_groups_has_every_known_figure(show, wide):
    found = RobustnessFile(groups={"early/2": Interval(0.5, 0.25, 0.75)})
    page = show(with_robustness(wide, found))
    page.get_by_role("button", name="Tables").click()
    heading = page.get_by_role("columnheader", name="Stability")
    place = heading.evaluate("e => e.cellIndex")
    row = page.locator("tbody tr", has_text="early/2")
    expect(row.locator("td").nth(place)).to_have_text("0.50")
    assert "from 0 to 1" in heading.get_by_role("button").get_attribute("title")


def test_tables_are_sorted_filtered_and_saved(show, wide, tmp_path):
    page = show(wide)
    page.get_by_role("button", name="Tables").click()
    page.get_by_role("button", name="edges").click()
    rows = page.locator("tbody tr")
    expect(rows).to_have_count(len(wide.edges))
    page.get_by_role("button", name="Weight").click()
    expect(page.locator("th[aria-sort=descending]")).to_contain_text("Weight")
    data = json.loads(saved(page, "JSON", tmp_path / "edges.json").read_text())
    weights = sorted((edge.weight for edge in wide.edges), reverse=True)
    assert [row["weight"] for row in data] == pytest.approx(weights, rel=1e-5)
    page.get_by_label("Filter").fill("late/2")
    expect(rows).to_have_count(7)
    text = saved(page, "CSV", tmp_path / "edges.csv").read_text()
    found = list(csv.DictReader(io.StringIO(text)))
    assert {row["upper"] for row in found if row["upper"] != "head/0"} == {"late/2"}
    page.get_by_label("Filter").fill("")
    page.emulate_media(media="print", color_scheme="dark")
    frame = (
        "e => [e.scrollHeight <= e.clientHeight, getComputedStyle(document.body).backgroundColor]"
    )
    assert page.locator(".table-frame").evaluate(frame) == [True, "rgb(255, 255, 255)"]
    page.emulate_media(media="screen", color_scheme="light")
    rows.first.get_by_role("button").click()
    expect(page.locator(".card.selected")).to_have_count(1)


def test_find_lists_all_matches_of_a_number(page):
    box = page.get_by_label("Find", exact=True)
    box.fill("neuron 3")
    results = page.get_by_role("listbox", name="Found").get_by_role("option")
    expect(results).to_have_count(2)
    told = results.all_inner_texts()
    assert all(text.startswith("neuron") and "Neuron 3" in text for text in told)
    (late,) = (place for place, text in enumerate(told) if "late, in late/1" in text)
    for _ in range(late + 1):
        box.press("ArrowDown")
    box.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text("Neuron 3")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "late/1")
    box.fill("bee")
    expect(results.first).to_contain_text("what the circuit explains")


def test_embedded_pages_show_only_the_drawing(page):
    address, hash = page.url.split("#")[0], "#group=late/1"
    page.goto(f"{address}?embed=1{hash}")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "late/1")
    expect(page.get_by_role("banner")).to_have_count(0)
    expect(page.get_by_role("contentinfo")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_of_a_circuit_is_accessible(show, wide, scheme):
    page = show(wide, scheme)
    assert violations(page) == []
    page.locator('[data-group="late/1"]').click()
    page.get_by_role("button", name="to bee", exact=True).click()
    assert violations(page) == []
    page.get_by_label("Find", exact=True).fill("late")
    for view in ("Tables", "Figure"):
        page.get_by_role("button", name=view).click()
        assert violations(page) == []


def test_keyboard_access_to_the_circuit_and_its_cards(page):
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the circuit")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator('[data-group="head/0"]')).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.group") is None


def test_the_guide_opens_on_the_first_visit_and_can_be_closed(browser, wide, tmp_path):
    file = write_report(wide, tmp_path / "first.html").as_uri()
    page = patient(browser.new_page())
    page.goto(file)
    guide = page.get_by_role("region", name="Guide")
    expect(guide).to_contain_text("1 of 5")
    assert violations(page) == []
    page.get_by_role("button", name="Next").click()
    expect(guide).to_contain_text("2 of 5")
    page.get_by_role("button", name="Leave the guide").click()
    expect(guide).to_have_count(0)
    page.reload()
    expect(page.locator(".card").first).to_be_visible()
    expect(guide).to_have_count(0)
    page.get_by_role("button", name="Guide").click()
    expect(guide).to_contain_text("1 of 5")
    page.close()


def test_a_narrow_tile_keeps_its_figure_whole(show, tmp_path):
    page = show(large(layers=6, groups=2, edges=20))
    page.get_by_role("button", name="Figure", exact=True).click()
    expect(page.locator(".figure-picture")).to_be_visible()
    told = words(drawn(page, tmp_path / "figure.svg"))
    shares = [text for text in told if re.match(r"[+−][\d.]+\u00a0%", text or "")]
    assert shares, told
    assert not [text for text in told if text and "…" in text]
