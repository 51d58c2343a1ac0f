"""Kill jobs at random moments and resume them.

1. The job runs undisturbed. This gives its duration and its result.
2. In another folder, the job is started and killed (``SIGKILL``) at a random moment within that
   duration. After ``KILLS_PER_ROUND`` kills it may finish.
3. After each kill, everything that was finished before must still exist, unchanged and readable. At the
   end, the result must equal that of the undisturbed run byte by byte.

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
from benchmarks.fire.report import heading, row

KILLS_PER_ROUND = 5
"""kills before a job may finish"""


@dataclass
class Count:
    """Counts of one job."""

    kills: int = 0
    in_time: int = 0
    """kills that came before the job had ended"""
    rounds: int = 0
    lost: int = 0
    """finished parts that were missing or changed after a kill"""
    unequal: int = 0
    """results that differ from the undisturbed one"""
    failed: int = 0
    """rounds in which the last run of the job failed"""


COLUMNS = ("job", *(field.name.replace("_", " ") for field in fields(Count)))


def begin(job: str, folder: Path) -> BaseProcess:
    """Start the job in its own process, forked from a server that has imported everything."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.fire.preload"])
    process = context.Process(target=JOBS[job], args=(folder,))
    process.start()
    return process


def one_round(job: str, folder: Path, seconds: float, rng: random.Random, count: Count) -> None:
    """Kill the job several times, then let it finish."""
    before = kept(folder)
    for _ in range(KILLS_PER_ROUND):
        running = begin(job, folder)
        running.join(rng.uniform(0, seconds))
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
    """Repeat rounds until the number of kills or the time limit is reached."""
    end = time.monotonic() + (60 * minutes or 1e9)
    rng, count, seconds = random.Random(f"{job} {seed}"), Count(), 0.0
    prepare(job, scratch / "prepared")
    begin(job, shutil.copytree(scratch / "prepared", scratch / "first")).join()  # starts the server
    undisturbed = shutil.copytree(scratch / "prepared", scratch / "undisturbed")
    began = time.monotonic()
    running = begin(job, undisturbed)
    running.join()
    seconds, wanted = time.monotonic() - began, result(undisturbed)
    if running.exitcode or not wanted:
        raise SystemExit(f"{job} fails without being killed.")
    while count.kills < kills and time.monotonic() < end:
        folder = shutil.copytree(scratch / "prepared", scratch / str(count.rounds))
        one_round(job, folder, seconds, rng, count)
        count.rounds += 1
        count.unequal += result(folder) != wanted
        shutil.rmtree(folder)
    return count


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each job; return the number of faults."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=1000, help="total over all jobs")
    parser.add_argument("--jobs", default=",".join(JOBS))
    parser.add_argument("--minutes", type=float, default=0, help="limit for each job; 0: no limit")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    jobs, faults = options.jobs.split(","), 0
    heading("Kills", COLUMNS)
    for job in jobs:
        with tempfile.TemporaryDirectory() as scratch:
            kills = -(-options.kills // len(jobs))
            count = campaign(job, kills, options.minutes, options.seed, Path(scratch))
        faults += count.lost + count.unequal + count.failed
        row(job, *(getattr(count, field.name) for field in fields(count)))
    return faults


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
