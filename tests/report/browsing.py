"""How tests move about in the page."""

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


def share(page, percent):
    page.get_by_label("Share of the weight shown").evaluate(
        """(input, value) => {
            input.value = value;
            input.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        str(percent),
    )


def place(page, group):
    """Left, top, right, bottom of a card, within the frame of the drawing."""
    frame = page.locator(".graph").bounding_box()
    box = page.locator(f'[data-group="{group}"]').bounding_box()
    left, top = box["x"] - frame["x"], box["y"] - frame["y"]
    return left, top, left + box["width"] - frame["width"], top + box["height"] - frame["height"]


def in_sight(page, group):
    left, top, beyond_right, beyond_bottom = place(page, group)
    return left >= 0 and top >= 0 and beyond_right <= 0 and beyond_bottom <= 0
