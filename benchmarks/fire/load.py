"""Load test: many clients send requests to one live explorer for some minutes, on 127.0.0.1 only.

1. The explorer of a small circuit is served in its own process, on 127.0.0.1.
2. Each client sends random requests in a loop: the page, the circuit, the status, uploads (some are not
   pictures), masks, labels, edits, and requests that are aborted. ``KINDS`` gives their frequencies.
3. Every answer must have a documented status (200, 400, 404, 408, 422, or 503 if there are too many
   connections) and arrive within ``TIMEOUT`` seconds. The server's memory is sampled ten times per run.
   After the first quarter of the time it may grow by at most ``GROWTH`` MiB.

    python -m benchmarks.fire.load [--clients 50] [--minutes 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import random
import tempfile
import threading
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.report import heading, resident, row
from neurflow.server.server import Server
from neurflow.server.session import Session

TIMEOUT = 120.0
"""seconds that a client waits for an answer"""
GROWTH = 64.0
"""allowed growth of the memory after the first quarter of the time, in MiB"""
DOCUMENTED = {200, 400, 404, 408, 422, 503}


def serve(folder: Path, line: Connection) -> None:
    """Serve the explorer until a message arrives."""
    session = Session(
        folder, lambda _: jobs.model(), lambda model: neurflow.load_images(jobs.pictures(), model)
    )
    server = Server(session, port=0)
    line.send(server.url)
    threading.Thread(target=_stop_on_message, args=(server, line), daemon=True).start()
    server.serve()


def _stop_on_message(server: Server, line: Connection) -> None:
    line.recv()
    server.stop()


def client(url: str, seed: str, end: float, counts: Counter[str], waits: list[float]) -> None:
    """Send requests until the end."""
    rng = random.Random(seed)
    with httpx2.Client(base_url=url, timeout=TIMEOUT) as http:
        circuit = http.get("/api/circuit").json()
        layers = circuit["layers"]
        groups = [group["id"] for layer in layers for group in layer["groups"]]
        held: list[int] = []
        while time.monotonic() < end:
            began = time.monotonic()
            kind = rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
            try:
                status = _send(http, kind, rng, groups, held)
            except httpx2.TimeoutException:
                status = -1
            except httpx2.TransportError:
                status = 0
            counts[f"{kind} {status}"] += 1
            if status > 0:
                waits.append(time.monotonic() - began)


KINDS = {
    "page": 2,
    "circuit": 2,
    "status": 6,
    "samples": 2,
    "sample": 4,
    "upload": 6,
    "invalid upload": 2,
    "mask": 6,
    "label": 2,
    "edit": 1,
    "edits": 2,
    "aborted": 2,
    "unknown path": 2,
}
"""kind of request → relative frequency"""


def _send(
    http: httpx2.Client, kind: str, rng: random.Random, groups: list[str], held: list[int]
) -> int:
    """Send one request; return the status."""
    match kind:
        case "page" | "circuit" | "status" | "samples" | "edits":
            return http.get("/" if kind == "page" else f"/api/{kind}").status_code
        case "sample":
            return _picture_status(http.post(f"/api/samples/{rng.randrange(9)}"), held)
        case "upload":
            return _picture_status(http.post("/api/pictures?name=x", content=_picture(rng)), held)
        case "invalid upload":
            return http.post("/api/pictures", content=rng.randbytes(2**16)).status_code
        case "mask":
            chosen = {"pictures": held[-1:] or [1], "groups": [rng.choice(groups)], "draws": 2}
            return http.post("/api/mask", json=chosen).status_code
        case "label":
            path = f"/api/groups/{rng.choice(groups)}/label"
            return http.put(path, json={"label": f"thing {rng.randrange(9)}"}).status_code
        case "edit":
            edits = ({"kind": "merge", "groups": groups[:2]}, {"kind": "undo"}, {"kind": "redo"})
            return http.post("/api/edits", json=rng.choice(edits)).status_code
        case "aborted":
            try:
                return http.post("/api/mask", json={"pictures": [1]}, timeout=0.001).status_code
            except httpx2.TimeoutException:
                return 499
        case _:
            return http.request(rng.choice(("GET", "PUT", "POST")), "/api/x").status_code


def _picture_status(answer: httpx2.Response, held: list[int]) -> int:
    """Return the status of an answer; the number of its picture is added to ``held``."""
    if answer.status_code == 200:
        held.append(answer.json()["number"])
    return answer.status_code


def _picture(rng: random.Random) -> bytes:
    side, file = rng.choice((16, 64, 256)), io.BytesIO()
    pixels = np.frombuffer(rng.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    Image.fromarray(pixels).save(file, rng.choice(("PNG", "JPEG", "WEBP")))
    return file.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Print the counts of answers and the server's memory over time; return the number of faults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    context = multiprocessing.get_context("spawn")
    counts: Counter[str] = Counter()
    waits: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        jobs.discover(Path(scratch))
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(Path(scratch) / "circuits" / "bee", there))
        process.start()
        url, end = here.recv(), time.monotonic() + 60 * options.minutes
        clients: list[Any] = [
            threading.Thread(target=client, args=(url, f"{options.seed} {i}", end, counts, waits))
            for i in range(options.clients)
        ]
        for each in clients:
            each.start()
        while any(each.is_alive() for each in clients):
            memory.append(resident(process.pid or 0))
            time.sleep(max(0.5, 6 * options.minutes))
        here.send("stop")
        process.join(30)
        stopped = process.exitcode == 0
        process.kill()
    return report(options, counts, waits, memory, stopped)


def report(
    options: argparse.Namespace,
    counts: Counter[str],
    waits: list[float],
    memory: list[float],
    stopped: bool,
) -> int:
    """Print the table; return the number of faults."""
    statuses: Counter[int] = Counter()
    for kind, times in counts.items():
        statuses[int(kind.rpartition(" ")[2])] += times
    bad = sum(n for status, n in statuses.items() if status not in DOCUMENTED and status != 499)
    settled = memory[len(memory) // 4 :]
    grown = settled[-1] - settled[0]
    heading(
        "Load",
        (
            "clients",
            "minutes",
            "requests",
            "undocumented",
            "median s",
            "99 % s",
            "longest s",
            "MiB at first",
            "MiB at the end",
            "clean exit",
        ),
    )
    ordered = sorted(waits)
    at = [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.99, 1)]
    row(
        str(options.clients),
        options.minutes,
        sum(counts.values()),
        bad,
        *at,
        settled[0],
        settled[-1],
        "yes" if stopped else "no",
    )
    print(f"\nstatuses: {json.dumps(dict(sorted(statuses.items())))}")
    print(f"resident MiB over time: {', '.join(f'{value:.0f}' for value in memory)}", flush=True)
    return bad + (grown > GROWTH) + (not stopped)


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
