"""The page in a real browser, opened from disk, without requests or log messages."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import expect

from neurflow.config import Config
from neurflow.pages import write_report
from neurflow.pages.page import render
from tests.conftest import evidence, relabelled
from tests.pages.browsing import figure, in_sight, patient, share
from tests.pages.conftest import HOSTILE
from tests.waiting import until

pytestmark = pytest.mark.browser


def test_every_group_is_a_card_and_all_edges_can_be_shown(page, wide):
    assert page.locator(".card").count() == sum(len(layer.groups) for layer in wide.layers)
    share(page, 100)
    expect(page.locator("svg.edges path")).to_have_count(len(wide.edges))
    weights = page.locator("svg.edges path").evaluate_all("all => all.map(e => +e.dataset.weight)")
    assert sorted(weights) == pytest.approx(sorted(edge.weight for edge in wide.edges), rel=1e-5)
    inhibiting = page.locator("svg.edges path.against")
    assert inhibiting.count() == sum(edge.weight < 0 for edge in wide.edges)
    assert inhibiting.first.evaluate("e => getComputedStyle(e).strokeDasharray") != "none"
    expect(page.locator(".card .crop.empty")).to_have_count(0)


def test_until_the_data_are_read_the_page_says_what_it_explains(browser, wide, tmp_path):
    file = write_report(wide, tmp_path / "page.html")
    context = patient(browser.new_context(java_script_enabled=False))
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text("Why bee?")
    expect(page.get_by_role("status", name="Loading the circuit")).to_be_visible()
    context.close()


def test_cards_are_drawn_before_their_pictures_are_read(browser, wide):
    text = render(wide).encode()
    start = text.index(b'<script type="application/json" class="picture-data">')
    drawn = threading.Event()

    class Slow(BaseHTTPRequestHandler):
        """Sends the pictures only after the cards are drawn."""

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text[: start + 100])
            drawn.wait()
            self.wfile.write(text[start + 100 :])

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Slow) as server:
        threading.Thread(target=server.serve_forever).start()
        page = patient(browser.new_context()).new_page()
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/", wait_until="commit")
            expect(page.locator(".card .crop.empty").first).to_be_visible()
            expect(page.locator(".card img")).to_have_count(0)
            drawn.set()
            expect(page.locator(".card img").first).to_be_visible()
            expect(page.locator(".card .crop.empty")).to_have_count(0)
        finally:
            drawn.set()
            page.context.close()
            server.shutdown()


def test_the_threshold_says_how_much_of_the_weight_is_shown(page, wide):
    share(page, 50)
    sizes = sorted((abs(edge.weight) for edge in wide.edges), reverse=True)
    count = next(n for n in range(len(sizes)) if sum(sizes[:n]) >= 0.5 * sum(sizes))
    expect(page.locator("svg.edges path")).to_have_count(count)
    carried = round(100 * sum(sizes[:count]) / sum(sizes))
    expect(page.get_by_test_id("carried")).to_have_text(f"{carried} %")
    share(page, 0)
    expect(page.locator("svg.edges path")).to_have_count(0)


def test_a_group_lists_its_inputs_strongest_first(page, wide):
    page.locator('[data-group="late/1"]').click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", level=2)).to_contain_text("Group 1")
    numbers = panel.locator('[data-list="lower"] .number').all_inner_texts()
    expected = [edge.weight for edge in wide.inputs("late/1")]
    assert [figure(n) for n in numbers] == pytest.approx(expected, abs=0.006)
    assert panel.locator(".crops .crop").count() == 3
    expect(page).to_have_url(re.compile("#group=late%2F1$"))
    panel.locator('[data-list="lower"] button').first.click()
    expect(page.locator(".card.selected")).to_have_attribute(
        "data-group", wide.inputs("late/1")[0].lower
    )
    outputs = [edge.upper for edge in wide.outputs(wide.inputs("late/1")[0].lower)]
    titles = panel.locator('[data-list="upper"] button').evaluate_all(
        "all => all.map(b => b.title)"
    )
    assert [re.search(" → (.*):", title)[1] for title in titles] == outputs
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_a_neuron_shows_its_weights_and_its_error(page, wide):
    page.locator('[data-group="late/2"]').click()
    page.get_by_role("button", name="neuron 5").click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text("Neuron 5")
    expect(panel).to_contain_text("50 steps (gauss), score error 1.8 %")
    expect(panel).to_contain_text("Completeness error 2.4 %")
    expect(panel).to_contain_text("3 crops, mean activation 2.17")
    weights = wide.layers[1].neurons[5].semantic_groups[0].weights
    strongest = max(weights, key=lambda s: abs(weights[s]))
    expect(panel.locator(".weights li").first).to_contain_text(f"early {strongest}")
    assert panel.locator(".weights li").count() < len(weights)
    panel.get_by_role("button", name=f"Show all {len(weights)}").click()
    numbers = panel.locator(".weights .number").all_inner_texts()
    expected = sorted(weights.values(), key=abs, reverse=True)
    assert [figure(n) for n in numbers] == pytest.approx(expected, abs=0.006)
    page.reload()
    expect(page.get_by_role("complementary")).to_contain_text("Neuron 5")


def test_arrow_keys_move_through_the_circuit(page, wide):
    page.locator('[data-group="head/0"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    below = wide.inputs("head/0")[0].lower
    expect(page.locator(".card.selected")).to_have_attribute("data-group", below)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "head/0")
    page.locator('[data-list="lower"] button').first.press("Enter")
    expect(page.get_by_role("complementary")).to_be_focused()  # its former button was removed
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary")).to_have_count(0)
    assert page.evaluate("document.activeElement.dataset.group") == below
    page.get_by_label("Share of the weight shown").focus()
    before = page.get_by_test_id("edge-count").inner_text()
    for _ in range(9):
        page.keyboard.press("ArrowLeft")
    expect(page.get_by_test_id("edge-count")).not_to_have_text(before)


def test_fast_key_presses_are_not_lost(page, wide):
    below = wide.inputs("head/0")[0].lower
    lowest = wide.inputs(below)[0].lower
    page.locator('[data-group="head/0"]').focus()
    held = page.evaluate(
        """async keys => {
            const held = [];
            for (const key of keys) {
                const press = new KeyboardEvent("keydown", { key, bubbles: true });
                document.activeElement.dispatchEvent(press);
                // what is posted comes before the next frame is drawn
                await new Promise(next => {
                    const { port1, port2 } = new MessageChannel();
                    port1.onmessage = next;
                    port2.postMessage(0);
                });
                held.push(document.activeElement.dataset.group);
            }
            return held;
        }""",
        ["ArrowLeft", "ArrowLeft", "ArrowRight"],
    )
    assert held == [below, lowest, wide.outputs(lowest)[0].upper]


def test_focused_cards_become_visible(page):
    page.locator('[data-group="head/0"]').focus()
    for _ in range(4):
        page.get_by_label("Zoom in").click()
    assert not in_sight(page, "early/0")
    page.locator('[data-group="head/0"]').focus()  # the focus was on the button
    chosen = page.locator(".card.selected")
    for key in ["ArrowLeft", "ArrowLeft", *["ArrowUp"] * 5, *["ArrowDown"] * 5]:
        page.keyboard.press(key)
        until(
            lambda: in_sight(page, chosen.get_attribute("data-group"))
        )  # the panel opens beside it
        if chosen.get_attribute("data-group") == "early/0":
            break
    expect(chosen).to_have_attribute("data-group", "early/0")
    assert page.locator(".graph").evaluate("e => [e.scrollLeft, e.scrollTop]") == [0, 0]


def test_choosing_a_group_keeps_the_zoom_and_fit_shows_all(page, wide):
    width = page.locator('[data-group="late/1"]').bounding_box()["width"]
    frame = page.locator(".graph").bounding_box()
    page.mouse.move(frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2)
    page.mouse.wheel(0, -200)
    zoomed = page.locator('[data-group="late/1"]').bounding_box()["width"]
    assert zoomed > 1.1 * width
    page.locator('[data-group="late/1"]').press("Enter")
    expect(page.get_by_role("complementary")).to_be_visible()
    assert page.locator('[data-group="late/1"]').bounding_box()["width"] == pytest.approx(zoomed)
    assert in_sight(page, "late/1")
    page.get_by_label("Fit the whole circuit").click()
    assert all(in_sight(page, group.id) for layer in wide.layers for group in layer.groups)


def test_screen_readers_hear_the_target_first_and_what_drives_each_group(page, wide):
    spoken = page.locator(".card .spoken").all_inner_texts()
    order = page.locator(".card").evaluate_all("all => all.map((card) => card.dataset.group)")
    assert [id.split("/")[0] for id in order] == ["head", *["late"] * 3, *["early"] * 6]
    first = wide.inputs("head/0")[0]
    assert spoken[0].startswith("bee, head/0: 2 neurons")
    number = first.lower.split("/")[1]
    assert f". Driven by Group {number} " in spoken[0]
    assert "Driven by" not in spoken[-1]


def test_the_first_sentence_and_the_columns_say_what_was_measured(page):
    expect(page.locator("header")).to_contain_text(
        "Groups of neurons in Tiny, from 177 crops of 3 pictures"
    )
    heads = page.locator(".column-head")
    expect(heads).to_contain_text(
        ["12 neurons, 6 groups", "6 neurons, 3 groups", "2 neurons, 1 group"]
    )
    page.locator("h1 em").evaluate("name => name.textContent = 'a long name '.repeat(40)")
    assert page.locator("header").bounding_box()["height"] < 120
    page.get_by_text("How to read this").click()
    help = page.locator(".help dl")
    expect(help).to_contain_text("late: 1.1 %, worst 1.8 %. head: 0.5 %, worst 0.6 %.")
    expect(help).to_contain_text("τ = 8 core neurons, k = 3 crops per neuron.")


def test_only_shares_are_called_shares(page, show, wide):
    page.get_by_text("How to read this").click()
    expect(page.locator(".help dl")).to_contain_text("Weights are shares")
    assert page.locator(".path-weight").count() == page.locator(".card").count()
    other = show(wide.model_copy(update={"config": Config(sharing="published")}))
    other.get_by_text("How to read this").click()
    expect(other.locator(".help dl")).to_contain_text("weights are not shares")
    assert other.locator(".path-weight").count() == 0
    other.locator('[data-group="late/1"]').click()
    expect(other.get_by_role("complementary")).not_to_contain_text("of the weight")


def test_search_finds_groups_labels_and_neurons(page):
    box = page.get_by_label("Find", exact=True)
    box.fill("late/")
    expect(page.locator(".card.raised")).to_have_count(3)
    box.fill("onerror")
    expect(page.locator(".card.raised")).to_have_attribute("data-group", "early/1")
    box.fill("7")  # a neuron of early only
    expect(page.locator(".card.raised")).to_have_attribute("data-group", "early/3")
    box.press("Enter")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "early/3")
    box.press("Escape")
    expect(box).to_have_value("")


def test_hostile_labels_remain_text(page):
    page.locator('[data-group="early/1"]').click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("</script>")
    assert page.evaluate("window.hurt") is None


def test_evidence_of_labels_is_shown_as_text(wide, show):
    hostile = evidence(
        author=HOSTILE[:80],
        features=(HOSTILE[:80],),
        combination=HOSTILE,
        words=[(HOSTILE[:80], 2.5), ("wheel", 1.25)],
        confidence=0.5,
    )
    page = show(relabelled(wide, "late/1", "wheel", caption=HOSTILE, evidence=hostile))
    card = page.locator('[data-group="late/1"]')
    expect(card.locator(".card-name")).to_have_text("wheel")
    expect(card.locator(".doubtful")).to_have_count(0)
    card.click()
    shown = page.get_by_label("Evidence for the label")
    expect(shown).to_contain_text("The label distinguishes unseen crops of the group from others")
    expect(shown).to_contain_text("12 crops of the group, unseen by the labeler")
    expect(shown.get_by_role("img")).to_have_attribute(
        "aria-label", "AUPRC 0.90 [0.70, 0.95], chance 0.55 [0.40, 0.75]"
    )
    expect(shown).to_contain_text("“bee”")
    expect(shown).to_contain_text("<img src=x")
    expect(shown).to_contain_text("+2.50, wheel +1.25")
    assert page.evaluate("window.hurt") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_label_that_does_not_beat_chance_is_marked_wherever_it_appears(wide, show):
    page = show(relabelled(wide, "late/1", "wheel", evidence=evidence(0.7)))
    card = page.locator('[data-group="late/1"]')
    expect(card.locator(".doubtful")).to_have_text("wheel")
    expect(card).to_have_attribute("title", re.compile("label does not beat chance"))
    page.locator('[data-group="head/0"]').click()
    expect(page.locator(".edge-list .doubtful")).to_have_text("wheel")
    card.click()
    expect(page.get_by_role("heading", level=2).locator(".doubtful")).to_have_text("wheel")
    shown = page.get_by_label("Evidence for the label")
    expect(shown).to_contain_text("On unseen crops the label does not beat chance")
    content = "getComputedStyle(document.querySelector('.card .doubtful'), '::before').content"
    assert page.evaluate(content) == '"? "'


def test_manual_labels_show_the_author_and_missing_validation(wide, show):
    mark = {"author": "ann", "time": "2026-01-02T00:00:00Z"}
    by_hand = evidence(source="person", author="ann", pin=mark, validation=None)
    page = show(relabelled(wide, "late/1", "wheel", evidence=by_hand))
    page.locator('[data-group="late/1"]').click()
    shown = page.get_by_label("Evidence for the label")
    expect(shown).to_contain_text("Named by ann, 2026-01-02, pinned.")
    expect(shown).to_contain_text("This label has not been validated.")


def test_dark_and_light_colours(page, show, wide):
    def background(tab):
        return tab.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background(page)
    preferred = show(wide, scheme="dark")
    dark = background(preferred)
    assert dark != light
    page.get_by_role("button", name="Switch to dark").click()
    assert background(page) == dark
    preferred.get_by_role("button", name="Switch to light").click()
    assert background(preferred) == light


def test_notes_can_be_read(page):
    summary = page.locator(".notes summary")
    expect(summary).to_have_text("2 notes")
    summary.click()
    expect(page.get_by_text("concepts rest on few pictures")).to_be_visible()
    expect(page.get_by_text("Not read: torn.png (image file is truncated)")).to_be_visible()


def test_the_page_is_readable_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator('[data-group="head/0"]').click()
    panel = page.get_by_role("complementary")
    expect(panel).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_group_is_shown_in_its_pictures_with_boxes_and_heat(page, wide):
    group = wide.group("early/2")
    page.locator('[data-group="early/2"]').click()
    sights = page.locator(".sight")
    expect(sights).to_have_count(len({crop.image for crop in group.crops}))
    assert sights.locator("rect").count() == len(group.crops)
    painted = "c => [...c.getContext('2d').getImageData(0, 0, 2, 2).data]"
    values = sights.first.locator("canvas").evaluate(painted)
    *cold, hot = (values[i + 3] for i in range(0, 16, 4))
    assert hot == 0 and min(cold) > 180  # parts without activation are dimmed
    page.get_by_label("heat map").uncheck()
    expect(sights.locator("canvas")).to_have_count(0)
    said = page.locator(".histogram").first.get_attribute("aria-label")
    assert "14 crops, from \u22121.00 to 3.00" in said and "from 1.50 to 3.00" in said
    page.locator('[data-group="head/0"]').click()
    expect(page.locator(".sight").first).to_be_visible()
    expect(page.get_by_label("heat map")).to_have_count(0)  # the last layer has no space axes


def test_the_summary_names_the_strongest_group_of_each_layer(page, wide):
    """Compared with products of weights along each path, summed over all paths."""

    def reach(id):
        if id == "head/0":
            return 1.0
        return sum(edge.weight * reach(edge.upper) for edge in wide.outputs(id))

    expected = [
        max((group.id for group in layer.groups), key=lambda id: abs(reach(id)))
        for layer in reversed(wide.layers[:-1])
    ]
    brief = page.get_by_role("navigation", name="Strongest group of each layer for bee")
    titles = brief.get_by_role("button").evaluate_all("all => all.map(b => b.title)")
    assert [title.split(":")[0] for title in titles] == expected
    said = brief.locator("b").all_inner_texts()
    assert [figure(text) for text in said] == pytest.approx(
        [reach(id) for id in expected], abs=0.006
    )
    brief.get_by_role("button").nth(1).click()
    expect(page.locator(".card.selected")).to_have_attribute("data-group", expected[1])
    expect(brief.get_by_role("button").nth(1)).to_have_attribute("aria-pressed", "true")


def test_dialogs_close_with_escape_and_a_click_outside(page):
    page.locator('[data-group="late/1"]').click()
    how, said = page.get_by_text("How to read this"), page.locator(".help dl")
    how.click()
    expect(said).to_be_visible()
    page.keyboard.press("Escape")
    expect(said).to_be_hidden()
    expect(page.locator(".card.selected")).to_have_count(1)
    how.click()
    page.locator("h1").click()
    expect(said).to_be_hidden()
