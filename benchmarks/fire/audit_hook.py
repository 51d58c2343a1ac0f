"""An audit hook that records forbidden events.

Reading an input must not start a program, unpickle anything, open a connection, or change a file
outside of the scratch folder.
"""

from __future__ import annotations

import os
import sys
from typing import Any

FORBIDDEN = {
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
FILE_CHANGES = {
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
}
WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class AuditHook:
    """Counts forbidden events while it is ``enabled``. Use one per process.

    Args:
        writable: folders whose files may be changed.

    Attributes:
        events: description of a forbidden event → number of occurrences.
    """

    def __init__(self, *writable: str) -> None:
        self.enabled, self.events, self.writable = False, dict[str, int](), writable
        sys.addaudithook(self._handle)

    def _handle(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.enabled:
            return
        if event in FORBIDDEN:
            self._record(f"{event} {arguments[:2]!r:.100}")
        elif event == "open" and arguments[2] & WRITE_FLAGS and not self._allowed(arguments[0]):
            self._record(f"writes {arguments[0]!r:.100}")
        elif event in FILE_CHANGES and not self._allowed(arguments[0], arguments[-1]):
            self._record(f"{event} {arguments[0]!r:.100}")

    def _allowed(self, path: Any, folder: Any = None) -> bool:
        """Return whether a path, maybe relative to a descriptor ``folder``, is in a writable folder."""
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a descriptor, which was opened before
        begin = f"/proc/self/fd/{folder}" if isinstance(folder, int) and folder >= 0 else ""
        return os.path.realpath(os.path.join(begin, os.fsdecode(path))).startswith(self.writable)

    def _record(self, event: str) -> None:
        self.events[event] = self.events.get(event, 0) + 1
