"""Merging and splitting on the live page: storing, undoing, and exporting edits."""

import json
import re

import pytest
from playwright.sync_api import expect

import neurflow
from neurflow.cli import main
from neurflow.server.session import Session
from tests.cli.conftest import model_of
from tests.server.conftest import picture_file
from tests.server.test_live_page import chromium_browser, drop, visit

__all__ = ["chromium_browser", "visit"]  # fixtures
pytestmark = pytest.mark.browser


@pytest.fixture
def copies(stored, tmp_path):
    """Two copies of the run that tests can change."""
    for name in ("one", "other"):
        neurflow.load_circuit(stored).save(tmp_path / name)
    return tmp_path / "one", tmp_path / "other"


def groups(run, layer="block3"):
    return {group.id: group.members for group in neurflow.load_circuit(run).layer(layer).groups}


def card(page, id):
    return page.locator(f'[data-group="{id}"]')


def command(*arguments):
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return ended.value.code or 0


def test_groups_can_be_merged_split_and_restored(visit, serving, copies, tmp_path):
    run, other = copies
    before = groups(run)
    first, second, *_ = before
    page = visit(serving(Session(run, model_of)))
    drop(page, picture_file(tmp_path))
    card(page, first).click()
    page.keyboard.press("m")
    expect(card(page, first)).to_have_class(re.compile("masked"))

    page.get_by_text("Merge or split").click()
    page.get_by_label("Group to merge with").select_option(second)
    page.get_by_role("button", name="Merge", exact=True).click()
    tree = neurflow.load_circuit(run).layer("block3").tree
    made, part = (f"block3/{len(tree.numbers) + i}" for i in (0, 1))
    expect(card(page, made)).to_have_class(re.compile("selected"))
    expect(card(page, first)).to_have_count(0)
    expect(page.locator(".masked-line")).to_have_count(0)
    assert set(groups(run)[made]) == {*before[first], *before[second]}
    history = page.get_by_role("group", name="Edits by hand")
    expect(history).to_contain_text(f"1 edit by hand; last: merged {first} and {second}.")

    page.reload()
    expect(card(page, made)).to_be_visible()
    card(page, made).click()
    page.get_by_text("Merge or split").click()
    page.locator(".ticks input").first.check()
    page.get_by_role("button", name=re.compile("Split 1 from")).click()
    expect(card(page, part)).to_have_class(re.compile("selected"))
    with page.expect_download() as saving:
        history.get_by_role("button", name="Save").click()
    saving.value.save_as(tmp_path / "edits.json")
    assert command("edit", other, "--import", tmp_path / "edits.json") == 0
    edited = [neurflow.load_circuit(each) for each in (run, other)]
    assert edited[0].edges == edited[1].edges
    assert groups(run) == groups(other) != before

    for _ in range(2):
        history.get_by_role("button", name="Undo").click()
        expect(page.locator(".trouble")).to_have_count(0)
    expect(history).to_contain_text("No edits.")
    expect(card(page, first)).to_be_visible()
    assert groups(run) == before
    history.get_by_role("button", name="Redo").click()
    expect(card(page, made)).to_be_visible()


def test_merging_with_the_keyboard_and_the_message_of_a_refusal(visit, serving, copies):
    run, _ = copies
    first, second, *_ = groups(run)
    page = visit(serving(Session(run, model_of)))
    card(page, first).focus()
    page.keyboard.press("Enter")
    page.get_by_text("Merge or split").focus()
    page.keyboard.press("Enter")
    choice = page.get_by_label("Group to merge with")
    choice.focus()
    choice.select_option(second)
    # meanwhile they are merged on the command line
    assert command("edit", run, "--merge", f"{first},{second}") == 0
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(first)


@pytest.mark.parametrize(
    "asked, code, words",
    [
        ({"kind": "merge", "groups": ["block3/0", "block3/99"]}, 400, "block3/99"),
        ({"kind": "merge", "groups": ["block3/0", "block2/0"]}, 400, "one layer"),
        ({"kind": "merge", "groups": ["block3/0"]}, 422, "groups"),
        ({"kind": "split", "group": "block3/0", "members": [[10**6, 0]]}, 400, "no member"),
        ({"kind": "split", "group": "block3/0", "members": []}, 422, "members"),
        ({"kind": "undo"}, 400, "nothing to undo"),
        ({"kind": "redo"}, 400, "nothing to redo"),
        ({"kind": "forget"}, 422, "kind"),
        ({"kind": "merge", "groups": ["block3/0", "block3/1"], "into": "x"}, 422, "into"),
    ],
)
def test_wrong_edits_are_refused_and_change_nothing(client, run, asked, code, words):
    before = groups(run)
    answer = client.post("/api/edits", json=asked)
    assert answer.status_code == code
    assert words in answer.json()["error"]
    assert groups(run) == before
    assert json.loads(client.get("/api/edits").text)["done"] == []
