"""Coverage-guided fuzz: inputs that reach new lines of neurflow are kept and damaged further.

Needs atheris (``pip install atheris``; Linux, Python 3.11 or newer). What counts as a fault is as in
``benchmarks.fire.fuzz``; the first one ends the target, and its input is written to the working folder.

    python -m benchmarks.fire.guided [--runs 20000] [--only "label files"] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.fire.told import heading, row

GUIDED = (
    "circuit files",
    "label files",
    "edit files",
    "robustness files",
    "files of interrupted work",
    "plans of sweeps",
    "uploads",
)
"""targets whose inputs are bytes"""
SEEDS = 40
"""inputs that a target begins with"""
LONGEST = 100_000
"""bytes of an input"""


def fuzz(name: str, scratch: Path, corpus: Path, runs: int, seed: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["neurflow"]):
        from benchmarks.fire.inputs import TARGETS
    from benchmarks.fire.watched import Watch
    from neurflow.errors import NeurFlowError

    make, use = TARGETS[name][1](scratch)
    chance = random.Random(seed)
    for number in range(SEEDS):
        (corpus / str(number)).write_bytes(make(chance))
    watch = Watch(str(scratch), "/dev/")

    def one(data: bytes) -> None:
        watch.on = True
        try:
            use(data)
        except NeurFlowError:
            pass
        finally:
            watch.on = False
        if watch.seen:
            raise AssertionError(str(watch.seen))

    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each target; the number of those with a fault."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--runs", type=int, default=20_000, help="of each target")
    asked.add_argument("--only", default=",".join(GUIDED))
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = asked.parse_args(arguments)
    if given.one:
        fuzz(given.only, Path(given.one[0]), Path(given.one[1]), given.runs, given.seed)
        return 0
    heading(
        "Coverage-guided fuzz", ("input", "tried", "edges at first", "edges at the end", "faults")
    )
    bad = 0
    for name in given.only.split(","):
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as corpus:
            command = [sys.executable, "-m", "benchmarks.fire.guided", "--only", name]
            command += [
                "--runs",
                str(given.runs),
                "--seed",
                str(given.seed),
                "--one",
                scratch,
                corpus,
            ]
            ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        edges = re.findall(r"cov: (\d+)", ended.stderr) or ["0"]
        tried = re.findall(r"number_of_executed_units: (\d+)", ended.stderr) or ["0"]
        bad += ended.returncode != 0
        row(name, int(tried[-1]), int(edges[0]), int(edges[-1]), int(ended.returncode != 0))
        if ended.returncode:
            print(ended.stderr[-3000:], file=sys.stderr)
    return bad


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
