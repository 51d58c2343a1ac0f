"""Kills: a job is killed at random moments, and repeated until it ends by itself.

1. The job runs once undisturbed: its time and its result.
2. In another folder it is begun and killed (``SIGKILL``, its whole group of processes) at a moment
   drawn evenly from that time; this is repeated ``A_ROUND`` times, then it may end.
3. After each kill: what was finished before is there, unchanged and readable. At the end: the result is
   that of the undisturbed run, to the byte.

    python -m benchmarks.fire.kills [--kills 1000] [--jobs discover,sweep] [--seed 0]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.fire.jobs import JOBS, kept

A_ROUND = 5
"""kills before a job may end"""


@dataclass
class Count:
    """What happened to one job."""

    kills: int = 0
    too_late: int = 0
    """kills that came when the job had ended"""
    rounds: int = 0
    lost: int = 0
    """finished parts that were gone or changed after a kill"""
    unequal: int = 0
    """results that differ from the undisturbed one"""
    failed: int = 0
    """repetitions that did not end well by themselves"""


def begin(job: str, folder: Path) -> subprocess.Popen[bytes]:
    """The job in a process, and a group of processes, of its own."""
    command = [sys.executable, "-m", "benchmarks.fire.jobs", job, str(folder)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, start_new_session=True)


def one_round(job: str, folder: Path, seconds: float, chance: random.Random, count: Count) -> None:
    """Kill the job some times, then let it end."""
    before = kept(folder)
    for _ in range(A_ROUND):
        running = begin(job, folder)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.wait(chance.uniform(0, seconds))
            count.too_late += 1
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        count.kills += 1
        now = kept(folder)
        circuits = [name for name in before if ":" not in name]
        count.lost += sum(now.get(name) != before[name] for name in circuits)
        before = now
    running = begin(job, folder)
    _, told = running.communicate()
    if running.returncode:
        count.failed += 1
        print(told.decode(errors="replace")[-2000:], file=sys.stderr)


def campaign(job: str, kills: int, seed: int, scratch: Path) -> Count:
    """Rounds until the job was killed so often."""
    chance, count = random.Random(f"{job} {seed}"), Count()
    began = time.monotonic()
    running = begin(job, scratch / job / "undisturbed")
    told = running.communicate()[1]
    seconds, wanted = time.monotonic() - began, kept(scratch / job / "undisturbed")
    if running.returncode or not wanted:
        raise SystemExit(f"{job} fails undisturbed: {told.decode(errors='replace')[-2000:]}")
    while count.kills < kills:
        folder = scratch / job / str(count.rounds)
        one_round(job, folder, seconds, chance, count)
        count.rounds += 1
        count.unequal += kept(folder) != wanted
    return count


def main() -> None:
    """Print a row for each job."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--kills", type=int, default=1000, help="of all jobs together")
    asked.add_argument("--jobs", default=",".join(JOBS))
    asked.add_argument("--seed", type=int, default=0)
    given = asked.parse_args()
    jobs = given.jobs.split(",")
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, {os.cpu_count()} processors")
    print("| job | kills | too late | rounds | lost | unequal | failed |\n| --- |" + " ---: |" * 6)
    bad = 0
    for job in jobs:
        with tempfile.TemporaryDirectory() as scratch:
            count = campaign(job, -(-given.kills // len(jobs)), given.seed, Path(scratch))
        bad += count.lost + count.unequal + count.failed
        row = (count.kills, count.too_late, count.rounds, count.lost, count.unequal, count.failed)
        print(f"| {job} | " + " | ".join(map(str, row)) + " |", flush=True)
    raise SystemExit(1 if bad else 0)


if __name__ == "__main__":
    main()
