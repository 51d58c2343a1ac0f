"""Fuzz the readers of files, answers and requests with damaged versions of valid inputs.

Each kind of input is tried in its own process, so that a crash does not end the campaign. An
input may be accepted, or refused with an error of neurflow. Everything else is a fault: another
error, a program that is started, anything unpickled, a connection, a change outside of the scratch
folder, or more than ``MOST_MIB`` of memory. The first input of each fault is kept.

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

from benchmarks.fire.audit_hook import AuditHook
from benchmarks.fire.inputs import TARGETS
from benchmarks.fire.report import heading, peak, reset_peak, resident, row
from benchmarks.fire.valid_inputs import stored
from neurflow.errors import NeurFlowError

MOST_MIB = 1300
"""memory that inputs of one kind may take; one picture or circuit may take 1 GiB"""
KEEP = Path(tempfile.gettempdir()) / "neurflow-fire"
COLUMNS = ("input", "tried", "accepted", "refused", "faults", "peak increase, MiB", "CPU s")


@dataclass
class Count:
    """Counts of one kind of input."""

    tried: int = 0
    accepted: int = 0
    refused: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    mebibytes: float = 0.0
    seconds: float = 0.0


def campaign(name: str, tries: int, seconds: float, seed: int, scratch: str) -> Count:
    """Try inputs of one kind, in this process."""
    warnings.simplefilter("ignore")
    tempfile.tempdir = scratch  # for the temporary files of atlas queries
    rng, count, hook = random.Random(f"{name} {seed}"), Count(), AuditHook(scratch, "/dev/")
    make, use = TARGETS[name][1](Path(scratch))
    reset_peak()
    before, began, end = resident(), time.process_time(), time.monotonic() + (seconds or 1e9)
    while count.tried < tries and time.monotonic() < end:
        made, fault = make(rng), ""
        hook.enabled = True
        try:
            use(made)
            count.accepted += 1
        except NeurFlowError as error:
            count.refused += 1
            fault = "" if 0 < len(str(error)) < 3000 else "an empty or very long error message"
        except BaseException as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(place.filename).name}:{place.lineno}"
            fault = f"{type(error).__name__} at {where}: {error!s:.120}"
        hook.enabled = False
        count.tried += 1
        for each in filter(None, (fault, *hook.events)):
            _keep(name, each, made, count)
        hook.events.clear()
    count.mebibytes, count.seconds = peak() - before, time.process_time() - began
    return count


def _keep(name: str, fault: str, made: object, count: Count) -> None:
    count.faults[fault] += 1
    if count.faults[fault] == 1:
        KEEP.mkdir(exist_ok=True)
        file = KEEP / f"{name.replace(' ', '-')}-{len(count.faults)}.pickle"
        file.write_bytes(pickle.dumps((fault, made)))


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each kind of input; return the number of kinds with a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--share", type=float, default=1.0, help="share of the full number of inputs"
    )
    parser.add_argument("--only", default=",".join(TARGETS))
    parser.add_argument("--seconds", type=float, default=0, help="limit for each kind; 0: no limit")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    heading("Fuzz", COLUMNS)
    faulty, all_tried = 0, 0
    made = tempfile.TemporaryDirectory()
    stored(Path(made.name))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.inputs"])
    for name in options.only.split(","):
        tries = max(1, int(TARGETS[name][0] * options.share))
        with tempfile.TemporaryDirectory() as scratch, context.Pool(1) as pool:
            shutil.copytree(made.name, scratch, dirs_exist_ok=True)
            work = pool.apply_async(campaign, (name, tries, options.seconds, options.seed, scratch))
            count = _outcome(work, pool)
        if count is None:
            row(name, "", "", "", "the process died", "", "")
            faulty += 1
            continue
        faults = sum(count.faults.values()) + (count.mebibytes > MOST_MIB)
        cells = (count.tried, count.accepted, count.refused, faults, count.mebibytes, count.seconds)
        row(name, *cells)
        for fault, times in count.faults.most_common(10):
            print(f"  {times} × {fault}  (kept in {KEEP})")
        faulty += bool(faults)
        all_tried += count.tried
    made.cleanup()
    row("all", all_tried, "", "", "", "", "")
    return faulty


def _outcome(work: multiprocessing.pool.AsyncResult[Count], pool: object) -> Count | None:
    """Return the result, or None if the process has died (a pool replaces dead processes silently)."""
    (worker,) = pool._pool  # type: ignore[attr-defined]
    while not work.ready():
        work.wait(0.5)
        if not worker.is_alive():
            return None
    return work.get()


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
