"""Kills: a job is killed at random moments, and repeated until it ends by itself.

1. The job runs undisturbed: its time and its result.
2. In another folder it is begun and killed (``SIGKILL``) at a moment drawn evenly from that time; this
   is repeated ``A_ROUND`` times, then it may end.
3. After each kill: what was finished before is there, unchanged and readable. At the end: the result is
   that of the undisturbed run, to the byte.

    python -m benchmarks.fire.kills [--kills 1000] [--jobs discover,sweep] [--seed 0]
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import shutil
import tempfile
import time
from dataclasses import dataclass, fields
from multiprocessing.process import BaseProcess
from pathlib import Path

from benchmarks.fire.jobs import JOBS, kept, prepare, result
from benchmarks.fire.told import heading, row

A_ROUND = 5
"""kills before a job may end"""


@dataclass
class Count:
    """What happened to one job."""

    kills: int = 0
    in_time: int = 0
    """kills that came before the job had ended"""
    rounds: int = 0
    lost: int = 0
    """finished parts that were gone or changed after a kill"""
    unequal: int = 0
    """results that differ from the undisturbed one"""
    failed: int = 0
    """repetitions that did not end well by themselves"""


COLUMNS = ("job", *(field.name.replace("_", " ") for field in fields(Count)))


def begin(job: str, folder: Path) -> BaseProcess:
    """The job in a process of its own, forked from one that has everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.nursery"])
    process = context.Process(target=JOBS[job], args=(folder,))
    process.start()
    return process


def one_round(job: str, folder: Path, seconds: float, chance: random.Random, count: Count) -> None:
    """Kill the job some times, then let it end."""
    before = kept(folder)
    for _ in range(A_ROUND):
        running = begin(job, folder)
        running.join(chance.uniform(0, seconds))
        count.in_time += running.is_alive()
        running.kill()
        running.join()
        count.kills += 1
        now = kept(folder)
        count.lost += sum(now.get(part) != before[part] for part in before)
        before = now
    running = begin(job, folder)
    running.join()
    count.failed += running.exitcode != 0


def campaign(job: str, kills: int, minutes: float, seed: int, scratch: Path) -> Count:
    """Rounds until the job was killed so often, or the time is over."""
    end = time.monotonic() + (60 * minutes or 1e9)
    chance, count, seconds = random.Random(f"{job} {seed}"), Count(), 0.0
    prepare(job, scratch / "prepared")
    begin(job, shutil.copytree(scratch / "prepared", scratch / "first")).join()  # starts the server
    undisturbed = shutil.copytree(scratch / "prepared", scratch / "undisturbed")
    began = time.monotonic()
    running = begin(job, undisturbed)
    running.join()
    seconds, wanted = time.monotonic() - began, result(undisturbed)
    if running.exitcode or not wanted:
        raise SystemExit(f"{job} fails undisturbed.")
    while count.kills < kills and time.monotonic() < end:
        folder = shutil.copytree(scratch / "prepared", scratch / str(count.rounds))
        one_round(job, folder, seconds, chance, count)
        count.rounds += 1
        count.unequal += result(folder) != wanted
        shutil.rmtree(folder)
    return count


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each job; how many things went wrong."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--kills", type=int, default=1000, help="of all jobs together")
    asked.add_argument("--jobs", default=",".join(JOBS))
    asked.add_argument("--minutes", type=float, default=0, help="at most for each job; 0: no limit")
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args(arguments)
    jobs, bad = given.jobs.split(","), 0
    heading("Kills", COLUMNS)
    for job in jobs:
        with tempfile.TemporaryDirectory() as scratch:
            kills = -(-given.kills // len(jobs))
            count = campaign(job, kills, given.minutes, given.seed, Path(scratch))
        bad += count.lost + count.unequal + count.failed
        row(job, *(getattr(count, field.name) for field in fields(count)))
    return bad


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
