"""The live page in a browser shows the figures of the command line and contacts no other server."""

import base64
import io
import json
import re
from contextlib import redirect_stdout

import pytest
from playwright.sync_api import expect, sync_playwright

import neurflow
from neurflow.cli import main
from neurflow.errors import ModelError
from neurflow.server.session import Session
from tests.cli.conftest import model_of
from tests.pages.browsing import ARGUMENTS, GUIDED, patient
from tests.server.conftest import noise, picture_file

pytestmark = pytest.mark.browser
DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}

REFUSED = re.compile("Failed to load resource: the server responded with a status of 4(00|04|10)")
"""the browser's own log message for a refused request, which the page also reports"""
DROP = """(files) => {
    const transfer = new DataTransfer();
    for (const [name, data] of files) {
        const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "image/png" }));
    }
    const where = document.querySelector("main");
    for (const kind of ["dragover", "drop"])
        where.dispatchEvent(
            new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer })
        );
}"""


@pytest.fixture(scope="module")
def chromium_browser(built):
    from tests.conftest import browser

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=browser(), args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def visit(chromium_browser):
    """Opens a served page; fails at the end if it contacted another server or logged a message."""
    trouble, contexts = [], []

    def logged(message):
        if not REFUSED.match(message.text):
            trouble.append(message.text)

    def visited(url, size=DESK):
        origin = url.split("?")[0]

        def local_only(route):
            if route.request.url.startswith((origin, "data:", "blob:")):
                route.continue_()
            else:
                trouble.append(f"request: {route.request.url}")
                route.abort()

        contexts.append(patient(chromium_browser.new_context(viewport=size)))
        contexts[-1].add_init_script(GUIDED)
        tab = contexts[-1].new_page()
        tab.on("console", logged)
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.route("**/*", local_only)
        tab.goto(url)
        expect(tab.locator(".card").first).to_be_visible()
        return tab

    yield visited
    for context in contexts:
        context.close()
    assert trouble == []


def by_command(run, picture, *options):
    """The output of ``neurflow debug --json``, read while no export in a thread replaces stdout."""
    told = io.StringIO()
    with redirect_stdout(told), pytest.raises(SystemExit):
        named = ("--model", neurflow.load_circuit(run).model.reference)
        main(["debug", str(run), str(picture), "--json", *named, *options])
    return json.loads(told.getvalue())


def drop_files(page, *files):
    page.evaluate(DROP, [[f.name, base64.b64encode(f.read_bytes()).decode()] for f in files])


def drop(page, picture):
    expect(page.locator(".drop")).to_be_enabled()
    drop_files(page, picture)
    expect(page.get_by_test_id("answer-0")).to_be_visible()


def after(page, place=0):
    return page.get_by_test_id(f"after-{place}")


def test_pictures_and_masks_give_the_figures_of_the_command(visit, url, run, tmp_path):
    picture = picture_file(tmp_path)
    page = visit(url)
    drop(page, picture)
    told = by_command(run, picture)["pictures"][0]
    answer = page.get_by_test_id("answer-0")
    expect(answer).to_contain_text(told["top"][0]["name"])
    firing = {g["id"] for g in told["groups"] if g["fires"] and not g["id"].startswith("head")}
    lit = page.locator(".card.lit").evaluate_all("all => all.map(card => card.dataset.group)")
    assert set(lit) == firing

    group = next(id for id in sorted(firing) if id.startswith("block3"))
    page.locator(f'[data-group="{group}"]').click()
    page.keyboard.press("m")
    masked = by_command(run, picture, "--mask", group)["what_if"]["effects"][0]
    expect(after(page)).to_have_attribute("data-value", json.dumps(masked["target_after"]))
    low, high = (
        f"{'+' if end > 0 else '−'}{abs(end):.{3 if abs(end) < 0.0995 else 2}f}"
        for end in masked["random"][1:]
    )
    expect(page.get_by_test_id("random-0")).to_have_text(f"random neurons: {low} … {high}")
    expect(page.locator(f'[data-group="{group}"]')).to_have_class(re.compile("masked"))
    expect(answer).to_contain_text(f"{masked['after'][0]['probability'] * 100:.1f} %")

    page.get_by_label("set to").select_option("mean")
    mean = by_command(run, picture, "--mask", group, "--by", "mean", "--random", "0")
    value = mean["what_if"]["effects"][0]["target_after"]
    expect(after(page)).to_have_attribute("data-value", json.dumps(value))
    page.get_by_role("button", name="Unmask all").click()
    expect(after(page)).to_have_count(0)


def test_two_pictures_are_compared(visit, url, tmp_path):
    page = visit(url)
    drop(page, picture_file(tmp_path))
    page.get_by_label("Sample picture").select_option("2")
    expect(page.get_by_role("region", name="Picture B")).to_contain_text("4.png")
    marks = set(page.locator(".lit-mark").all_inner_texts())
    assert marks and marks <= {"A", "B", "AB"}
    page.locator(".firing .mask-switch").first.click()
    expect(after(page, 0)).to_be_visible()
    expect(after(page, 1)).to_be_visible()
    page.get_by_role("button", name="Remove odd.png").click()
    expect(page.get_by_role("region", name="Picture B")).to_have_count(0)
    expect(page.get_by_role("region", name="Picture A")).to_contain_text("4.png")


