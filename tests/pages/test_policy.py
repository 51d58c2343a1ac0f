"""Every page has a content security policy that allows everything in the page."""

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from pydantic import Field

from neurflow import compare
from neurflow.debugging.result import AuditReport, DebugReport
from neurflow.evaluation.result import Chart, Evaluation, Row, Table
from neurflow.evaluation.settings import Settings
from neurflow.pages import write_report
from neurflow.pages.atlas_page import write_atlas_pages
from neurflow.pages.comparison_page import write_comparison_page
from neurflow.pages.debug_page import write_audit_page, write_debug_page
from neurflow.pages.evaluation_page import write_evaluation_page
from neurflow.pages.notebook import framed
from neurflow.pages.policy import PLACE, policy, with_classes, with_policy
from tests.pages.browsing import patient
from tests.pages.swept import swept
from tests.pages.test_notebook import inside


class Measured(Row):
    group: str = Field(description="the group's id")
    drop: float = Field(description="how far the logit falls")


def report(circuit, folder):
    return write_report(circuit, folder / "report.html")


def frame(circuit, folder):
    (folder / "frame.html").write_text(inside(framed(circuit)))
    return folder / "frame.html"


def debugged(circuit, folder):
    found = DebugReport(model=circuit.model, target=circuit.target, pictures=())
    return write_debug_page(circuit, found, folder / "debug.html")


def audited(circuit, folder):
    given = {"model": circuit.model, "target": circuit.target, "groups": ()}
    found = AuditReport(**given, pictures=2, of_class=1, false_positives=0)
    return write_audit_page(circuit, found, folder / "audit.html")


def compared(circuit, folder):
    found = compare(circuit, circuit, draws=2)
    return write_comparison_page(circuit, circuit, found, folder / "both.html", names=("a", "b"))


def mapped(circuit, folder):
    return write_atlas_pages(swept(folder / "sweep"), folder / "pages", circuits=False)


def evaluated(circuit, folder):
    hostile = ' style="} body { display: none } "<script>alert(1)</script>'
    table = Table[Measured](
        protocol="ablation",
        title="Ablation",
        question="What falls?",
        chart=Chart(x="group", y=("drop",), y_label="drop"),
        rows=(Measured(group=hostile, drop=0.5), Measured(group="low/1", drop=-0.25)),
    )
    found = Evaluation(
        model=circuit.model,
        target=circuit.target,
        settings=Settings(),
        images=2,
        held_out=None,
        tables=(table,),
    )
    return write_evaluation_page(found, folder / "evaluation.html")


PAGES = [report, frame, debugged, audited, compared, mapped, evaluated]


class Parts(HTMLParser):
    """The scripts, styles, loaded addresses and policies of a page."""

    def __init__(self, page):
        super().__init__()
        self.policies, self.early, self.inline, self.loaded = [], [], [], []
        self.sources = {"script": [], "style": []}
        self._inside = None
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.policies.append(given["content"])
        if tag in self.sources and given.get("type") != "application/json":
            self._inside = tag
            self.early += [tag] * (not self.policies)
        self.inline += [name for name in given if name == "style" or name.startswith("on")]
        links = [given.get("src"), given.get("href") if tag == "link" else None]
        self.loaded += [link for link in links if link and not link.startswith("data:")]

    def handle_data(self, data):
        if self._inside:
            self.sources[self._inside].append(data)

    def handle_endtag(self, tag):
        if tag == self._inside:
            self._inside = None


def digest(source):
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


@pytest.mark.parametrize("make", PAGES)
def test_pages_run_only_scripts_of_their_policy_and_load_nothing(make, circuit, built, tmp_path):
    found = Parts(make(circuit, tmp_path).read_text(encoding="utf-8"))
    (told,) = found.policies
    rules = dict(rule.split(" ", 1) for rule in told.split("; "))
    assert rules["default-src"] == rules["base-uri"] == rules["form-action"] == "'none'"
    assert "unsafe" not in told and rules["img-src"] == "data: blob:"
    for kind, sources in found.sources.items():
        assert set(rules[f"{kind}-src"].split()) == ({*map(digest, sources)} or {"'none'"})
    assert found.sources["style"] and not found.early, "the policy comes before what it rules"
    assert not found.inline and not found.loaded


@pytest.mark.browser
@pytest.mark.parametrize("make", PAGES)
def test_browsers_report_no_violation_of_the_policy(make, circuit, browser, built, tmp_path):
    page, trouble = patient(browser.new_page()), []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.goto(make(circuit, tmp_path).as_uri())
    page.get_by_role("heading").first.wait_for()
    assert page.evaluate("getComputedStyle(document.body).display") != "none"
    # the default would be black text without background: the style sheets were applied
    assert page.evaluate("getComputedStyle(document.body).fontFamily") != "serif"
    assert trouble == []
    page.close()


def test_style_attributes_are_replaced_by_classes():
    page = '<title>x</title><p style="a: b">style="c: d"</p><i style="a: b"></i>'
    page += '<b style="e: &quot;f"></b>'
    styled = with_classes(page)
    assert re.findall(r"<style>(.*?)</style>", styled, re.S) == [
        '.style-0 { a: b }\n.style-1 { e: "f }'
    ]
    assert '<p class="style-0">style="c: d"</p><i class="style-0">' in styled
    assert with_classes("<p>plain</p>") == "<p>plain</p>"
    assert policy("<style>p {}</style>") in with_policy(f"{PLACE}<style>p {{}}</style>")
