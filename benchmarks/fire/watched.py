"""What an input must not do: start a program, unpickle, open a connection, change a file outside."""

from __future__ import annotations

import os
import sys
from typing import Any

NEVER = {
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.spawn",
    "os.fork",
    "pickle.find_class",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
    "webbrowser.open",
}
"""audit events of Python"""
CHANGES = {"os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Watch:
    """Collects forbidden events while it is ``on``; there is one for a process.

    Args:
        inside: folders whose files may be changed.
    """

    def __init__(self, *inside: str) -> None:
        self.on, self.seen, self.inside = False, dict[str, int](), inside
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event in NEVER:
            self._note(f"{event} {arguments[:2]!r:.100}")
        elif event == "open" and arguments[2] & WRITES and not self._is_inside(arguments[0]):
            self._note(f"writes {arguments[0]!r:.100}")
        elif event in CHANGES and not self._is_inside(arguments[0], arguments[-1]):
            self._note(f"{event} {arguments[0]!r:.100}")

    def _is_inside(self, path: Any, folder: Any = None) -> bool:
        """Whether a path is in one of the folders; ``folder`` may be the descriptor it starts from."""
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor, which was opened before
        begin = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else ""
        return os.path.realpath(os.path.join(begin, os.fsdecode(path))).startswith(self.inside)

    def _note(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1
