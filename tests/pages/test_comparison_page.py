"""The comparison page in a browser: matched groups, filters, search, keyboard and safety."""

import re

import pytest
from playwright.sync_api import expect

from neurflow import compare
from neurflow.pages.comparison_page import write_comparison_page
from neurflow.pages.comparison_payload import comparison_payload
from tests.comparison.tiny import plain, tiny
from tests.pages.browsing import patient
from tests.pages.conftest import HOSTILE


@pytest.fixture
def a():
    low = plain([0, 1], [2, 3, 4], [5, 6, 7])
    edges = {("head/0", f"low/{i}"): w for i, w in enumerate((0.5, -0.3, 0.2))}
    return tiny({"low": low, "head": plain([0])}, edges, labels={"low/1": HOSTILE})


@pytest.fixture
def b():
    low = plain([2, 3, 4, 9], [20], [5, 6, 7])
    edges = {("head/0", f"low/{i}"): w for i, w in enumerate((0.6, 0.3, 0.1))}
    labels = {"low/1": "a fly's eye"}
    return tiny({"low": low, "head": plain([1])}, edges, target="fly", neuron=1, labels=labels)


@pytest.fixture
def open_page(browser, tmp_path):
    """Opens a comparison's page; fails at the end if it sent a request or logged a message."""
    trouble, contexts = [], []

    def opened(a, b, width=1280, scheme="light", **settings):
        found = compare(a, b, **settings)
        file = write_comparison_page(a, b, found, tmp_path / "page.html", names=("one", "two"))
        contexts.append(
            browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        )
        tab = patient(contexts[-1]).new_page()
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.on("request", lambda r: r.url.startswith(("file:", "data:")) or trouble.append(r.url))
        tab.goto(file.as_uri())
        expect(tab.locator(".layer").first).to_be_visible()
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def test_circuits_are_named_by_their_differences(a, b):
    def names(one, other):
        data = comparison_payload(one, other, compare(one, other), ("before", "after"))
        return data.a.name, data.b.name

    assert names(a, b) == ("bee", "fly")
    assert names(a, a) == ("before", "after")
    tuned = a.model.model_copy(update={"reference": "Tuned"})
    assert names(a, a.model_copy(update={"model": tuned})) == ("Tiny", "Tuned")


def test_pictures_are_stored_once(a):
    data = comparison_payload(a, a, compare(a, a), ("one", "two"))
    assert len(data.pictures) == len(set(data.pictures)) == len(set(a.thumbnails.values()))
    assert data.a.groups == data.b.groups


@pytest.mark.browser
def test_bars_of_weights_above_one_stay_in_their_cells(open_page, a, b):
    summed = [
        circuit.model_copy(
            update={
                "config": circuit.config.model_copy(update={"aggregation": "sum"}),
                "edges": tuple(
                    e.model_copy(update={"weight": 9 * e.weight}) for e in circuit.edges
                ),
            }
        )
        for circuit in (a, b)
    ]
    bars = open_page(*summed).locator(".bar")
    widths = bars.evaluate_all(
        """bars => bars.map(bar => bar.firstChild.getBoundingClientRect().width
                               / bar.getBoundingClientRect().width)"""
    )
    assert len(widths) > 2 and 0.2 < max(widths) < 0.9, "bars leave room for the figures"


@pytest.mark.browser
def test_matched_groups_are_shown_side_by_side(open_page, a, b):
    page = open_page(a, b)
    assert page.locator("h1").inner_text() == "bee vs fly"
    low = page.locator(".layer", has_text="low")
    first = low.locator(".pairs > li").first
    left, match, right = (
        first.locator(s).first for s in (".compared", ".match", ".compared >> nth=1")
    )
    # contents outside of the view have no inner text until they are drawn
    expect(left).to_contain_text("Group 2")
    expect(right).to_contain_text("Group 2")
    expect(match).to_contain_text("1.00")
    expect(match).to_contain_text("3 common neurons")
    boxes = [part.bounding_box()["x"] for part in (left, match, right)]
    assert boxes == sorted(boxes)
    alone = low.locator(".alone > div")
    for part, words in (
        (alone.first, ("Only in A", "Group 0")),
        (alone.last, ("Only in B", "a fly's eye")),
    ):
        for each in words:
            expect(part).to_contain_text(each)
    row = page.locator(".overview tbody tr").last
    assert "1 only in A, 2 shared, 1 only in B" in row.get_by_role("img").get_attribute(
        "aria-label"
    )


