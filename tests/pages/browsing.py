"""Helpers for browser tests, without deadlines."""

from pathlib import Path

from playwright.sync_api import expect

PATIENCE = 600_000
"""timeout of the browser in milliseconds, long enough for any machine; pytest ends tests that hang"""
expect.set_options(timeout=PATIENCE)

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


def patient(context):
    """A context or a page with a timeout that is long enough for a busy machine."""
    context.set_default_timeout(PATIENCE)
    return context


GUIDED = "try { localStorage.setItem('neurflow-guide', 'left') } catch {}"
"""script that marks the guide as seen"""


def figure(text):
    """A number in the format of the page: `−0.25`, `+52 %`."""
    plain = text.replace("\u2212", "-").replace("\u00a0", " ")
    return float(plain.removesuffix(" %")) / (100 if plain.endswith("%") else 1)


def share(page, percent):
    page.get_by_label("Share of the weight shown").evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        str(percent),
    )


def place(page, group):
    """Left, top, right and bottom of a card, relative to the drawing."""
    frame = page.locator(".graph").bounding_box()
    box = page.locator(f'[data-group="{group}"]').bounding_box()
    left, top = box["x"] - frame["x"], box["y"] - frame["y"]
    return left, top, left + box["width"] - frame["width"], top + box["height"] - frame["height"]


def in_sight(page, group):
    left, top, beyond_right, beyond_bottom = place(page, group)
    return left >= 0 and top >= 0 and beyond_right <= 0 and beyond_bottom <= 0


AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
"""part of the front end's development dependencies"""


def violations(page):
    """The violations that axe-core finds in a page, one per line; animations must have ended."""
    page.evaluate(AXE.read_text())
    return page.evaluate(
        """async () => (await axe.run(document)).violations.flatMap(({ id, nodes }) =>
            nodes.map((node) => `${id}: ${node.html.slice(0, 150)} ${node.failureSummary}`))"""
    )
