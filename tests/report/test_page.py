"""The page in a real browser, opened from disk: nothing leaves the machine, nothing is logged."""

import pytest
from playwright.sync_api import expect, sync_playwright

from neurflow.report import write_report

pytestmark = pytest.mark.browser

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]


@pytest.fixture(scope="module")
def browser(chromium_path):
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def chromium_path():
    from tests.conftest import browser as find

    path = find()
    assert path is not None
    return path


@pytest.fixture
def page(browser, wide, tmp_path):
    file = write_report(wide, tmp_path / "page.html")
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    tab = context.new_page()
    trouble = []
    tab.on("console", lambda message: trouble.append(message.text))
    tab.on("pageerror", lambda error: trouble.append(str(error)))

    def local_only(route):
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            trouble.append(f"request: {route.request.url}")
            route.abort()

    tab.route("**/*", local_only)
    tab.goto(file.as_uri())
    expect(tab.locator(".card").first).to_be_visible()
    yield tab
    assert trouble == []
    context.close()


def share(page, percent):
    page.get_by_label("Share of the weight shown").evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        str(percent),
    )


def test_every_group_is_a_card_and_all_edges_can_be_shown(page, wide):
    assert page.locator(".card").count() == sum(len(layer.groups) for layer in wide.layers)
    share(page, 100)
    expect(page.locator("svg.edges path")).to_have_count(len(wide.edges))
    weights = page.locator("svg.edges path").evaluate_all("all => all.map(e => +e.dataset.weight)")
    assert sorted(weights) == pytest.approx(sorted(edge.weight for edge in wide.edges))
    inhibiting = page.locator("svg.edges path.against")
    assert inhibiting.count() == sum(edge.weight < 0 for edge in wide.edges)
    assert inhibiting.first.evaluate("e => getComputedStyle(e).strokeDasharray") != "none"


def test_the_threshold_says_how_much_of_the_weight_is_shown(page, wide):
    share(page, 50)
    sizes = sorted((abs(edge.weight) for edge in wide.edges), reverse=True)
    count = next(n for n in range(len(sizes)) if sum(sizes[:n]) >= 0.5 * sum(sizes))
    expect(page.locator("svg.edges path")).to_have_count(count)
    carried = round(100 * sum(sizes[:count]) / sum(sizes))
    expect(page.get_by_test_id("carried")).to_have_text(f"{carried} %")
    share(page, 0)
    expect(page.locator("svg.edges path")).to_have_count(0)


def test_a_group_shows_what_feeds_it_strongest_first(page, wide):
    page.locator('[data-group="late/1"]').click()
    panel = page.get_by_role("complementary")
    expect(panel.get_by_role("heading", level=2)).to_contain_text("Group 1")
    numbers = panel.locator('[data-list="lower"] .number').all_inner_texts()
    expected = [edge.weight for edge in wide.inputs("late/1")]
    assert [float(n.replace("\u2212", "-")) for n in numbers] == pytest.approx(expected, abs=0.006)
    assert panel.locator(".crops .crop").count() == 3
    assert page.url.endswith("#group=late%2F1")
    panel.locator('[data-list="lower"] button').first.click()
    expect(page.locator(".card.selected")).to_have_attribute(
        "data-group", wide.inputs("late/1")[0].lower
    )
    page.keyboard.press("Escape")
    expect(panel).to_have_count(0)


def test_a_neuron_shows_its_weights_and_its_error(page, wide):
    page.locator('[data-group="late/2"]').click()
    page.get_by_role("button", name="neuron 5").click()
    panel = page.get_by_role("complementary")
    expect(panel).to_contain_text("Neuron 5")
    expect(panel).to_contain_text("50 points, adding up to within 2.4 %")
    weights = wide.layers[1].neurons[5].semantic_groups[0].weights
    strongest = max(weights, key=lambda s: abs(weights[s]))
    expect(panel.locator(".weights li").first).to_contain_text(f"early {strongest}")
    page.reload()
    expect(page.get_by_role("complementary")).to_contain_text("Neuron 5")


def test_the_keyboard_walks_the_circuit(page, wide):
    page.locator('[data-group="head/0"]').focus()
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowLeft")
    below = wide.inputs("head/0")[0].lower
    expect(page.locator(".card.selected")).to_have_attribute("data-group", below)
    page.keyboard.press("ArrowRight")
    expect(page.locator(".card.selected")).to_have_attribute("data-group", "head/0")


def test_search_finds_groups_labels_and_neurons(page):
    box = page.get_by_label("Find", exact=True)
    box.fill("late/")
    expect(page.locator(".card:not(.faded)")).to_have_count(3)
    box.fill("onerror")
    expect(page.locator(".card:not(.faded)")).to_have_attribute("data-group", "early/1")
    box.fill("7")  # a neuron of early alone
    expect(page.locator(".card:not(.faded)")).to_have_attribute("data-group", "early/3")


def test_a_hostile_label_is_only_text(page):
    page.locator('[data-group="early/1"]').click()
    expect(page.get_by_role("heading", level=2)).to_contain_text("</script>")
    assert page.evaluate("window.hurt") is None


def test_dark_and_light(page):
    def background():
        return page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = background()
    page.get_by_role("button", name="Switch to dark").click()
    assert background() != light


def test_notes_can_be_read(page):
    page.get_by_text("1 note").click()
    expect(page.get_by_text("concepts rest on few pictures")).to_be_visible()


def test_a_phone_in_portrait_can_read_it(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.locator('[data-group="head/0"]').click()
    panel = page.get_by_role("complementary")
    expect(panel).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
