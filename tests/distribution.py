"""Which tests run first, and how tests are distributed among processes."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

LONG = (
    "tests/sweeping/",
    "tests/attribution/test_streaming.py",
    "tests/model/test_graph.py",
    "tests/model/test_hooked.py",
    "tests/test_zoo.py",
    "tests/test_real.py",
    "tests/test_api.py",
    "tests/labels/test_validation.py",
    "tests/cli/test_report.py",
    "tests/pages/test_page.py",
    "tests/pages/test_circuit_view.py",
    "tests/demo/test_demo_pictures.py",
    "tests/method/test_discover.py",
    "tests/model/test_outputs.py",
)
"""files and folders of tests that take longest, first"""
TOGETHER = {
    "sweeping": ("tests/sweeping/",),
    "networks": (  # exported by ``tests.studies.family``
        "tests/attribution/test_integrated_gradients.py",
        "tests/attribution/test_streaming.py",
        "tests/model/test_graph.py",
        "tests/model/test_hooked.py",
        "tests/model/test_shapes.py",
        "tests/study/test_features.py",
    ),
}
"""files and folders of tests that share what takes seconds to make"""


class Files(LoadFileScheduling):
    """Like ``--dist loadfile``: all tests of a file, or of several files, run in one process."""

    def _split_scope(self, nodeid: str) -> str:
        shared = (name for name, files in TOGETHER.items() if nodeid.startswith(files))
        return next(shared, super()._split_scope(nodeid))
