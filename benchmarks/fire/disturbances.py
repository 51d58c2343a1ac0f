"""Disturb jobs by full disks, missing folders, changing pictures, a wrong clock or a second process.

The second process runs the same job in the same folder. Each disturbed job runs in its own process.
It may fail, but only with an error of neurflow. After the disturbance, the same job in the same folder
must give the result of an undisturbed run.

    python -m benchmarks.fire.disturbances [--times 3] [--only "full disk"] [--jobs label]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import os
import random
import resource
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, fields
from multiprocessing.synchronize import Event
from pathlib import Path
from unittest import mock

import numpy as np
from PIL import Image

import neurflow
from benchmarks.fire import jobs
from benchmarks.fire.jobs import JOBS, kept, prepare, result
from benchmarks.fire.report import heading, row
from neurflow.errors import NeurFlowError

Context = Callable[[Path, random.Random], contextlib.AbstractContextManager[None]]
NOBODY = 65534


@dataclass
class Count:
    """Counts of one disturbance."""

    tried: int = 0
    passed: int = 0
    """jobs that succeeded despite the disturbance"""
    refused: int = 0
    """jobs that ended with an error of neurflow"""
    faults: int = 0
    """other errors, lost parts, and final results that differ"""


@contextlib.contextmanager
def full_disk(folder: Path, rng: random.Random) -> Iterator[None]:
    """Limit the size of files, so that writes fail as on a full disk."""
    size = int(2 ** rng.uniform(4, 15))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


@contextlib.contextmanager
def failing_writes(folder: Path, rng: random.Random) -> Iterator[None]:
    """Make the n-th write, sync or move and all later ones fail, as on a full or broken disk."""
    import errno

    name = rng.choice(("fsync", "replace", "posix_fallocate", "mkdir"))
    left, real = rng.randrange(12), getattr(os, name)

    def fails(*given: object, **more: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given, **more)

    with mock.patch(f"os.{name}", fails):
        yield


@contextlib.contextmanager
def read_only(folder: Path, rng: random.Random) -> Iterator[None]:
    """Make the folder, or a folder in it, read-only; the process is not root."""
    places = [folder, *(place for place in folder.rglob("*") if place.is_dir())]
    chosen = rng.choice(places)
    for place in [folder, *folder.rglob("*")]:
        os.chown(place, NOBODY, NOBODY)
    chosen.chmod(0o555)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        for place in places:
            with contextlib.suppress(FileNotFoundError):
                place.chmod(0o755)


@contextlib.contextmanager
def vanished(folder: Path, rng: random.Random) -> Iterator[None]:
    """Move the folder away at a random moment, and back after the job has ended."""
    away, moment = folder.with_name(f"{folder.name}-away"), rng.uniform(0, 0.5)
    over = threading.Event()

    def move() -> None:
        if not over.wait(moment):
            folder.rename(away)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        yield
    finally:
        over.set()
        mover.join()
        if away.exists():
            if folder.exists():  # the job has created it again
                shutil.rmtree(folder)
            away.rename(folder)


@contextlib.contextmanager
def clock_back(folder: Path, rng: random.Random) -> Iterator[None]:
    """Let the clock, and the dates of written files, jump back and forth by up to ten years."""
    jumps, real, moved = random.Random(rng.random()), time.time, os.replace

    def moment() -> float:
        return real() - jumps.uniform(-1, 10) * 365 * 86400

    def dated(source: Path, goal: Path) -> None:
        os.utime(source, (moment(), moment()))
        moved(source, goal)

    with mock.patch("time.time", moment), mock.patch("os.replace", dated):
        yield


@contextlib.contextmanager
def twice(folder: Path, rng: random.Random, *, job: str) -> Iterator[None]:
    """Run the same job in the same folder in another process at the same time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.preload"])
    begun = context.Event()
    other = context.Process(target=_tolerant, args=(job, folder, begun))
    other.start()
    begun.wait(60)
    time.sleep(rng.uniform(0, 0.3))
    try:
        yield
    finally:
        other.join()
        if other.exitcode:
            raise RuntimeError(f"the other process ended with {other.exitcode}")


def _tolerant(job: str, folder: Path, begun: Event) -> None:
    """Run a job that may be refused."""
    begun.set()
    with contextlib.suppress(NeurFlowError):
        JOBS[job](folder)


DISTURBANCES: dict[str, Context] = {
    "full disk": full_disk,
    "failing writes": failing_writes,
    "read-only folder": read_only,
    "vanished folder": vanished,
    "clock set back": clock_back,
    "two at once": functools.partial(twice, job=""),
}


