"""Access rules: hosts, origins, tokens, sizes, and content security policies."""

import asyncio
import re
import socket
import threading

import httpx2
import pytest
from starlette.testclient import TestClient

from neurflow.errors import RequestError
from neurflow.pages.page import bundle
from neurflow.pages.page_links import with_page_links
from neurflow.pages.policy import META, policy
from neurflow.server import guard
from neurflow.server.app import MOST_UPLOADS, create_app
from neurflow.server.guard import is_loopback, own_names
from neurflow.server.server import Server
from neurflow.server.session import Session
from tests.cli.conftest import model_of

TOKEN = "correct0horse1battery"
NAME = socket.gethostname()


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def guarded(run, built):
    app = create_app(Session(run, model_of), host="0.0.0.0", token=TOKEN)
    with TestClient(app, base_url="http://192.168.1.7:9000", follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1:8750", "localhost", "[::1]:8750", "LOCALHOST:1"])
def test_requests_with_own_host_names_are_accepted(client, host):
    assert client.get("/api/status", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8750",
        "10.0.0.1",
        "",
        "[::1",
        "evil.example@localhost",
    ],
)
def test_requests_with_foreign_host_names_are_refused(client, host):
    answer = client.get("/api/circuit", headers={"host": host})
    assert answer.status_code == 421
    assert "target" not in answer.text


def test_beyond_loopback_only_addresses_are_accepted_as_hosts():
    known = own_names("0.0.0.0")
    assert known("192.168.1.7") and known("localhost") and not known("evil.example")
    assert own_names("box.local")("box.local") and own_names("Box.Local")("box.local")
    assert own_names("fd00::1")("fd00:0::1") and own_names("::ffff:127.0.0.1")("::ffff:7f00:1")
    assert not own_names("127.0.0.1")("192.168.1.7")
    assert is_loopback("127.0.0.5") and is_loopback("::1") and not is_loopback("box.local")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/audit"),
        ("POST", "/api/pictures"),
        ("POST", "/api/mask"),
        ("GET", "/api/circuit"),
        ("GET", "/api/samples"),
        ("GET", "/api/pictures/1"),
        ("GET", "/api/edits"),
        ("HEAD", "/api/circuit"),
        ("POST", "/"),
    ],
)
def test_requests_of_other_pages_start_no_computation(client, headers, method, path):
    answer = client.request(method, path, headers=headers, content=b"{}")
    assert answer.status_code == 403
    assert method == "HEAD" or "Requests from other pages are refused." in answer.json()["error"]


def test_other_pages_can_link_only_to_the_empty_page(client):
    followed = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    page = client.get("/", headers=followed)
    assert page.status_code == 200 and page.text == with_page_links(META.sub("", bundle()), []), (
        "nothing is in it"
    )
    for path in ("/api/status", "/api/openapi.json", "/nowhere"):
        assert client.get(path, headers=followed).status_code == 403


@pytest.mark.parametrize(
    "origin",
    ["http://127.0.0.1:8750", "HTTP://127.0.0.1:8750"],
)
def test_the_own_page_can_read(client, origin):
    own = {"origin": origin, "sec-fetch-site": "same-origin"}
    assert client.get("/api/circuit", headers=own).status_code == 200
    assert client.get("/api/circuit", headers={"sec-fetch-site": "none"}).status_code == 200
    assert client.get("/api/circuit", headers={"origin": "http://[torn"}).status_code == 403


def test_only_the_own_page_can_name_groups(client):
    path, label = "/api/groups/block3/0/label", {"label": "noise"}
    foreign = {"origin": "http://evil.example"}
    assert client.put(path, headers=foreign, json=label).status_code == 403
    own = {"origin": "http://127.0.0.1:8750", "sec-fetch-site": "same-origin"}
    assert client.put(path, headers=own, json=label).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/status", "/api/circuit", "/api/openapi.json", "/nowhere"]
)
def test_requests_without_the_token_are_refused(guarded, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "neurflow-9000=wrong"}):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
    assert guarded.get(f"{path}?token=wrong").status_code == 401
    assert guarded.get(f"{path}?token=é").status_code == 401


