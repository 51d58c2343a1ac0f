"""An HTTP server for the chat-completions protocol that can simulate failures.

It checks requests as a real service does (path, key, structure of messages, pictures that decode as
JPEG), and answers requests for labels, judgements and comparisons. A script can define the response to
each of the first requests: no answer, a busy or failing server, a malformed or hostile answer, a
refusal.
"""

from __future__ import annotations

import base64
import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

KEY = "sk-test-51c9d0"
TOKENS_IN, TOKENS_OUT = 900, 60


@dataclass
class Step:
    """The response to one request, instead of the usual answer."""

    status: int = 200
    body: Any = None
    """a JSON value, or raw text; None for the usual answer"""
    headers: dict[str, str] = field(default_factory=dict)
    hold: Callable[[], object] = lambda: None
    """is called before the answer is sent, and may wait"""
    silent: bool = False
    """no answer is sent until the client gives up"""


@dataclass
class ChatRequest:
    """One request as parsed by the server."""

    kind: str
    """label, judgement or comparison"""
    model: str
    text: str
    pictures: list[bytes]
    payload: dict[str, Any]


def answer_label(asked: ChatRequest) -> Any:
    return {
        "features": ["red", "round"],
        "label": f"thing {len(asked.pictures)}",
        "caption": "A red round thing.",
        "combination": "Red and round combine.",
        "confidence": 0.7,
    }


def answer_judgement(asked: ChatRequest) -> Any:
    count = int(re.findall(r"Below are (\d+) crops", asked.text)[0])
    return {"scores": [{"crop": i + 1, "score": (i % 3) / 2} for i in range(count)]}


def answer_comparison(asked: ChatRequest) -> Any:
    count, texts = re.findall(r"Below are (\d+) crops.* and (\d+) whole numbers", asked.text)[0]
    return {
        "scores": [{"crop": i + 1, "scores": [5 * (i % 3)] * int(texts)} for i in range(int(count))]
    }


class ChatServer:
    """The server's address, the requests so far, and the script of responses."""

    def __init__(self) -> None:
        self.asked: list[ChatRequest] = []
        self.requests = 0
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most_under_way = 0
        self.script: list[Step] = []
        self.rule: Callable[[ChatRequest], Step | None] = lambda asked: None
        self.label: Callable[[ChatRequest], Any] = answer_label
        self.judgement: Callable[[ChatRequest], Any] = answer_judgement
        self.comparison: Callable[[ChatRequest], Any] = answer_comparison
        self.usage: dict[str, int] | None = {
            "prompt_tokens": TOKENS_IN,
            "completion_tokens": TOKENS_OUT,
            "total_tokens": TOKENS_IN + TOKENS_OUT,
        }
        self.lock = threading.Lock()
        self.url = ""

    def digests(self) -> list[str]:
        """The requests with a valid answer, to check that none is repeated."""
        return [json.dumps(asked.payload, sort_keys=True) for asked in self.asked]

    def respond(self, payload: dict[str, Any]) -> Step:
        asked = understood(payload)
        with self.lock:
            self.requests += 1
            step = self.script.pop(0) if self.script else self.rule(asked)
        if step and (step.silent or step.status != 200 or step.body is not None):
            return step
        with self.lock:
            self.asked.append(asked)
        said = getattr(self, asked.kind)(asked)
        message = {
            "role": "assistant",
            "content": said if isinstance(said, str) else json.dumps(said),
        }
        answer = completion(message, self.usage)
        return Step(body=answer, hold=step.hold if step else lambda: None)


def completion(message: dict[str, Any], usage: Any = None, finish: str = "stop") -> dict[str, Any]:
    """A chat completion in the format of the protocol."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "tiny-vision",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": usage,
    }


def understood(payload: dict[str, Any]) -> ChatRequest:
    """The parsed request; raises ``KeyError`` and similar errors if it violates the protocol."""
    system, user = payload["messages"]
    assert (system["role"], user["role"]) == ("system", "user")
    text, pictures = [], []
    for part in user["content"]:
        if part["type"] == "text":
            text.append(part["text"])
        else:
            head, data = part["image_url"]["url"].split(",")
            assert head == "data:image/jpeg;base64"
            pictures.append(base64.b64decode(data, validate=True))
            Image.open(io.BytesIO(pictures[-1]), formats=["JPEG"]).load()
    words = "\n".join(text)
    kind = "judgement" if '"scores"' in words.rpartition("JSON schema")[2] else "label"
    kind = "comparison" if "whole numbers from 0" in words else kind
    return ChatRequest(kind, payload["model"], words, pictures, payload)


@contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server on a free port of this machine that runs during the context."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            state.headers.append(dict(self.headers.items()))
            with state.lock:
                state.under_way += 1
                state.most_under_way = max(state.most_under_way, state.under_way)
            try:
                if self.path != "/v1/chat/completions":
                    step = Step(404, {"error": {"message": "no such path"}})
                elif self.headers["Authorization"] != f"Bearer {KEY}":
                    said = self.headers["Authorization"]
                    step = Step(401, {"error": {"message": f"Incorrect API key provided: {said}"}})
                else:
                    step = state.respond(json.loads(data))
                step.hold()
                if step.silent:
                    self.rfile.read()  # ends when the client closes the connection
                    self.close_connection = True
                else:
                    self.send(step)
            finally:
                with state.lock:
                    state.under_way -= 1

        def send(self, step: Step) -> None:
            body = step.body if isinstance(step.body, str) else json.dumps(step.body)
            try:
                self.send_response(step.status)
                self.send_header("Content-Type", "application/json")
                for name, value in step.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body.encode())))
                self.end_headers()
                self.wfile.write(body.encode())
            except (BrokenPipeError, ConnectionResetError):
                pass  # the client did not wait

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
