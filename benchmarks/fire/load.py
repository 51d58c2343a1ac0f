"""Load: many clients on one live explorer, for some minutes, on this machine's loopback alone.

1. The explorer of a small circuit is served in a process of its own, on 127.0.0.1.
2. Each client asks in a loop, by a share each: the page, the circuit, the state, uploads (some of them
   no pictures), masks, labels, edits that are taken back, and requests that are broken off.
3. Every answer must be one that is described (200, 400, 404, 408, 422, 499, 503 when there are too many
   connections), within ``PATIENCE`` seconds. The server's memory is told every tenth of the time; it
   must be flat: after the first quarter it may grow by ``GROWTH`` MiB.

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
from benchmarks.fire.told import heading, resident, row
from neurflow.server.server import Server
from neurflow.server.session import Session

PATIENCE = 120.0
"""seconds until a client gives an answer up"""
GROWTH = 64.0
"""MiB that memory may grow by after the first quarter of the time"""
DESCRIBED = {200, 400, 404, 408, 422, 503}


def serve(folder: Path, line: Connection) -> None:
    """The explorer, until it is told to stop."""
    session = Session(
        folder, lambda _: jobs.model(), lambda model: neurflow.load_images(jobs.pictures(), model)
    )
    server = Server(session, port=0)
    line.send(server.url)
    threading.Thread(target=_stop_when_told, args=(server, line), daemon=True).start()
    server.serve()


def _stop_when_told(server: Server, line: Connection) -> None:
    line.recv()
    server.stop()


def client(url: str, seed: str, end: float, seen: Counter[str], waits: list[float]) -> None:
    """One client: asks until the end."""
    chance = random.Random(seed)
    with httpx2.Client(base_url=url, timeout=PATIENCE) as asking:
        circuit = asking.get("/api/circuit").json()
        layers = circuit["layers"]
        groups = [group["id"] for layer in layers for group in layer["groups"]]
        held: list[int] = []
        while time.monotonic() < end:
            began = time.monotonic()
            what = chance.choices(tuple(KINDS), tuple(KINDS.values()))[0]
            try:
                status = _ask(asking, what, chance, groups, held)
            except httpx2.TimeoutException:
                status = -1
            except httpx2.TransportError:
                status = 0
            seen[f"{what} {status}"] += 1
            if status > 0:
                waits.append(time.monotonic() - began)


KINDS = {
    "page": 2,
    "circuit": 2,
    "status": 6,
    "samples": 2,
    "sample": 4,
    "upload": 6,
    "no picture": 2,
    "mask": 6,
    "label": 2,
    "edit": 1,
    "edits": 2,
    "broken off": 2,
    "nonsense": 2,
}
"""what is asked → its share"""


def _ask(
    asking: httpx2.Client, what: str, chance: random.Random, groups: list[str], held: list[int]
) -> int:
    """Ask once; the status."""
    match what:
        case "page" | "circuit" | "status" | "samples" | "edits":
            return asking.get("/" if what == "page" else f"/api/{what}").status_code
        case "sample":
            return _held(asking.post(f"/api/samples/{chance.randrange(9)}"), held)
        case "upload":
            return _held(asking.post("/api/pictures?name=x", content=_picture(chance)), held)
        case "no picture":
            return asking.post("/api/pictures", content=chance.randbytes(2**16)).status_code
        case "mask":
            chosen = {"pictures": held[-1:] or [1], "groups": [chance.choice(groups)], "draws": 2}
            return asking.post("/api/mask", json=chosen).status_code
        case "label":
            path = f"/api/groups/{chance.choice(groups)}/label"
            return asking.put(path, json={"label": f"thing {chance.randrange(9)}"}).status_code
        case "edit":
            edits = ({"kind": "merge", "groups": groups[:2]}, {"kind": "undo"}, {"kind": "redo"})
            return asking.post("/api/edits", json=chance.choice(edits)).status_code
        case "broken off":
            try:
                return asking.post("/api/mask", json={"pictures": [1]}, timeout=0.001).status_code
            except httpx2.TimeoutException:
                return 499
        case _:
            return asking.request(chance.choice(("GET", "PUT", "POST")), "/api/x").status_code


def _held(answer: httpx2.Response, held: list[int]) -> int:
    if answer.status_code == 200:
        held.append(answer.json()["number"])
    return answer.status_code


def _picture(chance: random.Random) -> bytes:
    side, file = chance.choice((16, 64, 256)), io.BytesIO()
    pixels = np.frombuffer(chance.randbytes(side * side * 3), np.uint8).reshape(side, side, 3)
    Image.fromarray(pixels).save(file, chance.choice(("PNG", "JPEG", "WEBP")))
    return file.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Print what was answered, and the server's memory over time."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--clients", type=int, default=50)
    asked.add_argument("--minutes", type=float, default=60)
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args(arguments)
    context = multiprocessing.get_context("spawn")
    seen: Counter[str] = Counter()
    waits: list[float] = []
    memory: list[float] = []
    with tempfile.TemporaryDirectory() as scratch:
        jobs.discover(Path(scratch))
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(Path(scratch) / "circuits" / "bee", there))
        process.start()
        url, end = here.recv(), time.monotonic() + 60 * given.minutes
        asks: list[Any] = [
            threading.Thread(target=client, args=(url, f"{given.seed} {i}", end, seen, waits))
            for i in range(given.clients)
        ]
        for each in asks:
            each.start()
        while any(each.is_alive() for each in asks):
            memory.append(resident(process.pid or 0))
            time.sleep(max(0.5, 6 * given.minutes))
        here.send("stop")
        process.join(30)
        stopped = process.exitcode == 0
        process.kill()
    return told(given, seen, waits, memory, stopped)


def told(
    given: argparse.Namespace,
    seen: Counter[str],
    waits: list[float],
    memory: list[float],
    stopped: bool,
) -> int:
    """Print the rows; the number of faults."""
    statuses: Counter[int] = Counter()
    for what, times in seen.items():
        statuses[int(what.rpartition(" ")[2])] += times
    bad = sum(n for status, n in statuses.items() if status not in DESCRIBED and status != 499)
    settled = memory[len(memory) // 4 :]
    grown = settled[-1] - settled[0]
    heading(
        "Load",
        (
            "clients",
            "minutes",
            "requests",
            "not described",
            "median s",
            "99 % s",
            "longest s",
            "MiB at first",
            "MiB at the end",
            "ended well",
        ),
    )
    ordered = sorted(waits)
    at = [ordered[min(len(ordered) - 1, int(q * len(ordered)))] for q in (0.5, 0.99, 1)]
    row(
        str(given.clients),
        given.minutes,
        sum(seen.values()),
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
