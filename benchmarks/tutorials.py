"""Run the tutorials, and measure how long each one takes.

    python -m benchmarks.tutorials [--only NAME] [--write]

Each tutorial runs in a new kernel and an empty folder, as in the build of the site. The processor time
includes the start of the kernel and all imports. With ``--write`` the table goes into
``docs/tutorials/index.md``.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.page import machine, publish, table

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"


def measure(file: Path) -> tuple[float, float]:
    """Run a tutorial; return its processor seconds and its wall time."""
    from myst_nb.core.read import read_myst_markdown_notebook
    from nbclient import NotebookClient

    notebook = read_myst_markdown_notebook(file.read_text(encoding="utf-8"))
    begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.perf_counter() - begun


def main() -> None:
    """Measure all tutorials, in the order of the table of contents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="tutorials whose name contains this")
    parser.add_argument("--write", action="store_true", help="put the table on the page")
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as in make docs
    index = (FOLDER / "index.md").read_text(encoding="utf-8").splitlines()
    files = [FOLDER / f"{line}.md" for line in index if (FOLDER / f"{line}.md").is_file()]
    rows = []
    for file in files:
        if options.only in file.stem:
            used, wall = measure(file)
            title = file.read_text(encoding="utf-8").partition("\n# ")[2].partition("\n")[0]
            rows.append([f"[{title}]({file.name})", f"{used:.0f}", f"{wall:.0f}"])
            print(*rows[-1], flush=True)
    head = ["tutorial", "processor seconds", "wall time, s"]
    text = f"{machine()}\n\n{table(head, rows)}"
    publish("tutorials", text, write=options.write, page=FOLDER / "index.md")


if __name__ == "__main__":
    main()
