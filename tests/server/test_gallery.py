"""Serving a sweep: the map, circuits and comparisons on request."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from neurflow.circuit import LabelStore
from neurflow.cli.explore import is_sweep
from neurflow.errors import ResultError
from neurflow.labels.manual import set_label
from neurflow.server import gallery as module
from neurflow.server.answer_cache import AnswerCache
from neurflow.server.app import GONE, computed
from neurflow.server.gallery import Gallery, create_gallery
from tests.pages.browsing import patient
from tests.pages.conftest import browser as browser
from tests.pages.conftest import chromium_path as chromium_path
from tests.pages.swept import swept

BASE = "http://127.0.0.1:8750"


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("sweep"))


@pytest.fixture(scope="module")
def gallery(sweep, built):
    made = Gallery(sweep)
    yield made
    assert made.stop()


@pytest.fixture(scope="module")
def client(gallery):
    return TestClient(create_gallery(gallery), base_url=BASE)


def test_folders_of_sweeps_and_runs_are_distinguished(sweep):
    assert is_sweep(sweep)
    assert not is_sweep(sweep / "circuits" / "head-0-bee")


def test_pages_are_made_on_request(client):
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
def test_unknown_paths_give_404(client, path):
    answer = client.get(path)
    assert answer.status_code == 404 and "error" in answer.json()


def test_the_access_rules_are_those_of_a_circuit(gallery):
    guarded = TestClient(create_gallery(gallery, token="abcdefgh12"), base_url=BASE)
    assert guarded.get("/").status_code == 401
    assert guarded.get("/", headers={"authorization": "Bearer abcdefgh12"}).status_code == 200
    assert guarded.get("/", headers={"host": "evil.example"}).status_code == 421


PAGES = ["/", "/circuits/head-0-bee.html", "/compare/head-0-bee/head-2-wasp.html"]


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "null"}],
)
def test_requests_of_other_pages_start_no_computation(client, monkeypatch, headers, path):
    for name in ("render", "render_atlas", "render_comparison", "load_circuit"):
        monkeypatch.setattr(module, name, None)  # would fail if it were called
    assert client.get(path, headers=headers).status_code == 403


def test_a_page_is_cached_until_its_circuit_changes(gallery, sweep):
    pages = [
        gallery.index,
        lambda: gallery.circuit("head-0-bee"),
        lambda: gallery.comparison("head-0-bee", "head-2-wasp"),
    ]
    before, other = [make() for make in pages], gallery.circuit("head-2-wasp")
    assert all(make() is page for make, page in zip(pages, before, strict=True))
    store = LabelStore(sweep / "circuits" / "head-0-bee")
    store.update("low/0", lambda group: set_label(group, "six feet", author="tester"))
    for make, page in zip(pages, before, strict=True):
        assert b"six feet" not in page and b"six feet" in make()
    assert gallery.circuit("head-2-wasp") is other


def test_the_cache_is_bounded_and_drops_the_oldest_page(tmp_path):
    kept, made = AnswerCache(most_bytes=10), []

    def ask(name, size=4):
        return kept.get((name,), [], lambda: made.append(name) or bytes(size))

    for name in ("a", "b", "a", "c", "a", "b"):
        assert ask(name) == bytes(4) and kept.bytes <= 10
    assert made == ["a", "b", "c", "b"]
    assert len(ask("large", 11)) == 11 and len(ask("large", 11)) == 11
    assert made[4:] == ["large", "large"] and kept.bytes == 8, "the others stay"
    file = tmp_path / "circuit.json"
    file.write_text("one")
    for text in ("one", "three"):
        file.write_text(text)
        assert kept.get(("file",), [file], file.read_bytes) == text.encode()


def test_pages_are_made_one_at_a_time(gallery, monkeypatch):
    made, real = [], module.render

    def watched(circuit):
        made.append((threading.current_thread().name, "begins"))
        page = real(circuit)
        made.append((threading.current_thread().name, "ends"))
        return page

    monkeypatch.setattr(module, "render", watched)
    monkeypatch.setattr(gallery, "_cache", AnswerCache())
    app = create_gallery(gallery)
    paths = [f"/circuits/head-{i}-{name}.html" for i, name in enumerate(("bee", "fly", "wasp"))]
    with ThreadPoolExecutor(6) as asking:
        answers = list(asking.map(lambda path: TestClient(app, base_url=BASE).get(path), paths * 2))
    assert [answer.status_code for answer in answers] == [200] * 6
    assert made == [("neurflow-worker", "begins"), ("neurflow-worker", "ends")] * 3


def test_pages_of_disconnected_clients_are_not_made(gallery, monkeypatch):
    began, go_on = threading.Event(), threading.Event()
    busy = gallery.worker.submit(lambda: (began.set(), go_on.wait()))
    began.wait()
    monkeypatch.setattr(module, "render", None)  # would fail if it were called

    class Gone:
        async def is_disconnected(self):
            return True

    with pytest.raises(HTTPException) as ended:
        asyncio.run(computed(gallery.worker, Gone(), lambda _: gallery.circuit("head-3-car")))
    assert ended.value.status_code == GONE
    go_on.set()
    busy.result()
    gallery.worker.submit(lambda: None).result()  # the earlier request was dropped


@pytest.mark.browser
@pytest.mark.parametrize("path", ["", "circuits/head-0-bee.html"])
def test_invalid_escapes_in_the_address_do_not_break_the_page(browser, serving, sweep, path):
    page, trouble = patient(browser.new_page()), []
    url = serving(Gallery(sweep))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    for torn in ("%", "%E0%A4%A", "group=%&at=%&share=%", "group=nobody&neuron=-1&at=1e400,0,1"):
        page.goto("about:blank")
        page.goto(f"{url}{path}#{torn}")
        expect(page.locator("h1")).to_be_visible()
    assert trouble == []
    page.close()


def test_a_folder_without_an_atlas_is_reported(tmp_path):
    with pytest.raises(ResultError, match="no atlas yet"):
        Gallery(tmp_path)


@pytest.mark.browser
def test_a_class_links_to_its_circuit_and_to_comparisons(browser, serving, sweep):
    page = patient(browser.new_page())
    trouble = []
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("console", lambda message: trouble.append(message.text))
    page.goto(f"{serving(Gallery(sweep))}#head-2-wasp")
    page.get_by_role("link", name="Open its circuit").click()
    expect(page.get_by_role("heading", name="Why wasp?")).to_be_visible()
    page.get_by_role("link", name="Compare with another class").click()
    page.get_by_role("link", name="compare wasp with fly").click()
    expect(page.locator("h1")).to_have_text("wasp vs fly")
    page.go_back()
    page.get_by_label("Groups shared with").select_option(label="fly")
    page.get_by_role("link", name="side by side").click()
    expect(page.locator("h1")).to_have_text("wasp vs fly")
    assert trouble == []
    page.close()
