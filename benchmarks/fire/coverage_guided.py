"""Coverage-guided fuzzing: inputs that reach new code of neurflow are kept and damaged further.

Needs atheris (``pip install atheris``; Linux, Python 3.11 or newer). Faults are defined as in
``benchmarks.fire.fuzz``. The first fault ends the target; its input is written to the working folder.

    python -m benchmarks.fire.coverage_guided [--runs 20000] [--only "label files"] [--seed 1]
"""

from __future__ import annotations

import argparse
import random
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.fire.report import heading, row

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
"""initial inputs of a target"""
LONGEST = 100_000
"""largest size of an input, in bytes"""


def fuzz(name: str, scratch: Path, corpus: Path, runs: int, seed: int) -> None:
    """Fuzz one target in this process; the process ends with it."""
    import atheris

    with atheris.instrument_imports(include=["neurflow"]):
        from benchmarks.fire.inputs import TARGETS
    from benchmarks.fire.audit_hook import AuditHook
    from neurflow.errors import NeurFlowError

    make, use = TARGETS[name][1](scratch)
    rng = random.Random(seed)
    for number in range(SEEDS):
        (corpus / str(number)).write_bytes(make(rng))
    hook = AuditHook(str(scratch), "/dev/")

    def one(data: bytes) -> None:
        hook.enabled = True
        try:
            use(data)
        except NeurFlowError:
            pass
        finally:
            hook.enabled = False
        if hook.events:
            raise AssertionError(str(hook.events))

    options = [f"-runs={runs}", f"-seed={seed}", f"-max_len={LONGEST}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], one)
    atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    """Print a row for each target; return the number of targets with a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000, help="inputs of each target")
    parser.add_argument("--only", default=",".join(GUIDED))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.one:
        fuzz(options.only, Path(options.one[0]), Path(options.one[1]), options.runs, options.seed)
        return 0
    heading(
        "Coverage-guided fuzz", ("input", "tried", "edges at first", "edges at the end", "faults")
    )
    faulty = 0
    for name in options.only.split(","):
        with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as corpus:
            command = [sys.executable, "-m", "benchmarks.fire.coverage_guided", "--only", name]
            command += ["--runs", str(options.runs), "--seed", str(options.seed)]
            command += ["--one", scratch, corpus]
            ended = subprocess.run(command, capture_output=True, text=True, errors="replace")
        edges = re.findall(r"cov: (\d+)", ended.stderr) or ["0"]
        tried = re.findall(r"number_of_executed_units: (\d+)", ended.stderr) or ["0"]
        faulty += ended.returncode != 0
        row(name, int(tried[-1]), int(edges[0]), int(edges[-1]), int(ended.returncode != 0))
        if ended.returncode:
            print(ended.stderr[-3000:], file=sys.stderr)
    return faulty


if __name__ == "__main__":
    raise SystemExit(1 if main() else 0)
