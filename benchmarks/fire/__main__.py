"""Run all robustness campaigns: kills, disturbances, fuzzing and load.

    python -m benchmarks.fire [--short]

The full length takes hours, ``--short`` a few minutes. Each part can be run alone, with its own counts:
``python -m benchmarks.fire.kills --help``.
"""

from __future__ import annotations

import argparse

from benchmarks.fire import disturbances, fuzz, kills, load

SHORT = {
    kills: ["--kills", "25"],
    disturbances: ["--times", "1", "--jobs", "label"],
    fuzz: ["--share", "0.001", "--seconds", "5"],
    load: ["--clients", "10", "--minutes", "0.2"],
}


def main() -> None:
    """Run all parts; exit with 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--short", action="store_true", help="run a small sample of each part")
    short = parser.parse_args().short
    faults = [part.main(arguments if short else []) for part, arguments in SHORT.items()]
    raise SystemExit(1 if any(faults) else 0)


if __name__ == "__main__":
    main()