def test_every_dropped_picture_is_taken_in_order_and_survives_a_new_server(
    visit, url, session, tmp_path
):
    files = [tmp_path / f"{word}.png" for word in ("one", "two", "three")]
    for seed, file in enumerate(files):
        noise(seed).save(file)
    page = visit(url)
    expect(page.locator(".drop")).to_be_enabled()
    drop_files(page, *files[:2])
    expect(page.get_by_role("region", name="Picture A")).to_contain_text("one.png")
    expect(page.get_by_role("region", name="Picture B")).to_contain_text("two.png")
    page.get_by_role("button", name="Tables").click()
    drop_files(page, files[2])
    expect(page.get_by_role("region", name="Picture B")).to_contain_text("three.png")

    session._pictures.clear()  # as in a server that was started again
    page.locator('[data-group="block3/0"]').click()
    page.keyboard.press("m")
    expect(after(page, 0)).to_be_visible()  # the page has sent them again
    expect(page.get_by_role("alert")).to_have_count(0)
    assert [ref.name for ref, _ in session._pictures.values()] == ["one.png", "three.png"]

    session._pictures.clear()
    expect(page).to_have_url(re.compile("mask=.*picture=.*picture="))
    page.reload()  # now the files are lost
    expect(page.get_by_role("alert")).to_contain_text("Drop the picture again")
    drop_files(page, files[0])
    expect(page.get_by_role("region", name="Picture A")).to_contain_text("one.png")
    expect(after(page, 0)).to_be_visible()


def test_scores_on_the_class_on_others_and_on_the_picture(visit, url, run, tmp_path):
    picture = picture_file(tmp_path)
    page = visit(url)
    drop(page, picture)
    circuit = neurflow.load_circuit(run)
    group = next(g for g in circuit.layers[-2].groups if g.calibration)
    page.locator(f'[data-group="{group.id}"]').click()
    scores = page.get_by_role("region", name="Scores")
    rows = scores.locator("dl > div")
    expect(rows).to_have_count(2)
    expect(rows.first.locator("i")).to_have_count(len(circuit.images))
    expect(rows.last.get_by_role("img")).to_have_attribute("aria-label", re.compile(r"^\d\.\d\d$"))
    scores.get_by_role("button", name="Compare").click()
    expect(rows).to_have_count(3)
    assert rows.nth(1).locator("i").count() > 0


def test_the_skip_link_leads_past_the_tools(visit, url):
    page = visit(url)
    expect(page.locator(".drop")).to_be_enabled()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator('[data-group="head/0"]')).to_be_focused()


def test_going_through_the_audit(visit, url, run, labelled):
    page = visit(url)
    page.get_by_role("button", name="Shortcuts").click()
    begin = page.get_by_role("button", name="Audit bee")
    expect(begin.or_(page.locator(".walk li").first)).to_be_visible()
    if begin.count():
        expect(begin).to_be_enabled()
        begin.click()
    circuit = neurflow.load_circuit(run)
    ranked = [g.id for g in neurflow.audit(circuit, model_of(circuit), labelled).groups]
    expect(page.locator(".walk li").first).to_be_visible()
    page.get_by_role("button", name="start").click()
    for id in ranked[:2]:
        expect(page.locator(".card.selected")).to_have_attribute("data-group", id)
        expect(page.locator(".signals")).to_contain_text("raises")
        page.get_by_role("button", name="next").click()


def test_labels_are_stored(visit, url, run):
    page = visit(url)
    page.locator('[data-group="block3/0"]').click()
    hostile = "<img src=x onerror=alert(1)>"
    page.get_by_label("Label of the selected group").fill(hostile)
    page.get_by_role("button", name="Save").click()
    card = page.locator('[data-group="block3/0"] .card-name')
    expect(card).to_have_text(hostile)
    page.reload()
    expect(card).to_have_text(hostile)
    assert neurflow.load_circuit(run).group("block3/0").label == hostile
    page.get_by_role("button", name="Clear").click()
    expect(card).to_have_text("Group 0")


def test_failures_are_shown(visit, url, tmp_path):
    text = tmp_path / "text.png"
    text.write_text("no picture")
    page = visit(url)
    expect(page.locator(".drop")).to_be_enabled()
    page.get_by_label("Picture", exact=True).set_input_files(text)
    expect(page.get_by_role("alert")).to_contain_text("not a picture, or damaged")


def test_the_circuit_is_shown_without_a_model(visit, serving, run):
    def missing(_):
        raise ModelError("The weights have moved.")

    page = visit(serving(Session(run, missing)))
    expect(page.get_by_role("alert")).to_contain_text("The weights have moved.")
    page.locator('[data-group="block3/0"]').click()
    expect(page.get_by_role("complementary").last).to_contain_text("block3/0")


def test_the_token_is_asked_for_once(visit, serving, run):
    url = serving(Session(run, model_of), token="correct0horse1battery")
    page = visit(url)
    assert page.url == url.split("?")[0]
    page.reload()
    expect(page.locator(".card").first).to_be_visible()


def test_the_live_page_is_readable_on_a_phone(visit, url, tmp_path):
    page = visit(url, PHONE)
    drop(page, picture_file(tmp_path))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.get_by_role("button", name="Hide").click()
    expect(page.locator(".firing")).to_be_hidden()
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".firing")).to_be_visible()
