"""Record the animation of the README: the live explorer on a picture that the demo network mistakes.

Run ``neurflow demo`` and ``neurflow explore neurflow-demo --no-open`` first. The script drives a
browser through the steps below, and writes ``docs/images/explorer-live-light.webp`` and ``-dark.webp``:

1. a fish with a stamp, which the network calls a taxi;
2. *Why this picture*: groups by their effect on the answer;
3. the group of the stamp, and where it responds;
4. the answer when this group is masked.

    python -m benchmarks.moving_picture http://127.0.0.1:8750/ [--picture NAME] [--group ID]
"""

from __future__ import annotations

import argparse
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SIZE = {"width": 1280, "height": 800}
SECONDS = (2.0, 3.0, 2.5, 4.0)
"""how long each step is shown"""
NO_GUIDE = "try { localStorage.setItem('neurflow-guide', 'left') } catch {}"
PATIENT = 300_000
"""milliseconds to wait for an element"""


def steps(page: Page, picture: str, group: str) -> Iterator[bytes]:
    """Yield a screenshot of each step."""
    page.locator(".card").first.wait_for()
    page.get_by_label("Sample picture").select_option(label=picture)
    page.get_by_test_id("answer-0").wait_for()
    yield shot(page)
    page.get_by_role("button", name="Why this picture").click()
    row = page.locator(f"[data-effect='{group}']")
    row.wait_for()
    page.get_by_text("groups compared").wait_for(state="hidden")
    page.mouse.move(5, 5)
    yield shot(page)
    row.hover()
    yield shot(page)
    row.get_by_label("is active").click()
    row.get_by_label("is masked").wait_for()
    page.get_by_role("button", name="Circuit", exact=True).click()
    page.get_by_text("was ").first.wait_for()
    page.mouse.move(5, 5)
    yield shot(page)


def shot(page: Page) -> bytes:
    """Return a screenshot, once nothing moves any more."""
    page.wait_for_timeout(700)
    return page.screenshot()


def record(browser: Browser, url: str, scheme: str, picture: str, group: str) -> Path:
    """Write the animation in a colour scheme."""
    context = browser.new_context(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(PATIENT)
    context.add_init_script(NO_GUIDE)
    page = context.new_page()
    page.goto(url)
    frames = [Image.open(io.BytesIO(each)).convert("RGB") for each in steps(page, picture, group)]
    context.close()
    file = IMAGES / f"explorer-live-{scheme}.webp"
    frames[0].save(
        file,
        save_all=True,
        append_images=frames[1:],
        duration=[round(1000 * seconds) for seconds in SECONDS],
        loop=0,
        quality=72,
        method=6,
    )
    return file


def main() -> None:
    """Record the light and the dark picture."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("url", help="address of the live explorer")
    parser.add_argument("--picture", default="image-039")
    parser.add_argument("--group", default="block1/11")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="path of a Chromium")
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            print(record(browser, options.url, scheme, options.picture, options.group), flush=True)
        browser.close()


if __name__ == "__main__":
    main()
