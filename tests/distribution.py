"""Distribution of the tests among processes."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

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
