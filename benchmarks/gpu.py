"""Run all GPU tests and benchmarks within ten minutes (``make gpu``).

1. The tests in ``tests/gpu``.
2. Forward passes of plain networks, in crops per second.
3. Integrated gradients of a neuron, compared with captum.
4. Whole discoveries, stage by stage, with their memory.
5. The same circuit on the CPU and on the GPU, in float32 and in TF32.
6. Speed by the number of pairs and of values that are processed at once.

Each part has a time limit, and prints its results so far when the limit is reached. If a part fails,
the error is printed and the next part begins. The output is Markdown for ``docs/performance.md`` and
``docs/scale.md``. Weights and pictures are taken from the folder ``--real`` (or
``NEURFLOW_REAL_DATA``). Networks without weights there get random ones; without pictures, noise is
used.

    python -m benchmarks.gpu [--real FOLDER] [--minutes 9.5] [--only PART,PART] [--smoke]

``--smoke`` runs everything on a CPU, with as little work as possible.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from benchmarks.gpu_bench import FAILED, Bench, part
from benchmarks.gpu_circuits import WHOLE, discoveries, same_circuit, whole
from benchmarks.gpu_speed import at_once, attributions, forward_passes
from benchmarks.page import machine


def gpu_tests(bench: Bench) -> None:
    """Run ``tests/gpu``, which needs only pytest and the installed packages."""
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, "--rootdir", ".", "--noconftest"]
    command += ["-p", "no:cacheprovider", "--import-mode=importlib", "-q", "-rs", "tests/gpu"]
    environment = {**os.environ, "NEURFLOW_TEST_DEVICE": bench.device}
    done = subprocess.run(command, env=environment, timeout=bench.limit(150), check=False)
    if done.returncode:
        raise RuntimeError(f"the tests ended with exit code {done.returncode}")


PARTS: dict[str, Callable[[Bench], None]] = {
    "tests": gpu_tests,
    "forward": forward_passes,
    "discovery": discoveries,
    "attribution": attributions,
    "at-once": at_once,
    "same": same_circuit,
}


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    given = os.environ.get("NEURFLOW_REAL_DATA")
    parser.add_argument("--real", type=Path, default=Path(given) if given else None)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=9.5)
    parser.add_argument(
        "--only",
        default="",
        help=f"parts, separated by commas: {', '.join(PARTS)}, or discoveries: {', '.join(WHOLE)}",
    )
    parser.add_argument("--smoke", action="store_true", help="do as little as possible, on the CPU")
    options = parser.parse_args()
    device = "cpu" if options.smoke else options.device
    if device.startswith("cuda") and not torch.cuda.is_available():
        parser.error("PyTorch finds no GPU here; use --smoke to try everything on the CPU")
    bench = Bench(device, options.real, options.smoke, time.monotonic() + 60 * options.minutes)
    print(f"{machine(device)} Python {platform.python_version()}, real data: {options.real}")
    for name in options.only.split(",") if options.only else PARTS:
        with part(name):
            PARTS[name](bench) if name in PARTS else whole(bench, name)
    print("failed: " + (", ".join(FAILED) or "none"))
    sys.exit(bool(FAILED))


if __name__ == "__main__":
    main()
