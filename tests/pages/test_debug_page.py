"""The debug page in a browser: firing groups, what-if, mistakes and the audit."""

import re

import pytest

from neurflow import audit, debug
from neurflow.debugging.mistakes import find_mistakes
from neurflow.debugging.pictures import true_class
from neurflow.debugging.result import DebugReport
from neurflow.pages.debug_page import write_audit_page, write_debug_page
from tests.debugging import conftest as nets
from tests.pages.browsing import ARGUMENTS, patient, violations

model, studied, common, circuit = nets.model, nets.studied, nets.common, nets.circuit


@pytest.fixture
def page(chromium):
    """A browser page that must load only files and log no errors."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        page = patient(browser.new_page(viewport={"width": 1280, "height": 900}))
        complaints = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request", lambda r: r.url.startswith(("file:", "data:")) or complaints.append(r.url)
        )
        yield page
        browser.close()
        assert complaints == []


@pytest.mark.browser
def test_the_page_shows_a_report(page, model, circuit, studied, tmp_path):
    group = circuit.layer("block2").groups[0].id
    report = debug(
        circuit, model, nets.labelled(model, studied), mask=[group], errors=True, draws=4
    )
    file = write_debug_page(circuit, report, tmp_path / "debug.html")
    page.goto(file.as_uri())
    mistakes = report.mistakes
    heading = page.locator("h2").first.inner_text()
    assert f"{mistakes.right} recognised, {len(mistakes.missed)} missed" in heading
    below = [g for g in report.pictures[0].firing if not g.id.startswith("head/")]
    first = page.locator(".readings").first.locator("button").first
    assert below[0].id in first.inner_text()
    assert first.get_attribute("aria-pressed") == "true"
    weight = first.locator(".number").last.inner_text()
    assert re.fullmatch(r"0\s%|[+−][\d.]+\s%", weight)

    page.locator(".film button").nth(2).click()
    assert report.pictures[2].name in page.locator(".picture-side h2").inner_text()
    firing = [g for g in report.pictures[2].firing if not g.id.startswith("head/")]
    page.locator(".readings").first.locator("button").nth(1).click()
    assert firing[1].id in page.locator(".caption").inner_text()
    assert page.locator(".drawn .box").count() == len(firing[1].crops)

    falls = report.what_if.falls
    row = page.locator("tr", has=page.locator(".thumb")).first
    assert falls[0].name in row.inner_text()
    row.locator("button").click()
    assert falls[0].name in page.locator(".picture-side h2").inner_text()
    assert page.locator(".crop-effects figure").count() == len(report.what_if.crops)
    assert violations(page) == []


@pytest.mark.browser
def test_clicking_a_predicted_class_filters_the_missed_pictures(
    page, model, circuit, studied, tmp_path
):
    pictures = debug(circuit, model, nets.labelled(model, studied)).pictures
    own = [p.name for p in pictures if true_class(p.label, model) == circuit.target.neuron][:2]
    turned = tuple(  # two of the class are answered otherwise
        p.model_copy(update={"top": p.top[1::-1]}) if p.name in own else p for p in pictures
    )
    mistakes = find_mistakes(model, circuit, turned)
    report = DebugReport(
        model=circuit.model, target=circuit.target, pictures=turned, mistakes=mistakes
    )
    page.goto(write_debug_page(circuit, report, tmp_path / "missed.html").as_uri())
    name, count = next(iter(mistakes.missed_for.items()))
    chip = page.locator(".chip", has_text=name)
    chip.click()
    assert chip.get_attribute("aria-pressed") == "true"
    assert page.locator(".film button").count() == count
    first = next(m.name for m in mistakes.missed if m.predicted == name)
    assert first in page.locator(".picture-side h2").inner_text()
    chip.click()
    assert page.locator(".film button").count() == len(pictures)


@pytest.mark.browser
def test_the_page_shows_an_audit(page, model, circuit, studied, tmp_path):
    report = audit(circuit, model, nets.labelled(model, studied))
    page.goto(write_audit_page(circuit, report, tmp_path / "audit.html").as_uri())
    rows = page.locator(".audit tbody tr")
    assert rows.count() == len(report.groups)
    assert report.groups[0].id in rows.first.inner_text()
    assert re.search("a ranking, not a verdict", page.locator(".lead").inner_text())
    harmful = [g.id for g in report.groups if g.signals.mends.low > 0]
    said = page.locator(".in-short").inner_text()
    assert (harmful[0] in said) if harmful else said.startswith("No group")
    assert violations(page) == []