def disturb(job: str, kind: str, folder: Path, seed: str) -> str:
    """Run a disturbed job; return the message of its neurflow error, or an empty string."""
    rng = random.Random(seed)
    context = functools.partial(twice, job=job) if kind == "two at once" else DISTURBANCES[kind]
    try:
        with context(folder, rng):
            JOBS[job](folder)
    except NeurFlowError as error:
        return str(error)
    return ""


def changed_pictures(scratch: Path, rng: random.Random) -> tuple[bool, str]:
    """Rewrite, truncate and remove pictures while they are studied.

    Returns whether the job was refused, and a description of any fault.
    """
    folder, out = scratch / "pictures", scratch / "out"
    folder.mkdir(parents=True)
    drawn = np.random.default_rng(0)
    files = [folder / f"{number}.png" for number in range(24)]
    for file in files:
        Image.fromarray(drawn.integers(0, 256, (32, 32, 3), np.uint8)).save(file)
    over = threading.Event()

    def change() -> None:
        while not over.wait(0.002):
            file = rng.choice(files)
            match rng.randrange(3):
                case 0:
                    file.unlink(missing_ok=True)
                case 1:
                    file.write_bytes(file.read_bytes()[:99] if file.exists() else b"")
                case _:
                    Image.fromarray(drawn.integers(0, 256, (32, 32, 3), np.uint8)).save(file)

    changer = threading.Thread(target=change)
    changer.start()
    refused, problem = False, ""
    try:
        neurflow.discover(jobs.model(), folder, "bee", config=jobs.CONFIG, out=out)
    except NeurFlowError:
        refused = True
    except Exception as error:
        problem = repr(error)
    over.set()
    changer.join()
    if (out / "circuit.json").exists():
        neurflow.load_circuit(out)
    return refused, problem


def campaign(kind: str, job: str, times: int, seed: int, scratch: Path, count: Count) -> None:
    """Disturb a job, then run it undisturbed."""
    prepare(job, scratch / "prepared")
    context = multiprocessing.get_context("spawn")
    undisturbed = shutil.copytree(scratch / "prepared", scratch / "undisturbed")
    JOBS[job](undisturbed)
    wanted = result(undisturbed)
    with ProcessPoolExecutor(1, context) as pool:
        # Modules that are imported late may be unreadable for the user of a read-only folder.
        pool.submit(JOBS[job], shutil.copytree(scratch / "prepared", scratch / "first")).result()
        for number in range(times):
            folder = shutil.copytree(scratch / "prepared", scratch / f"{number}")
            scratch.chmod(0o777)
            before, message = kept(folder), ""
            try:
                future = pool.submit(disturb, job, kind, folder, f"{kind} {job} {seed} {number}")
                message = future.result()
            except Exception as error:
                count.faults += 1
                print(f"  {kind}, {job}: {error!r:.300}")
            now = kept(folder)
            lost = [part for part in before if now.get(part) != before[part]]
            try:
                JOBS[job](folder)
            except NeurFlowError as error:
                lost.append(f"the job cannot be resumed: {error}")
            unequal = [part for part, data in result(folder).items() if wanted.get(part) != data]
            count.tried += 1
            count.passed += not message
            count.refused += bool(message)
            if lost or unequal:
                count.faults += 1
                print(
                    f"  {kind}, {job}, {number}: lost {lost[:3]}, unequal {unequal[:3]}; {message}"
                )


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each disturbance; return the number of faults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--times", type=int, default=10, help="repetitions of each disturbance of each job"
    )
    parser.add_argument("--only", default=",".join([*DISTURBANCES, "changed pictures"]))
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    heading("Disturbances", ("disturbance", *(field.name for field in fields(Count))))
    faults = 0
    for kind in options.only.split(","):
        count = Count()
        if kind == "changed pictures":
            for number in range(options.times):
                rng = random.Random(f"{options.seed} {number}")
                with tempfile.TemporaryDirectory() as scratch:
                    refused, problem = changed_pictures(Path(scratch), rng)
                count.tried += 1
                count.refused += refused
                count.passed += not refused and not problem
                count.faults += bool(problem)
                if problem:
                    print(f"  {kind}, {number}: {problem:.300}")
        else:
            for job in options.jobs.split(","):
                with tempfile.TemporaryDirectory() as scratch:
                    campaign(kind, job, options.times, options.seed, Path(scratch), count)
        row(kind, *(getattr(count, field.name) for field in fields(count)))
        faults += count.faults
    return faults


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
