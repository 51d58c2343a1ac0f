"""Distribution of the tests among processes."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

TOGETHER = ("tests/sweeping/",)
"""folders whose files share fixtures that take seconds"""


class Files(LoadFileScheduling):
    """Like ``--dist loadfile``: all tests of a file, or of some folders, run in one process."""

    def _split_scope(self, nodeid: str) -> str:
        folder = next((each for each in TOGETHER if nodeid.startswith(each)), None)
        return folder or super()._split_scope(nodeid)
