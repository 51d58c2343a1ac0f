"""Everything under fire: kills, disturbances, fuzz, load.

    python -m benchmarks.fire [--short]

The full length takes hours, ``--short`` a few minutes. Each part can be run alone, with its own counts:
``python -m benchmarks.fire.kills --help``.
"""

from __future__ import annotations

import argparse

from benchmarks.fire import disturbed, fuzz, kills, load

SHORT = {
    kills: ["--kills", "25"],
    disturbed: ["--times", "1", "--jobs", "label"],
    fuzz: ["--share", "0.001", "--seconds", "5"],
    load: ["--clients", "10", "--minutes", "0.2"],
}


def main() -> None:
    """Run all parts; 1 if anything went wrong."""
    asked = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    asked.add_argument("--short", action="store_true", help="a small sample of everything")
    short = asked.parse_args().short
    bad = [part.main(arguments if short else []) for part, arguments in SHORT.items()]
    raise SystemExit(1 if any(bad) else 0)


if __name__ == "__main__":
    main()
