"""The page of a sweep: its payload, and in a browser the map, search, classes, keyboard and history."""

import os
import re

import numpy as np
import pytest
from playwright.sync_api import expect

from neurflow.atlas import Atlas, renew
from neurflow.cli import main
from neurflow.pages.atlas_page import write_atlas_pages
from neurflow.pages.atlas_payload import DETAILS, Detail, atlas_payload
from tests.comparison.tiny import QUARTER, tiny
from tests.pages.browsing import patient, violations
from tests.pages.conftest import HOSTILE
from tests.pages.swept import LOW, circuits, swept


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def data(sweep):
    return atlas_payload(Atlas(sweep), links="files")


def of(data, target):
    return next(each for each in data.classes if each.target == target)


def test_classes_have_the_data_of_their_circuits(data):
    found = circuits()
    assert [each.circuit for each in data.classes] == sorted(found)
    for each in data.classes:
        circuit = found[each.circuit]
        assert (each.groups, each.edges, each.images) == (4, 3, len(circuit.images))
        assert each.own == "head/0"
        assert each.portrait == [("low/0", 0.5), ("low/1", -0.3), ("low/2", 0.2)]
        for id, shown in each.shown.items():
            group = circuit.group(id)
            assert shown.label == group.label
            assert len(shown.pictures) == min(3, len({circuit.thumbnails[c] for c in group.crops}))


def test_similarity_is_the_share_of_common_core_neurons(data):
    sets = {target: {a for group in low for a in group} for target, low in LOW.items()}
    for each in data.classes:
        own, told = sets[each.target], {data.classes[i].target: v for i, v in each.nearest}
        assert told.keys() == LOW.keys() - {each.target}
        for other, likeness in told.items():
            assert likeness == pytest.approx(
                len(own & sets[other]) / len(own | sets[other]), rel=1e-3
            )
        assert [v for _, v in each.nearest] == sorted(told.values(), reverse=True)


def test_shared_groups_are_listed_by_both_measures(data):
    bee = of(data, "bee")
    told = {(s.by, data.classes[s.other].target, s.group): s for s in bee.shared}
    for target, low in LOW.items():
        for i, group in enumerate(LOW["bee"]):
            best = max(len({*group} & {*h}) / len({*group} | {*h}) for h in low)
            found = told.get(("neurons", target, f"low/{i}"))
            if target != "bee" and best >= 0.3:
                assert found.similarity == pytest.approx(best, rel=1e-3)
                assert found.match in of(data, target).shown
            else:
                assert found is None
    # wasp's [8] and fly's [20] have no common neuron, but equal concept vectors of crops
    fly, wasp = of(data, "fly"), of(data, "wasp")
    (same,) = (
        s
        for s in wasp.shared
        if s.by == "crops" and data.classes[s.other] is fly and s.match == "low/1"
    )
    assert same.group == "low/2" and same.similarity > 0.99
    assert not any(s.by == "neurons" and s.group == "low/2" for s in wasp.shared)


def test_pages_of_many_classes_show_less(sweep, monkeypatch):
    import neurflow.pages.atlas_payload as module

    least = Detail(1, 2, 1)
    assert DETAILS[-1] == (np.inf, least)
    monkeypatch.setattr(module, "DETAILS", ((5, DETAILS[0][1]), (np.inf, least)))
    for each in atlas_payload(Atlas(sweep)).classes:
        near = {i for i, _ in each.nearest[:2]}
        assert {s.other for s in each.shared} <= near
        assert all(len(shown.pictures) <= 1 for shown in each.shown.values())
        pairs = [(s.other, s.by) for s in each.shared]
        assert len(pairs) == len(set(pairs))


def test_pages_are_rewritten_only_if_their_circuit_changed(sweep, tmp_path, capsys):
    folder = tmp_path / "pages"
    index = write_atlas_pages(sweep, folder)
    pages = sorted((folder / "circuits").iterdir())
    assert [page.stem for page in pages] == sorted(circuits())
    for page in pages:
        os.utime(page, ns=(page.stat().st_atime_ns, 2**62))  # newer than all files
    before = [page.read_bytes() for page in pages]
    pages[0].write_text("older")
    os.utime(pages[0], ns=(0, 0))
    write_atlas_pages(sweep, folder)
    assert pages[0].read_bytes() == before[0]
    assert [page.stat().st_mtime_ns for page in pages[1:]] == [2**62] * 5
    assert HOSTILE not in index.read_text()
    with pytest.raises(SystemExit) as ended:
        main(["atlas", str(sweep), "--pages", str(tmp_path / "map"), "--map-only", "--no-open"])
    assert not ended.value.code and "Written" in capsys.readouterr().out
    assert not list((tmp_path / "map" / "circuits").iterdir())
    assert "neurflow explore" in (tmp_path / "map" / "index.html").read_text()


@pytest.fixture(scope="module")
def pages(sweep, built, tmp_path_factory):
    return write_atlas_pages(sweep, tmp_path_factory.mktemp("pages"))


@pytest.fixture
def open_page(browser, pages):
    """Opens the map; fails at the end if the page sent a request or logged a message."""
    trouble, contexts = [], []

    def opened(width=1280, height=800, scheme="light", hash=""):
        contexts.append(
            browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        )
        tab = patient(contexts[-1]).new_page()
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.on("request", lambda r: r.url.startswith(("file:", "data:")) or trouble.append(r.url))
        tab.goto(pages.as_uri() + hash)
        expect(tab.locator(".class-point").first).to_be_visible()
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def point(page, name):
    return page.locator(f'[data-class="{name}"]')


def middle(page, name):
    box = point(page, name).bounding_box()
    return np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])


