"""What is said to neurflow from outside: answers of a chat model, and requests to the live explorer."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.mutate import damaged, json_input
from benchmarks.fire.seeds import Chance, Target, pictures_of, stored
from neurflow.labels.chat import ChatLabeler, Reply
from neurflow.labels.labeler import JudgeRequest, LabelRequest, Picture
from neurflow.labels.prompt import Question
from neurflow.server.app import create_app
from neurflow.server.session import Session


class _Said:
    """A chat model that says what it is told to."""

    name = identity = "said"
    text = ""

    def complete(self, question: Question) -> Reply:
        """Say it."""
        return Reply(self.text)

    def stop(self) -> None:
        """Nothing waits."""


def chat(_: Path) -> Target:
    """Answers of a chat model: labels, judgements and comparisons."""
    said, thumbnail = _Said(), io.BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, "WEBP")
    shown = (Picture(thumbnail.getvalue(), 8, 0, (0, 0, 8, 8)),) * 2
    labeler = ChatLabeler(said)
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

    def make(chance: Chance) -> tuple[str, str]:
        kind = chance.choice(list(valid))
        text = json_input(valid[kind], chance).decode(errors="surrogateescape")
        around = chance.choice(
            ("{}", "{}", "```json\n{}\n```", "<think>{{</think>{}", "Sure! {} {{")
        )
        return kind, around.replace("{}", text)

    def use(made: tuple[str, str]) -> object:
        said.text = made[1]
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
    """Raw requests to the live explorer: any method, path, headers and body; with its model loaded."""
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

    def make(chance: Chance) -> tuple[dict[str, Any], bytes]:
        method, path = chance.choice(PATHS)
        path = path.replace("GROUP", chance.choice(groups))
        if chance.random() < 0.2:
            path = damaged(path.encode(), chance).decode(errors="replace")
        if chance.random() < 0.05:
            method = chance.choice(
                ("HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE", "X" * 99, "GET", "POST")
            )
        headers = dict(own)
        if chance.random() < 0.2:
            name = chance.choice(list(strange))
            headers[name] = chance.choice(strange[name])
        if path == "/api/pictures" and chance.random() < 0.9:
            body = damaged(chance.choice(valid), chance)
        else:
            body = (
                json_input(bodies, chance)
                if chance.random() < 0.8
                else json.dumps(chance.choice(bodies)).encode()
            )
        query = chance.choice(
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

    async def asked(scope: dict[str, Any], body: bytes) -> None:
        said: list[int] = []
        parts = [body[: len(body) // 2], body[len(body) // 2 :]]

        async def receive() -> dict[str, Any]:
            if not parts:
                return await loop.create_future()  # the client stays
            return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

        async def send(message: Any) -> None:
            said.extend([message["status"]] if "status" in message else [])

        await app(dict(scope), receive, send)
        if not said or said[0] >= 500:
            raise AssertionError(f"{scope['method']} {scope['path']} is answered by {said}")

    return make, lambda made: loop.run_until_complete(asked(*made))
