"""The pages in the folder of a result, served by the live explorer with links in both directions."""

import html
import re

import pytest
from playwright.sync_api import expect

from neurflow.circuit import load_circuit
from neurflow.pages import write_report
from neurflow.pages.policy import policy
from tests.pages.test_policy import evaluated
from tests.server.test_live_page import chromium_browser as chromium_browser
from tests.server.test_live_page import visit as visit

EVIL = "<title>Odd · neurflow</title><h1>Odd</h1><script>fetch('/api/edits')</script>"


@pytest.fixture(scope="module")
def folder(run):
    """The folder with a report, an evaluation, and a page with a script of its own."""
    evaluated(load_circuit(run), run)
    write_report(load_circuit(run), run / "report.html")
    (run / "odd.html").write_text(EVIL)
    return run


@pytest.mark.browser
def test_links_between_the_live_explorer_and_the_pages_of_its_folder(visit, url, folder):
    page = visit(url)
    links = page.get_by_role("navigation", name="Related pages")
    expect(links.get_by_role("link")).to_have_text(["Evidence for bee", "Report"])
    links.get_by_role("link", name="Evidence for bee").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Evidence for bee")
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Why bee?")
    expect(page.locator(".card").first).to_be_visible()
    page.get_by_role("link", name="Live explorer").click()
    expect(page.get_by_role("link", name="Report")).to_be_visible()
    expect(page).to_have_url(url)


def test_only_pages_with_the_scripts_of_the_front_end_are_served(client, folder, tmp_path):
    found = client.get("/pages/evaluation.html")
    assert found.headers["content-security-policy"] == policy(found.text)
    assert "connect-src" not in found.headers["content-security-policy"]
    assert len(re.findall(re.escape(html.escape("Related pages")), found.text)) == 1
    (folder / "away.html").symlink_to(evaluated(load_circuit(folder), tmp_path))
    for name in ("odd.html", "away.html", "circuit.json", "..%2Frun%2Freport.html", "none.html"):
        assert client.get(f"/pages/{name}").status_code == 404, name
    (folder / "away.html").unlink()


def test_other_sites_cannot_open_them(client, folder):
    assert (
        client.get("/pages/report.html", headers={"sec-fetch-site": "cross-site"}).status_code
        == 403
    )


def test_a_page_that_is_removed_meanwhile_is_left_out(client, folder, monkeypatch):
    glob = type(folder).glob
    monkeypatch.setattr(
        type(folder), "glob", lambda path, names: [*glob(path, names), path / "gone.html"]
    )
    assert client.get("/").status_code == 200
