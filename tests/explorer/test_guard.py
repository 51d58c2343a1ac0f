"""Who may ask: hosts, origins, tokens, sizes, and what a page may load."""

import re

import pytest
from starlette.testclient import TestClient

from neurflow.errors import RequestError
from neurflow.explorer import guard
from neurflow.explorer.app import create_app
from neurflow.explorer.guard import is_loopback, own_names
from neurflow.explorer.server import Server
from neurflow.explorer.session import Session
from neurflow.report.page import bundle
from neurflow.report.policy import policy
from tests.cli.conftest import model_of

TOKEN = "correct0horse1battery"


@pytest.fixture(scope="module")
def guarded(run, built):
    app = create_app(Session(run, model_of), host="0.0.0.0", token=TOKEN)
    with TestClient(app, base_url="http://192.168.1.7:9000", follow_redirects=False) as client:
        yield client


@pytest.mark.parametrize("host", ["127.0.0.1:8750", "localhost", "[::1]:8750", "LOCALHOST:1"])
def test_own_names_are_answered(client, host):
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
def test_a_rebound_name_is_refused(client, host):
    answer = client.get("/api/circuit", headers={"host": host})
    assert answer.status_code == 421
    assert "target" not in answer.text


def test_an_address_beyond_loopback_knows_addresses_and_no_foreign_names():
    known = own_names("0.0.0.0")
    assert known("192.168.1.7") and known("localhost") and not known("evil.example")
    assert own_names("box.local")("box.local")
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
@pytest.mark.parametrize("path", ["/api/audit", "/api/pictures", "/api/mask"])
def test_other_pages_cannot_make_it_work(client, headers, path):
    answer = client.post(path, headers=headers, content=b"{}")
    assert (answer.status_code, answer.json()) == (
        403,
        {"error": "Requests from other pages are refused."},
    )


def test_other_pages_cannot_name_groups_and_the_own_page_can(client):
    path, label = "/api/groups/block3/0/label", {"label": "noise"}
    foreign = {"origin": "http://evil.example"}
    assert client.put(path, headers=foreign, json=label).status_code == 403
    own = {"origin": "http://127.0.0.1:8750", "sec-fetch-site": "same-origin"}
    assert client.put(path, headers=own, json=label).status_code == 200


@pytest.mark.parametrize(
    "path", ["/", "/api/status", "/api/circuit", "/api/openapi.json", "/nowhere"]
)
def test_nothing_is_told_without_the_token(guarded, path):
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "neurflow-9000=wrong"}):
        answer = guarded.get(path, headers=headers)
        assert answer.status_code == 401
        assert "token" in answer.json()["error"]
    assert guarded.get(f"{path}?token=wrong").status_code == 401
    assert guarded.get(f"{path}?token=é").status_code == 401


def test_the_token_becomes_a_cookie_and_leaves_the_address(guarded):
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


def test_beyond_loopback_there_is_always_a_token(session, built):
    server = Server(session, host="0.0.0.0", port=0)
    assert len(server.token) == 48 and server.url.endswith(f"/?token={server.token}")
    server._socket.close()
    with pytest.raises(RequestError, match="8 letters and digits"):
        Server(session, token="short")
    with pytest.raises(RequestError, match="Give another: --port"):
        Server(session, host="192.0.2.1", port=0)


def test_bodies_are_bounded(client, monkeypatch):
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
def test_no_path_leads_to_a_file(client, path):
    for ask in (client.get, client.post):
        answer = ask(path)
        assert answer.status_code in (404, 405, 422)
        assert "root:" not in answer.text and "schema_version" not in answer.text


def test_a_hostile_group_or_name_is_only_text(client, run):
    before = sorted(file.name for file in run.rglob("*"))
    for id in ("../../outside", "..%2f..%2foutside", "block3/0%00", "<script>"):
        answer = client.put(f"/api/groups/{id}/label", json={"label": "x"})
        assert answer.status_code in (404, 405, 422)
    assert sorted(file.name for file in run.rglob("*")) == before


def test_every_answer_carries_the_policy(client):
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


def test_the_policy_names_every_script_of_the_page(built):
    page = bundle()
    scripts = [s for s in re.findall(r"<script[^>]*>", page) if "application/json" not in s]
    assert len(re.findall(r"'sha256-", policy(page))) == len(scripts) + page.count("<style")
    assert policy("<p>nothing</p>").count("'none'") == 5
