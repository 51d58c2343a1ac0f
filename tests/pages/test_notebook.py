"""A circuit is displayed in notebooks as a small, offline page in a sandboxed frame."""

import html
import re

import pytest
from playwright.sync_api import expect

from neurflow.pages import notebook
from neurflow.pages.notebook import framed
from neurflow.pages.page import render
from tests.pages.browsing import patient
from tests.pages.conftest import HOSTILE


def inside(frame):
    """The page in the HTML of a frame."""
    (page,) = re.findall(r'srcdoc="([^"]*)"', frame)
    return html.unescape(page)


def test_a_circuit_shows_its_page(wide, built):
    shown = wide._repr_html_()
    assert inside(shown) == render(wide)
    assert 'sandbox="allow-scripts"' in shown
    assert HOSTILE not in shown
    assert repr(wide) == "<Circuit of 'bee' in Tiny: 3 layers, 10 groups, 21 edges>"


def test_large_pages_have_fewer_crops_or_a_message(wide, built):
    full = len(render(wide, crops_per_group=notebook.CROPS[0]).encode())
    least = len(render(wide, crops_per_group=notebook.CROPS[-1]).encode())
    assert least < full
    assert inside(framed(wide, largest=least)) == render(wide, crops_per_group=2)
    assert "too large to be shown" in framed(wide, largest=least - 1)


def test_a_missing_front_end_gives_a_message(wide, tmp_path, monkeypatch):
    monkeypatch.setattr("neurflow.pages.page.resources.files", lambda _: tmp_path)
    assert "was not built" in framed(wide)


@pytest.mark.browser
def test_the_frame_works_without_access_to_the_notebook(wide, browser, tmp_path):
    trouble = []
    file = tmp_path / "notebook.html"
    file.write_text(f"<!doctype html><body><h1>Cell</h1>{wide._repr_html_()}</body>")
    page = patient(browser.new_page(viewport={"width": 1100, "height": 800}))
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda r: r.url.startswith(("file:", "data:")) or trouble.append(r.url))
    page.goto(file.as_uri())
    frame = page.frame_locator("iframe")
    frame.locator('[data-group="late/1"]').click()
    expect(frame.get_by_role("complementary")).to_contain_text("Group 1")
    reached = page.frames[1].evaluate(
        "() => { try { return parent.document.title } catch { return 'walled off' } }"
    )
    assert reached == "walled off"
    page.close()
    assert trouble == []
