"""Listen on a free port, serve with uvicorn, and end without a traceback."""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import socket

import uvicorn

from neurflow.errors import RequestError, WorkError
from neurflow.server.app import create_app
from neurflow.server.gallery import Gallery, create_gallery
from neurflow.server.guard import is_loopback
from neurflow.server.session import Session

PORT = 8750
"""first port tried when none is given"""
TRIED = 20
MOST_CONNECTIONS = 256
"""largest number of simultaneous connections; further ones get the status 503"""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Server:
    """A server that is bound to a port and not yet serving.

    Args:
        served: a circuit's session, or the gallery of a sweep.
        host: address or name to listen on; beyond loopback a token is always required.
        port: 0 for any free port, None for the first free one from ``PORT`` on.
        token: token that clients need; generated if one is needed and none is given.

    Raises:
        RequestError: the host or port is not available, or the token is too short.
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
        host = host.removeprefix("[").removesuffix("]")
        if token is not None and (len(token) < 8 or not token.isascii() or not token.isalnum()):
            raise RequestError("A token consists of at least 8 letters and digits.")
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
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )

    @property
    def url(self) -> str:
        """Address on this machine, with the token if there is one."""
        address = _address(self._socket)
        if not address.is_unspecified:
            return self._url(address)
        return self._url(ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1"))

    @property
    def url_elsewhere(self) -> str | None:
        """Address for other machines; None if they cannot reach it, or if no network is found."""
        address = _address(self._socket)
        if address.is_loopback:
            return None
        outward = _outward(self._socket.family) if address.is_unspecified else address
        return self._url(outward) if outward else None

    def _url(self, address: Address) -> str:
        name = f"[{address}]" if address.version == 6 else str(address)
        query = f"?token={self.token}" if self.token else ""
        return f"http://{name}:{self._socket.getsockname()[1]}/{query}"

    def serve(self) -> None:
        """Serve until Ctrl-C or :meth:`stop`."""
        try:
            self._server.run(sockets=[self._socket])
        except KeyboardInterrupt:
            pass  # the usual way to end the server
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Stop serving; may be called from another thread."""
        self._server.should_exit = True


def _address(bound: socket.socket) -> Address:
    return ipaddress.ip_address(bound.getsockname()[0])


def _outward(family: int) -> Address | None:
    """Return this machine's address as others see it. Connecting a datagram socket sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("2001:db8::1" if family == socket.AF_INET6 else "192.0.2.1", 9))
        except OSError:
            return None
        return _address(asking)


def _bound(host: str, port: int | None) -> socket.socket:
    family, address = _resolved(host)
    candidates = range(PORT, PORT + TRIED) if port is None else (port,)
    reason = ""
    for candidate in candidates:
        try:
            return socket.create_server(
                (address, candidate),
                family=family,
                dualstack_ipv6=address == "::" and socket.has_dualstack_ipv6(),
            )
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            if error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL):
                raise _no_address(host, "this machine has no such address") from None
    if port is None:
        raise WorkError(
            f"None of the ports {PORT} to {PORT + TRIED - 1} is free on {host}: {reason}. "
            "Give another: --port 9000"
        )
    raise RequestError(f"Cannot listen on {host}, port {port}: {reason}. Give another: --port 9000")


def _resolved(host: str) -> tuple[int, str]:
    """Return the family and address of a name or an address."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise _no_address(host, str(error.strerror)) from None
    except ValueError:  # no name at all, such as one with a NUL
        raise _no_address(host, "it is not a valid name") from None
    family, *_, place = found[0]
    return family, str(place[0])


def _no_address(host: str, reason: str) -> RequestError:
    return RequestError(
        f"Cannot listen on {host!r}: {reason}. Give an address of this machine, or all of them: "
        "--host 0.0.0.0"
    )
