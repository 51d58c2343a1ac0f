"""Listening: a socket on a free port, uvicorn on it, an end without a traceback."""

from __future__ import annotations

import secrets
import socket

import uvicorn

from neurflow.errors import RequestError, WorkError
from neurflow.explorer.app import create_app
from neurflow.explorer.gallery import Gallery, create_gallery
from neurflow.explorer.guard import is_loopback
from neurflow.explorer.session import Session

PORT = 8750
"""the first that is tried where none is asked for"""
TRIED = 20


class Server:
    """A server, bound and not yet serving.

    Args:
        served: a circuit's session, or the gallery of a sweep.
        host: to listen on; beyond loopback there is always a token.
        port: 0 for any free one, None for the first free one from ``PORT`` on.
        token: to be asked for; made up where one is needed and none is given.

    Raises:
        RequestError: the host or port cannot be had, or the token is too short to protect anything.
        WorkError: the front end was not built.
    """

    def __init__(
        self,
        served: Session | Gallery,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        token: str | None = None,
    ) -> None:
        if token is not None and (len(token) < 8 or not token.isascii() or not token.isalnum()):
            raise RequestError("A token has 8 letters and digits or more, and nothing else.")
        if token is None and not is_loopback(host):
            token = secrets.token_hex(24)
        self.token, self.host = token, host
        app = (
            create_gallery(served, host=host, token=token)
            if isinstance(served, Gallery)
            else create_app(served, host=host, token=token)
        )
        self._socket = _bound(host, port)
        self._server = uvicorn.Server(
            uvicorn.Config(
                app,
                log_level="warning",
                access_log=False,
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def url(self) -> str:
        """Where to open it, with the token if there is one."""
        host, port = self._socket.getsockname()[:2]
        if host in ("0.0.0.0", "::"):  # all of this machine's addresses: one of them
            host = "127.0.0.1"
        name = f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/" + (f"?token={self.token}" if self.token else "")

    def serve(self) -> None:
        """Serve until it is stopped, by Ctrl-C or :meth:`stop`."""
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            pass  # the way to end it
        finally:
            self._socket.close()

    def stop(self) -> None:
        """End serving, from another thread."""
        self._server.should_exit = True


def _bound(host: str, port: int | None) -> socket.socket:
    candidates = range(PORT, PORT + TRIED) if port is None else (port,)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reason: OSError | None = None
    for candidate in candidates:
        found = socket.socket(family)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((host, candidate))
            found.listen()
            return found
        except OSError as error:
            found.close()
            reason = error
    asked = f"port {port}" if port is not None else f"ports {PORT} to {PORT + TRIED - 1}"
    if port is None:
        raise WorkError(f"None of {asked} is free on {host}: {reason}. Give another: --port 9000")
    raise RequestError(f"Cannot listen on {host}, {asked}: {reason}. Give another: --port 9000")