def test_the_token_is_moved_from_the_address_to_a_cookie(guarded):
    answer = guarded.get(f"/?token={TOKEN}&x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?x=1")
    rule = answer.headers["set-cookie"]
    assert rule == f"neurflow-9000={TOKEN}; HttpOnly; SameSite=Strict; Path=/"
    cookie = {"cookie": rule.split(";")[0]}
    assert guarded.get("/", headers=cookie).status_code == 200
    assert guarded.get("/api/status", headers=cookie).status_code == 200
    assert guarded.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    away = guarded.get(f"http://192.168.1.7:9000//evil.example/?token={TOKEN}")
    assert away.headers["location"].startswith("/evil.example")


def test_beyond_loopback_a_token_is_always_required(session, built):
    server = Server(session, host="0.0.0.0", port=0)
    assert len(server.token) == 48 and server.url.endswith(f"/?token={server.token}")
    server._socket.close()
    with pytest.raises(RequestError, match="8 letters and digits"):
        Server(session, token="short")


def answers(server):
    """The responses at each printed address to a browser on this machine."""
    urls = server.url, server.url_elsewhere
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        for url in filter(None, urls):
            with httpx2.Client(follow_redirects=True, timeout=None) as asking:
                yield asking.get(url)
    finally:
        server.stop()
        thread.join()


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.0.0.5", "localhost", "LOCALHOST", "0.0.0.0", "::1", "[::1]", "::", NAME],
)
def test_the_printed_address_is_reachable(run, built, host):
    if ":" in host and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    server = Server(Session(run, model_of), host=host, port=0)
    here, elsewhere = server.url, server.url_elsewhere
    assert "0.0.0.0" not in here and "[::]" not in here
    assert (server.token is None) == is_loopback(host.strip("[]"))
    assert elsewhere is None or "127.0.0" not in elsewhere
    found = list(answers(server))
    assert found
    assert all(answer.status_code == 200 and "<title>" in answer.text for answer in found)


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("192.0.2.1", "no such address. Give an address of this machine"),
        ("nobody.invalid", "Give an address of this machine"),
        ("a" * 70, "it is not a valid name"),
    ],
)
def test_an_unavailable_host_is_an_error(session, built, host, words):
    with pytest.raises(RequestError, match=words):
        Server(session, host=host)


def test_tokens_are_compared_in_constant_time(guarded, monkeypatch):
    compared = []
    monkeypatch.setattr(guard.secrets, "compare_digest", lambda *both: compared.append(both))
    told = {"authorization": "Bearer wrong", "cookie": "neurflow-9000=other"}
    assert guarded.get("/", headers=told).status_code == 401
    assert {given for given, _ in compared} == {b"", b"wrong", b"other"}


def test_a_port_in_use_is_an_error(session, built):
    first = Server(session, port=0)
    assert first.url.startswith("http://127.0.0.1:") and first.url_elsewhere is None
    port = first._socket.getsockname()[1]
    with pytest.raises(RequestError, match=r"in use\. Give another: --port"):
        Server(session, port=port)
    first._socket.close()


def test_the_size_of_bodies_is_limited(client, monkeypatch):
    assert guard.MOST_BYTES == 20 * 2**20
    assert guard.USUAL_BYTES == 2 * 2**20
    monkeypatch.setattr(guard, "MOST_BYTES", 1000)
    told = client.post("/api/pictures", content=b"x" * 1001)
    assert told.status_code == 413

    def growing():
        for _ in range(20):
            yield b"x" * 100

    assert client.post("/api/pictures", content=growing()).status_code == 413
    assert client.post("/api/pictures", content=b"x" * 999).status_code == 400
    lying = client.post("/api/mask", content=b"{}", headers={"content-length": "-5"})
    assert lying.status_code == 400
    monkeypatch.setattr(guard, "USUAL_BYTES", 100)
    assert client.post("/api/mask", content=b"x" * 101).status_code == 413
    assert client.post("/api/edits", content=growing()).status_code == 413
    assert client.post("/api/pictures", content=b"x" * 999).status_code == 400


