"""Fuzz: valid files, answers and requests are damaged, and what they are read by must stand it.

Each kind of input has a process of its own, so that a crash of a library is a row and not the end. An
input may be taken or refused with an error of neurflow. Anything else counts against it: another
error, a program that is started, something unpickled, a connection, a change outside of the scratch
folder, more than ``MOST_MIB`` of memory. The first inputs of each fault are kept.

    python -m benchmarks.fire.fuzz [--share 1.0] [--only "label files,uploads"] [--seconds 0] [--seed 0]
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import random
import shutil
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fire.inputs import TARGETS
from benchmarks.fire.seeds import stored
from benchmarks.fire.told import forget_peak, heading, peak, resident, row
from benchmarks.fire.watched import Watch
from neurflow.errors import NeurFlowError

MOST_MIB = 1300
"""memory that inputs of one kind may take: 1 GiB is what one picture or circuit is allowed"""
KEEP = Path(tempfile.gettempdir()) / "neurflow-fire"
COLUMNS = ("input", "tried", "taken", "refused", "faults", "MiB more at the peak", "CPU s")


@dataclass
class Count:
    """What became of the inputs of one kind."""

    tried: int = 0
    taken: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    mebibytes: float = 0.0
    seconds: float = 0.0


def campaign(name: str, tries: int, seconds: float, seed: int, scratch: str) -> Count:
    """Try inputs of one kind, in this process."""
    warnings.simplefilter("ignore")
    tempfile.tempdir = scratch  # where an atlas keeps what it needs to be asked
    chance, count, watch = random.Random(f"{name} {seed}"), Count(), Watch(scratch, "/dev/")
    make, use = TARGETS[name][1](Path(scratch))
    forget_peak()
    before, began, end = resident(), time.process_time(), time.monotonic() + (seconds or 1e9)
    while count.tried < tries and time.monotonic() < end:
        made, fault = make(chance), ""
        watch.on = True
        try:
            use(made)
            count.taken += 1
        except NeurFlowError as error:
            count.refused += 1
            fault = "" if 0 < len(str(error)) < 3000 else "an error that says nothing, or too much"
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            fault = f"{type(error).__name__} at {where}: {error!s:.120}"
        watch.on = False
        count.tried += 1
        for what in filter(None, (fault, *watch.seen)):
            _keep(name, what, made, count)
        watch.seen.clear()
    count.mebibytes, count.seconds = peak() - before, time.process_time() - began
    return count


def _keep(name: str, fault: str, made: object, count: Count) -> None:
    count.faults[fault] += 1
    if count.faults[fault] == 1:
        KEEP.mkdir(exist_ok=True)
        file = KEEP / f"{name.replace(' ', '-')}-{len(count.faults)}.pickle"
        file.write_bytes(pickle.dumps((fault, made)))


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each kind of input; how many kinds had a fault."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--share", type=float, default=1.0, help="of the full number of inputs")
    asked.add_argument("--only", default=",".join(TARGETS))
    asked.add_argument(
        "--seconds", type=float, default=0, help="at most for each kind; 0: no limit"
    )
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args(arguments)
    heading("Fuzz", COLUMNS)
    bad, all_tried = 0, 0
    made = tempfile.TemporaryDirectory()
    stored(Path(made.name))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.inputs"])
    for name in given.only.split(","):
        tries = max(1, int(TARGETS[name][0] * given.share))
        with tempfile.TemporaryDirectory() as scratch, context.Pool(1) as pool:
            shutil.copytree(made.name, scratch, dirs_exist_ok=True)
            work = pool.apply_async(campaign, (name, tries, given.seconds, given.seed, scratch))
            count = _awaited(work, pool)
        if count is None:
            row(name, "", "", "", "the process died", "", "")
            bad += 1
            continue
        faults = sum(count.faults.values()) + (count.mebibytes > MOST_MIB)
        row(name, count.tried, count.taken, count.refused, faults, count.mebibytes, count.seconds)
        for fault, times in count.faults.most_common(10):
            print(f"  {times} × {fault}  (kept in {KEEP})")
        bad += bool(faults)
        all_tried += count.tried
    made.cleanup()
    row("all", all_tried, "", "", "", "", "")
    return bad


def _awaited(work: multiprocessing.pool.AsyncResult[Count], pool: object) -> Count | None:
    """The outcome; none if the process has died, which a pool replaces without a word."""
    (worker,) = pool._pool  # type: ignore[attr-defined]
    while not work.ready():
        work.wait(0.5)
        if not worker.is_alive():
            return None
    return work.get()


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