@pytest.mark.browser
def test_similar_classes_are_near_and_a_class_links_to_its_circuit(open_page):
    page = open_page()
    assert page.locator("h1").inner_text() == "6 circuits of Tiny"
    expect(page.locator(".class-point")).to_have_count(6)
    at = {name: middle(page, name) for name in circuits()}
    insects, vehicles = sorted(at)[:3], sorted(at)[3:]
    within = max(np.linalg.norm(at[a] - at[b]) for g in (insects, vehicles) for a in g for b in g)
    apart = min(np.linalg.norm(at[a] - at[b]) for a in insects for b in vehicles)
    assert within < apart
    point(page, "head-0-bee").click()
    panel = page.locator(".panel")
    expect(panel.get_by_role("heading", name="bee", exact=True)).to_be_visible()
    expect(page.locator(".likeness")).to_have_count(5)
    expect(panel.locator('[data-list="nearest"] li').first).to_contain_text("fly")
    expect(panel.locator('[data-list="nearest"] li').first).to_contain_text("0.60")
    expect(panel.locator('[data-list="portrait"] li').first).to_contain_text(
        re.compile("bee legs.*[+]50\\s%", re.S)
    )
    panel.get_by_role("link", name="Open its circuit").click()
    expect(page.get_by_role("heading", name="Why bee?")).to_be_visible()
    page.go_back()
    expect(page.locator(".panel h2")).to_have_text("bee")


@pytest.mark.browser
def test_shared_groups_are_shown_side_by_side_by_both_measures(open_page):
    page = open_page(hash="#head-2-wasp")
    shared = page.locator('[data-list="shared"] li')
    expect(page.get_by_label("Groups shared with")).to_have_value("0")
    page.get_by_role("button", name="by neurons").click()
    expect(shared).to_have_count(2)
    expect(shared.first).to_contain_text("1.00")
    page.get_by_label("Groups shared with").select_option(label="fly")
    page.get_by_role("button", name="by crops").click()
    expect(shared.filter(has_text=HOSTILE)).to_have_count(1)
    assert page.evaluate("window.hurt") is None
    expect(shared.first.locator("img")).to_have_count(2)


@pytest.mark.browser
def test_search_for_classes_and_browser_history(open_page):
    page = open_page()
    box = page.get_by_role("searchbox")
    box.fill("W")
    expect(page.locator("nav li")).to_have_count(3)  # by their names or the label of a group
    box.fill("was")
    expect(page.get_by_role("status")).to_have_text("1 circuit")
    expect(page.locator(".class-point:not(.dim)")).to_have_count(1)
    box.press("Enter")
    assert page.url.endswith("#head-2-wasp")
    box.press("Escape")
    expect(page.locator("nav li")).to_have_count(6)
    expect(page.locator(".panel h2")).to_have_text("wasp")
    page.locator('[data-list="nearest"] button').first.click()
    expect(page.locator(".panel h2")).to_have_text("bee")
    page.go_back()
    expect(page.locator(".panel h2")).to_have_text("wasp")
    page.go_back()
    expect(page.locator(".panel")).to_have_count(0)
    box.fill("legs")
    expect(page.locator("nav li")).to_have_count(5)  # by the label of a group
    box.fill("no such class")
    expect(page.get_by_text("No circuit matches.")).to_be_visible()


@pytest.mark.browser
def test_everything_can_be_done_by_keyboard(open_page):
    page = open_page(scheme="dark")
    page.locator("nav button").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".panel")).to_be_focused()
    expect(page.locator('nav [aria-current="true"]')).to_have_count(1)
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_have_count(0)
    page.get_by_role("button", name="Zoom in").press("Enter")
    before = middle(page, "head-0-bee")
    page.get_by_role("button", name="Fit the whole map").press("Enter")
    expect(page.locator(".class-point")).to_have_count(6)
    assert not np.allclose(before, middle(page, "head-0-bee"), atol=1)


@pytest.mark.browser
def test_on_a_phone_the_map_the_list_and_a_class_fit(open_page):
    page = open_page(390, 800, hash="#head-3-car")
    expect(page.locator(".panel h2")).to_have_text("car")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [point(page, name).bounding_box() for name in circuits()]
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    page.get_by_role("button", name="Close").click()
    expect(page.locator("nav li").first).to_be_visible()


@pytest.mark.browser
def test_shortcut_candidates_link_to_their_class(browser, built, tmp_path):
    for number, name in enumerate(("ant", "bee")):
        circuit = with_a_corner(name, number)
        circuit.save(tmp_path / "sweep" / "circuits" / f"head-{number}-{name}")
    renew(tmp_path / "sweep")
    index = write_atlas_pages(tmp_path / "sweep", tmp_path / "pages", circuits=False)
    page = patient(browser.new_page())
    page.goto(index.as_uri())
    page.get_by_role("button", name="Shortcut candidates").click()
    rows = page.locator(".shortcuts tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("low/0")
    rows.first.get_by_role("button").click()
    expect(page.locator(".panel h2")).to_have_text("ant")
    expect(page.locator(".lead code")).to_contain_text("neurflow explore")
    page.close()


def with_a_corner(target, number):
    """A circuit whose first group has crops in a corner of five pictures; the others vary."""
    corner = [{0: [(i, QUARTER[0]) for i in range(5)]}]
    moving = [{a: [(i, QUARTER[(a * 3 + 5 * i) % 16]) for i in range(5)]} for a in (1, 2)]
    return tiny(
        {"low": [*corner, *moving], "head": [{number: [(0, QUARTER[0])]}]},
        {("head/0", f"low/{i}"): 0.3 for i in range(3)},
        target=target,
        neuron=number,
        images=[f"{i}.png" for i in range(5)],
    )
