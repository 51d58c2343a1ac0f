"""Fuzz targets for remote inputs: answers of a chat model, and requests to the live explorer."""

from __future__ import annotations

import asyncio
import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.mutations import damaged, json_input
from benchmarks.fire.valid_inputs import Target, pictures_of, stored
from neurflow.labels.chat import ChatLabeler, Reply
from neurflow.labels.labeler import JudgeRequest, LabelRequest, Picture
from neurflow.labels.prompt import Question
from neurflow.server.app import create_app
from neurflow.server.session import Session


class _FixedReply:
    """A chat model whose reply is always ``text``."""

    name = identity = "fixed"
    text = ""

    def complete(self, question: Question) -> Reply:
        """Return the text."""
        return Reply(self.text)

    def stop(self) -> None:
        """Do nothing: no request is pending."""


def chat(_: Path) -> Target:
    """Return answers of a chat model: labels, judgements and comparisons."""
    client, thumbnail = _FixedReply(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, "WEBP")
    shown = (Picture(thumbnail.getvalue(), 8, 0, (0, 0, 8, 8)),) * 2
    labeler = ChatLabeler(client)
    ask: dict[str, Callable[[], object]] = {
        "label": lambda: labeler.label(LabelRequest("a/0", "a", shown)),
        "judge": lambda: labeler.judge(JudgeRequest("x", None, shown)),
        "compare": lambda: labeler.compare(["x", "y"], shown),
    }
    valid: dict[str, list[Any]] = {
        "label": [
            {
                "features": ["a"],
                "label": "bee",
                "caption": "A bee.",
                "combination": "",
                "confidence": 0.5,
            }
        ],
        "judge": [{"scores": [{"crop": 1, "score": 0.5}, {"crop": 2, "score": 1}]}],
        "compare": [{"scores": [{"crop": 1, "scores": [1, 2]}, {"crop": 2, "scores": [0, 3]}]}],
    }

    def make(rng: random.Random) -> tuple[str, str]:
        kind = rng.choice(list(valid))
        text = json_input(valid[kind], rng).decode(errors="surrogateescape")
        around = rng.choice(("{}", "{}", "```json\n{}\n```", "<think>{{</think>{}", "Sure! {} {{"))
        return kind, around.replace("{}", text)

    def use(made: tuple[str, str]) -> object:
        client.text = made[1]
        labeler._asking.clear()
        return ask[made[0]]()

    return make, use


PATHS = (
    ("GET", "/"),
    ("GET", "/api/circuit"),
    ("GET", "/api/status"),
    ("GET", "/api/samples"),
    ("POST", "/api/samples/0"),
    ("POST", "/api/pictures"),
    ("GET", "/api/pictures/1"),
    ("POST", "/api/mask"),
    ("GET", "/api/audit"),
    ("POST", "/api/audit"),
    ("PUT", "/api/groups/GROUP/label"),
    ("GET", "/api/edits"),
    ("POST", "/api/edits"),
    ("GET", "/api/openapi.json"),
)


def requests(scratch: Path) -> Target:
    """Return raw requests to a live explorer with a loaded model: any method, path, headers, body."""
    run = stored(scratch)
    session = Session(
        run, lambda _: jobs.model(), lambda m: neurflow.load_images(jobs.pictures(), m)
    )
    app, loop = create_app(session), asyncio.new_event_loop()
    session.start()
    session.worker.submit(lambda: None).result()
    groups = [str(group.id) for layer in session.circuit.layers for group in layer.groups]
    valid = pictures_of()
    bodies: list[Any] = [
        {"pictures": [1], "groups": groups[:1], "by": "zero", "draws": 0, "seed": 1, "cuts": {}},
        {"label": "thing", "caption": None},
        {"kind": "merge", "groups": groups[:2]},
        {"kind": "split", "group": groups[0], "members": [[0, 0]]},
        {"kind": "undo"},
    ]
    own = {"host": "127.0.0.1:8750", "content-type": "application/json"}
    strange = {
        "host": ("evil.example", "127.0.0.1:x", "[::1", "\x00"),
        "origin": ("null", "http://evil.example", "http://["),
        "cookie": ("neurflow-8750=x", '"', "=;=" * 99),
        "authorization": ("Bearer x", "Basic", "Bearer "),
        "content-length": ("-1", "99999999999", "x", "1"),
        "content-type": ("text/plain", "multipart/form-data", "\xff"),
        "sec-fetch-site": ("cross-site", "none"),
        "transfer-encoding": ("chunked",),
        "range": ("bytes=0-",),
    }

    def make(rng: random.Random) -> tuple[dict[str, Any], bytes]:
        method, path = rng.choice(PATHS)
        path = path.replace("GROUP", rng.choice(groups))
        if rng.random() < 0.2:
            path = damaged(path.encode(), rng).decode(errors="replace")
        if rng.random() < 0.05:
            method = rng.choice(
                ("HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "X" * 99, "GET", "POST")
            )
        headers = dict(own)
        if rng.random() < 0.2:
            name = rng.choice(list(strange))
            headers[name] = rng.choice(strange[name])
        if path == "/api/pictures" and rng.random() < 0.9:
            body = damaged(rng.choice(valid), rng)
        else:
            body = (
                json_input(bodies, rng)
                if rng.random() < 0.8
                else json.dumps(rng.choice(bodies)).encode()
            )
        query = rng.choice(
            (b"", b"", b"name=x", b"name=" + b"x" * 300, b"token=", b"%ff=%00&&=&", b"name=%00")
        )
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8750),
        }
        return scope, body

    async def send_request(scope: dict[str, Any], body: bytes) -> None:
        statuses: list[int] = []
        parts = [body[: len(body) // 2], body[len(body) // 2 :]]

        async def receive() -> dict[str, Any]:
            if not parts:
                return await loop.create_future()  # the client stays connected
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            statuses.extend([message["status"]] if "status" in message else [])

        await app(dict(scope), receive, send)
        if not statuses or statuses[0] >= 500:
            raise AssertionError(f"{scope['method']} {scope['path']}: status {statuses}")

    return make, lambda made: loop.run_until_complete(send_request(*made))