@pytest.mark.browser
def test_inputs_of_a_pair_are_listed_and_linked(open_page, a, b):
    page = open_page(a, b)
    inputs = page.locator(".layer").first.locator(".inputs")
    rows = inputs.locator("tbody tr")
    expect(rows).to_have_count(3)
    inputs.get_by_role("button", name="All 4 inputs").press("Enter")
    expect(rows).to_have_count(4)
    cells = [row.locator("td").all_text_contents()[1:] for row in rows.all()]
    assert [[text.replace("\u00a0", " ") for text in row] for row in cells] == [
        ["−30 %", "+60 %", "+90 %"],
        ["+50 %", "absent", ""],
        ["absent", "+30 %", ""],
        ["+20 %", "+10 %", "−10 %"],
    ]
    page.get_by_role("button", name="Only A").click()  # a followed group may have been hidden
    page.get_by_role("button", name="Shared").click()
    page.locator(".inputs .group-link").nth(3).press("Enter")
    expect(page.get_by_role("button", name="All", exact=False).first).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.locator('[id="b:low/1"]')).to_be_focused()


@pytest.mark.browser
def test_filtering_and_searching_groups(open_page, a, b):
    page = open_page(a, b)
    expect(page.locator(".compared")).to_have_count(8)
    page.get_by_role("button", name="Only B").press("Enter")
    expect(page.locator(".compared")).to_have_count(1)
    page.get_by_role("button", name="All").first.click()
    box = page.get_by_role("searchbox")
    box.fill("eye")
    expect(page.locator(".compared")).to_have_count(1)
    box.fill("9")
    expect(page.locator(".pairs > li")).to_have_count(1)
    box.fill("no such thing")
    expect(page.get_by_text("No group matches.")).to_be_visible()
    box.press("Escape")
    expect(page.locator(".compared")).to_have_count(8)


@pytest.mark.browser
def test_large_layers_show_more_groups_on_request(open_page):
    many = {"low": plain(*([2 * i, 2 * i + 1] for i in range(15))), "head": plain([0])}
    edges = {("head/0", f"low/{i}"): i / 120 for i in range(15)}
    circuit = tiny(many, edges, labels={"low/14": "the last"})
    page = open_page(circuit, circuit)
    expect(page.locator(".pairs > li")).to_have_count(1 + 12)
    page.get_by_role("button", name="Show 3 more of low").press("Enter")
    expect(page.locator(".pairs > li")).to_have_count(1 + 15)
    page.reload()
    page.get_by_title("Go to low/14").first.click()
    expect(page.locator(".pairs > li")).to_have_count(1 + 15)
    last = page.locator('[id="a:low/14"]')
    expect(last).to_be_focused()
    expect(last).to_contain_text("the last")


@pytest.mark.browser
def test_hostile_labels_are_shown_as_text(open_page, a, b):
    page = open_page(a, b)
    expect(page.get_by_text(HOSTILE, exact=True).first).to_be_visible()
    assert page.evaluate("window.hurt") is None


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_the_width_of_a_phone(open_page, a, b, scheme):
    a = a.model_copy(update={"target": a.target.model_copy(update={"name": "bee" * 60})})
    page = open_page(a, b, width=360, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    left, right = (page.locator(".pairs .compared").nth(i).bounding_box() for i in (0, 1))
    assert left["y"] == right["y"] and left["x"] < right["x"]
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    assert dark is (scheme == "dark")
    page.get_by_role("button", name="Switch to").click()
    assert page.evaluate("document.documentElement.dataset.theme") != scheme


@pytest.mark.browser
def test_circuits_without_common_groups_show_a_message(open_page, a):
    other = tiny({"low": plain([30], [31]), "head": plain([1])}, target="fly", neuron=1)
    page = open_page(a, other)
    low = page.locator(".overview tbody tr").last
    assert low.locator("td").nth(1).inner_text() == "–"
    page.get_by_role("button", name="Shared").click()
    expect(page.locator(".compared")).to_have_count(2)  # the targets
    page.get_by_role("button", name="All").first.click()
    nothing = page.get_by_text(re.compile(r"Nothing in common with any group of [AB]\."))
    expect(nothing).to_have_count(page.locator(".alone li").count())