async def uploading(app, receive):
    """The status of the response to an upload; ``receive`` gives its body."""
    said = []

    async def send(message):
        said.append(message.get("status"))

    headers = [(b"host", b"127.0.0.1:8750"), (b"content-length", b"10")]
    scope = {"type": "http", "method": "POST", "path": "/api/pictures", "query_string": b""}
    await app({**scope, "headers": headers}, receive, send)
    return said[0]


def test_the_number_of_waiting_uploads_is_limited(session, built):
    """While the worker is busy, no more of twenty uploads are read than may be held."""
    free, held, most = threading.Event(), 0, 0

    async def one(app):
        nonlocal held
        left = [b"no picture"]

        async def receive():
            nonlocal held, most
            if not left:
                return await asyncio.Future()  # the client stays connected
            held += 1
            most = max(most, held)
            if held == MOST_UPLOADS:
                free.set()
            return {"type": "http.request", "body": left.pop(), "more_body": False}

        status = await uploading(app, receive)
        held -= 1
        return status

    async def all_at_once():
        session.worker.submit(free.wait)
        app = create_app(session)
        return await asyncio.gather(*(one(app) for _ in range(20)))

    assert asyncio.run(all_at_once()) == [400] * 20
    assert most == MOST_UPLOADS


def test_bodies_that_do_not_arrive_time_out(session, built, monkeypatch):
    monkeypatch.setattr("neurflow.server.app.UPLOAD_SECONDS", 0)
    assert asyncio.run(uploading(create_app(session), asyncio.Future)) == 408


def test_the_number_of_connections_is_limited(session, built, monkeypatch):
    monkeypatch.setattr("neurflow.server.server.MOST_CONNECTIONS", 3)
    server = Server(session, port=0)
    thread = threading.Thread(target=server._server.run, args=([server._socket],))
    monkeypatch.setattr(session, "start", lambda: None)  # it has started, and continues
    monkeypatch.setattr(session, "stop", lambda: None)
    thread.start()
    try:
        with httpx2.Client(timeout=None) as first, httpx2.Client(timeout=None) as second:
            for asking in (first, second):
                assert asking.get(server.url).status_code == 200
            assert httpx2.get(server.url, timeout=None).status_code == 503
            assert first.get(server.url).status_code == 200
    finally:
        server.stop()
        thread.join()
        server._socket.close()


@pytest.mark.parametrize(
    "path",
    [
        "/../circuit.json",
        "/static/../../circuit.json",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/api/samples/..%2f..%2fcircuit.json",
        "/api/pictures/../../circuit.json",
        "/etc/passwd",
        "//etc/passwd",
    ],
)
def test_no_path_gives_access_to_files(client, path):
    for ask in (client.get, client.post):
        answer = ask(path)
        assert answer.status_code in (404, 405, 422)
        assert "root:" not in answer.text and "schema_version" not in answer.text


def test_hostile_group_ids_and_names_remain_text(client, run):
    before = sorted(file.name for file in run.rglob("*"))
    for id in ("../../outside", "..%2f..%2foutside", "block3/0%00", "<script>"):
        answer = client.put(f"/api/groups/{id}/label", json={"label": "x"})
        assert answer.status_code in (404, 405, 422)
    assert sorted(file.name for file in run.rglob("*")) == before


def test_every_response_has_the_policy(client):
    for path in ("/", "/api/status", "/nowhere"):
        headers = client.get(path).headers
        rules = dict(rule.split(" ", 1) for rule in headers["content-security-policy"].split("; "))
        assert rules["default-src"] == "'none'"
        assert rules["connect-src"] == "'self'"
        assert rules["frame-ancestors"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
    assert client.get("/", headers={"host": "evil.example"}).headers["x-frame-options"] == "DENY"


def test_the_policy_has_every_script_of_the_page(built):
    page = bundle()
    scripts = [s for s in re.findall(r"<script[^>]*>", page) if "application/json" not in s]
    assert len(re.findall(r"'sha256-", policy(page))) == len(scripts) + page.count("<style")
    assert policy("<p>nothing</p>").count("'none'") == 5
