"""axe-core finds no violation on any kind of page, and all pages fit a phone."""

import pytest

from tests.pages.browsing import patient, violations
from tests.pages.test_policy import audited, compared, debugged, evaluated, mapped, report

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("made", [report, debugged, audited, compared, mapped, evaluated])
def test_a_page_is_accessible_and_fits_a_phone(browser, wide, tmp_path, made, scheme):
    file = made(wide, tmp_path)
    phone = {"width": 390, "height": 844}
    context = patient(browser.new_context(viewport=phone, color_scheme=scheme))
    page = context.new_page()
    page.goto(file.as_uri())
    page.locator("h1").wait_for()
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= phone["width"]
    assert violations(page) == []
    context.close()
