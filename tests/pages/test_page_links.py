"""Pages in one folder link to each other."""

import json
import re

from neurflow.pages.page_links import page_links
from tests.pages.test_policy import audited, compared, debugged, evaluated, report


def told(page):
    """The links to other pages that are stored in a page."""
    text = page.read_text()
    return json.loads(
        re.search(r'<script type="application/json" id="page-links">(.*?)</script>', text)[1]
    )


def test_a_page_links_to_the_pages_beside_it(wide, tmp_path):
    for make in (debugged, compared, evaluated, audited):
        make(wide, tmp_path)
    assert told(report(wide, tmp_path)) == [], "it is no folder of a result"
    (tmp_path / "circuit.json").touch()
    assert told(report(wide, tmp_path)) == [
        ["Shortcut audit of bee", "./audit.html"],
        ["a and b", "./both.html"],
        ["Debugging bee", "./debug.html"],
        ["Evidence for bee", "./evaluation.html"],
    ]
    assert ["Why bee?", "./report.html"] in told(audited(wide, tmp_path))
    evidence = evaluated(wide, tmp_path).read_text()
    assert "<a href='./report.html'>Why bee?</a>" in evidence


def test_only_pages_of_neurflow_are_linked(wide, tmp_path):
    (tmp_path / "circuit.json").touch()
    page = report(wide, tmp_path)
    (tmp_path / "other.html").write_text("<title>holiday</title>")
    (tmp_path / "broken.html").mkdir()
    (tmp_path / "link.html").symlink_to(page)
    (tmp_path / "javascript:x.html").write_text(
        "<title>&lt;/script&gt;&lt;b&gt; · neurflow</title>"
    )
    assert page_links(page) == [("</script><b>", "./javascript%3Ax.html")]
    assert told(report(wide, tmp_path)) == [["</script><b>", "./javascript%3Ax.html"]]
    for number in range(12):
        debugged(wide, tmp_path).rename(tmp_path / f"{number}.html")
    assert len(page_links(page)) == 6, "at most six links"
