"""Disturbances: the disk fills up, folders cannot be written or vanish, pictures change under a running
job, the clock goes back, and everything is done twice at once.

Each disturbance of each job runs in a process of its own. It may fail with an error of neurflow, and
never with another one. When the disturbance is over, the same job in the same folder must end with the
result of an undisturbed run.

    python -m benchmarks.fire.disturbed [--times 3] [--only "full disk"] [--jobs label]
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
from benchmarks.fire.told import heading, row
from neurflow.errors import NeurFlowError

Context = Callable[[Path, random.Random], contextlib.AbstractContextManager[None]]
NOBODY = 65534


@dataclass
class Count:
    """What a disturbance did."""

    tried: int = 0
    stood: int = 0
    """jobs that ended well in spite of it"""
    refused: int = 0
    """jobs that ended with an error of neurflow"""
    faults: int = 0
    """other errors, lost parts, and results that differ in the end"""


@contextlib.contextmanager
def full_disk(folder: Path, chance: random.Random) -> Iterator[None]:
    """No file can become larger than some size: what a write on a full disk meets, at any moment."""
    size = int(2 ** chance.uniform(4, 15))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


@contextlib.contextmanager
def failing_writes(folder: Path, chance: random.Random) -> Iterator[None]:
    """Some write, sync or move fails as on a full or broken disk, and all that follow it."""
    import errno

    name = chance.choice(("fsync", "replace", "posix_fallocate", "mkdir"))
    left, real = chance.randrange(12), getattr(os, name)

    def fails(*given: object, **more: object) -> object:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given, **more)

    with mock.patch(f"os.{name}", fails):
        yield


@contextlib.contextmanager
def read_only(folder: Path, chance: random.Random) -> Iterator[None]:
    """The folder, or some folder in it, may only be read; the process is not root."""
    places = [folder, *(place for place in folder.rglob("*") if place.is_dir())]
    chosen = chance.choice(places)
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
def vanished(folder: Path, chance: random.Random) -> Iterator[None]:
    """The folder is moved away at a random moment, and comes back when the job has ended."""
    away, moment = folder.with_name(f"{folder.name}-away"), chance.uniform(0, 0.5)
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
            made_anew = folder.exists()
            if made_anew:
                shutil.rmtree(folder)
            away.rename(folder)


@contextlib.contextmanager
def clock_back(folder: Path, chance: random.Random) -> Iterator[None]:
    """The clock jumps to and fro by up to ten years, and what is written is dated so."""
    jumps, real, moved = random.Random(chance.random()), time.time, os.replace

    def moment() -> float:
        return real() - jumps.uniform(-1, 10) * 365 * 86400

    def dated(source: Path, goal: Path) -> None:
        os.utime(source, (moment(), moment()))
        moved(source, goal)

    with mock.patch("time.time", moment), mock.patch("os.replace", dated):
        yield


@contextlib.contextmanager
def twice(folder: Path, chance: random.Random, *, job: str) -> Iterator[None]:
    """The same job in the same folder, in another process at the same time."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.nursery"])
    begun = context.Event()
    other = context.Process(target=_tolerant, args=(job, folder, begun))
    other.start()
    begun.wait(60)
    time.sleep(chance.uniform(0, 0.3))
    try:
        yield
    finally:
        other.join()
        if other.exitcode:
            raise RuntimeError(f"the other process ended with {other.exitcode}")


def _tolerant(job: str, folder: Path, begun: Event) -> None:
    """A job that may be refused."""
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
    """Run a disturbed job; what it ended with: "" or the error of neurflow."""
    chance = random.Random(seed)
    context = functools.partial(twice, job=job) if kind == "two at once" else DISTURBANCES[kind]
    try:
        with context(folder, chance):
            JOBS[job](folder)
    except NeurFlowError as error:
        return str(error)
    return ""


def changed_pictures(scratch: Path, chance: random.Random) -> tuple[bool, str]:
    """Pictures are written anew, cut off or removed while they are studied: whether that was refused,
    and what went wrong.
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
            file = chance.choice(files)
            match chance.randrange(3):
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
    """Disturb a job, then let it end in peace."""
    prepare(job, scratch / "prepared")
    context = multiprocessing.get_context("spawn")
    undisturbed = shutil.copytree(scratch / "prepared", scratch / "undisturbed")
    JOBS[job](undisturbed)
    wanted = result(undisturbed)
    with ProcessPoolExecutor(1, context) as pool:
        for number in range(times):
            folder = shutil.copytree(scratch / "prepared", scratch / f"{number}")
            scratch.chmod(0o777)
            before, told = kept(folder), ""
            try:
                asked = pool.submit(disturb, job, kind, folder, f"{kind} {job} {seed} {number}")
                told = asked.result()
            except Exception as error:
                count.faults += 1
                print(f"  {kind}, {job}: {error!r:.300}")
            now = kept(folder)
            lost = [part for part in before if now.get(part) != before[part]]
            JOBS[job](folder)
            unequal = [part for part, data in result(folder).items() if wanted.get(part) != data]
            count.tried += 1
            count.stood += not told
            count.refused += bool(told)
            if lost or unequal:
                count.faults += 1
                print(f"  {kind}, {job}, {number}: lost {lost[:3]}, unequal {unequal[:3]}; {told}")


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each disturbance; the number of faults."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--times", type=int, default=10, help="of each disturbance of each job")
    asked.add_argument("--only", default=",".join([*DISTURBANCES, "changed pictures"]))
    asked.add_argument("--jobs", default=",".join(JOBS))
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args(arguments)
    heading("Disturbances", ("disturbance", *(field.name for field in fields(Count))))
    bad = 0
    for kind in given.only.split(","):
        count = Count()
        if kind == "changed pictures":
            for number in range(given.times):
                chance = random.Random(f"{given.seed} {number}")
                with tempfile.TemporaryDirectory() as scratch:
                    refused, problem = changed_pictures(Path(scratch), chance)
                count.tried += 1
                count.refused += refused
                count.stood += not refused and not problem
                count.faults += bool(problem)
                if problem:
                    print(f"  {kind}, {number}: {problem:.300}")
        else:
            for job in given.jobs.split(","):
                with tempfile.TemporaryDirectory() as scratch:
                    campaign(kind, job, given.times, given.seed, Path(scratch), count)
        row(kind, *(getattr(count, field.name) for field in fields(count)))
        bad += count.faults
    return bad


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
