"""A sweep served: the map, circuits and comparisons on demand, and nothing else."""

import pytest
from playwright.sync_api import expect
from starlette.testclient import TestClient

from neurflow.cli.explore import is_sweep
from neurflow.errors import ResultError
from neurflow.explorer.gallery import Gallery, create_gallery
from neurflow.labels.manual import set_label
from neurflow.storage import LabelStore
from tests.report.conftest import browser as browser
from tests.report.conftest import chromium_path as chromium_path
from tests.report.swept import swept

BASE = "http://127.0.0.1:8750"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def gallery(sweep, built):
    return Gallery(sweep)


@pytest.fixture(scope="module")
def client(gallery):
    return TestClient(create_gallery(gallery), base_url=BASE)


def test_a_sweeps_folder_is_told_from_a_runs(sweep):
    assert is_sweep(sweep)
    assert not is_sweep(sweep / "circuits" / "head-0-bee")


def test_pages_are_made_when_they_are_asked_for(client):
    index = client.get("/")
    assert index.status_code == 200 and '"links":"served"' in index.text
    assert "script-src 'sha256-" in index.headers["content-security-policy"]
    assert '"target":"bee"' in client.get("/circuits/head-0-bee.html").text
    both = client.get("/compare/head-0-bee/head-2-wasp.html").text
    assert '"kind":"comparison"' in both and "wasp" in both


@pytest.mark.parametrize(
    "path",
    [
        "/circuits/head-9-moth.html",
        "/circuits/..%2f..%2fatlas.html",
        "/circuits/..%2fcircuits%2fhead-0-bee.html",
        "/circuits/.html",
        "/compare/head-0-bee/nobody.html",
        "/compare/%2e%2e/head-0-bee.html",
        "/atlas/schema.json",
        "/api/openapi.json",
    ],
)
def test_what_is_not_there_is_not_there(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and "error" in answer.json()


def test_who_may_ask_is_as_for_a_circuit(gallery):
    guarded = TestClient(create_gallery(gallery, token="abcdefgh12"), base_url=BASE)
    assert guarded.get("/").status_code == 401
    assert guarded.get("/", headers={"authorization": "Bearer abcdefgh12"}).status_code == 200
    assert guarded.get("/", headers={"host": "evil.example"}).status_code == 421


def test_the_map_follows_its_circuits(gallery, sweep):
    before = gallery.index()
    assert gallery.index() is before
    store = LabelStore(sweep / "circuits" / "head-0-bee")
    store.update("low/0", lambda group: set_label(group, "six feet", author="tester"))
    assert "six feet" not in before and "six feet" in gallery.index()


def test_a_folder_without_an_atlas_is_told_so(tmp_path):
    with pytest.raises(ResultError, match="no atlas yet"):
        Gallery(tmp_path)


@pytest.mark.browser
def test_a_class_leads_to_its_circuit_and_to_two_side_by_side(browser, serving, gallery):
    page = browser.new_page()
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.goto(f"{serving(gallery)}#head-2-wasp")
    page.get_by_role("link", name="Open its circuit").click()
    expect(page.get_by_role("heading", name="Why wasp?")).to_be_visible()
    page.go_back()
    page.get_by_label("Groups shared with").select_option(label="fly")
    page.get_by_role("link", name="side by side").click()
    expect(page.locator("h1")).to_have_text("wasp next to fly")
    assert trouble == []
    page.close()
