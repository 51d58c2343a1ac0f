"""The view *Why this picture* in a real browser: effects, rival class, masks, pointing, samples."""

import re

import pytest
from playwright.sync_api import expect

from tests.pages.browsing import figure, violations
from tests.server.conftest import picture_file
from tests.server.test_live_page import chromium_browser, drop, visit

__all__ = ["chromium_browser", "visit"]  # fixtures
pytestmark = pytest.mark.browser


READ = """() => {
  const rows = [...document.querySelectorAll(".effect-list li")];
  const found = rows.map((row) => [row.dataset.effect, row.querySelector("b.number")?.innerText]);
  return found.length && found.every(([, number]) => number) ? found : null;
}"""
"""script that returns groups and effects at one moment; null while some are not known"""


def effects(page):
    """Group → its effect, in the order of the page."""
    found = page.wait_for_function(READ).json_value()
    return {group: figure(number) for group, number in found}


def explained(page):
    """Waits until every group is compared with random neurons; returns the figures of the page."""
    more = page.get_by_role("button", name=re.compile("Show all"))
    expect(page.locator(".effect-list li").first).to_be_visible()
    expect(page.locator(".effects h2")).not_to_contain_text("compared …")
    if more.count():
        more.click()
    return effects(page)


@pytest.fixture
def why(visit, url, tmp_path):
    page = visit(url)
    drop(page, picture_file(tmp_path))
    page.get_by_role("button", name="Why this picture").click()
    return page


def test_groups_are_ordered_by_effect_and_the_sentence_names_classes(why, client, session):
    told = explained(why)
    number = re.search(r"picture=p(\d+)", why.url)[1]
    ids = [g.id for layer in session.circuit.layers[:-1] for g in layer.groups]
    found = client.post("/api/effects", json={"picture": int(number), "groups": ids}).json()
    exact = {each["id"]: each["effect"] for each in found["effects"]}
    assert told == pytest.approx(exact, abs=0.006)
    sizes = [abs(exact[id]) for id in told]
    assert sizes == sorted(sizes, reverse=True)
    sentence = why.locator(".why-sentence")
    expect(sentence).to_contain_text(f"Called {found['answer']['name']} (")
    expect(why.get_by_label("Rival class")).to_have_value(str(found["rival"]["index"]))
    why.get_by_label("Rival class").select_option("none")
    expect(why).to_have_url(re.compile("rival=none"))
    expect(why.locator(".effects h2")).not_to_contain_text("minus that of")
    explained(why)
    assert violations(why) == []


def test_partial_masks_are_kept_in_the_address(why):
    first = next(iter(explained(why)))
    row = why.locator(f'[data-effect="{first}"]')
    row.locator(".effect-name").click()
    before = why.locator(".why .answers").inner_text()
    row.get_by_label("How far the group is masked").fill("60")
    expect(why).to_have_url(re.compile("mask=.*depth=0.60"))
    expect(why.get_by_test_id("after-0")).to_be_visible()
    why.reload()
    expect(
        why.locator(f'[data-effect="{first}"]').get_by_label("How far the group is masked")
    ).to_have_value("60")
    expect(why.get_by_test_id("after-0")).to_be_visible()
    why.locator(f'[data-effect="{first}"]').get_by_label("How far the group is masked").fill("0")
    expect(why.get_by_test_id("after-0")).to_have_count(0)
    expect(why.locator(".why .answers")).to_have_text(re.compile(re.escape(before.split("\n")[0])))


def test_places_neurons_and_groups_highlight_each_other(why):
    first = next(id for id in explained(why) if id.startswith("block3"))
    row = why.locator(f'[data-effect="{first}"]')
    row.locator(".effect-name").click()
    neuron = why.locator(".neurons button").first
    expect(neuron).to_be_visible()
    row.hover()
    expect(neuron).to_have_class("lit")
    neuron.hover()
    expect(row).to_have_class(re.compile("lit"))
    picture = why.get_by_role("group", name=re.compile("arrow keys point at a place"))
    picture.focus()
    why.keyboard.press("ArrowRight")
    expect(why.locator(".spot")).to_have_count(1)
    expect(why.get_by_role("status").filter(has_text="respond")).to_be_visible()
    why.keyboard.press("Escape")
    expect(why.locator(".spot")).to_have_count(0)


def test_stepping_through_the_samples(why):
    expect(why.locator(".why-steps b")).to_have_text("odd.png")
    why.get_by_role("button", name="Next picture").click()
    expect(why.locator(".why-steps b")).to_have_text("0.png")
    why.get_by_role("button", name="Next picture").click()
    expect(why).to_have_url(re.compile("picture=s1"))
    why.get_by_role("button", name="Previous picture").click()
    expect(why.locator(".why-steps b")).to_have_text("0.png")


def test_the_live_circuit_is_accessible(visit, url, tmp_path):
    page = visit(url)
    drop(page, picture_file(tmp_path))
    page.locator('[data-group="block3/0"]').click()
    assert violations(page) == []
    page.get_by_role("button", name="Shortcuts").click()
    assert violations(page) == []
