"""Access control: the checks before every request, and the headers of every answer.

The server can read pictures and change labels, and any page that a browser has open can send it
requests. The checks, in this order:

1. *Host*: the requested name must be one of the server's own. A foreign name that resolves to this
   machine (DNS rebinding) is refused.
2. *Origin*: a request must come from the server's own page, or from no page at all (an address that
   was typed, a command line). This applies to reading too, since most answers are computed. Only paths
   that cost nothing, such as the live explorer's empty page, may be opened by a link of another page.
3. *Token*, if there is one: in a cookie, as ``Authorization: Bearer``, or once as ``?token=``. The
   last is answered with the cookie and a redirect without the token. Compared in constant time.
4. *Size*: a body over the limit is refused before it is read, or as soon as it exceeds the limit. Only
   uploads may be large; all others are a few names and numbers.

Browsers state the origin of a reading request in ``Sec-Fetch-Site``, which they send to this machine
and over HTTPS. A server on another address has a token, and browsers do not send the cookie with
requests of other sites.

This is a plain ASGI middleware, so the routes still notice a client that disconnects.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import socket
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from neurflow.server.uploads import MOST_BYTES

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
READING = frozenset({"GET", "HEAD", "OPTIONS"})
USUAL_BYTES = 2 * 2**20
"""bytes of a body that is no upload"""


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach a server bound to ``host``."""
    address = _address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def own_names(host: str) -> Callable[[str], bool]:
    """Return a predicate for the names by which a server bound to ``host`` may be called.

    On loopback these are the usual three. Elsewhere also the machine's name and any plain address,
    because rebinding needs a name that the attacker owns.
    """
    own, bound = LOOPBACK | {host.lower()}, _address(host)

    def known(name: str) -> bool:
        address = _address(name)
        if name in own or (address is not None and address == bound):
            return True
        if is_loopback(host):
            return False
        return address is not None or name == socket.gethostname().lower()

    return known


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


class Guard:
    """The middleware.

    Args:
        app: application to guard.
        host: host that the server is bound to.
        token: token that clients need, or None.
        policy: content security policy of every answer that has none of its own.
        open_paths: paths that other pages may link to, as answering them computes nothing.
        large_paths: paths that take bodies of up to ``MOST_BYTES``; others take ``USUAL_BYTES``.
    """

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        token: str | None,
        policy: str,
        open_paths: frozenset[str] = frozenset(),
        large_paths: frozenset[str] = frozenset(),
    ) -> None:
        self.app, self.token, self.policy = app, token, policy
        self.open_paths, self.large_paths = open_paths, large_paths
        self._known = own_names(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no web sockets here: the server closes the connection
        headers = Headers(scope=scope)

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                found = MutableHeaders(scope=message)
                found.setdefault("content-security-policy", self.policy)
                for name, value in HEADERS.items():
                    found[name] = value
            await send(message)

        if problem := self._refusal(scope, headers):
            await _answer(answer, *problem)
            return
        cookie = f"neurflow-{_port(headers)}"
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if self.token and scope["method"] == "GET" and self._is_token(given):
            await _answer(answer, 303, "", location=_without_token(scope), cookie=(cookie, given))
            return
        if self.token and not self._has_token(headers, cookie):
            await _answer(
                answer, 401, "A token is needed. Open the address that neurflow explore printed."
            )
            return
        await self.app(scope, _bounded(receive, self._most(scope)), answer)

    def _most(self, scope: Scope) -> int:
        """Return the largest number of bytes of the body of a request."""
        return MOST_BYTES if scope["path"] in self.large_paths else USUAL_BYTES

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Return status and reason if host, origin or size are wrong."""
        host = headers.get("host", "")
        if not self._known(_name(host)):
            return 421, "This server is not known by that name. Use the address that it printed."
        is_open = scope["method"] in READING and scope["path"] in self.open_paths
        if not is_open and _is_foreign(headers, host):
            return (
                403,
                "Requests from other pages are refused. Open the address of this server itself.",
            )
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return 400, "The length of the request is not a number."
        most = self._most(scope)
        return (413, _too_large(most)) if int(length) > most else None

    def _is_token(self, given: str) -> bool:
        return secrets.compare_digest(given.encode(), (self.token or "").encode())

    def _has_token(self, headers: Headers, cookie: str) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(cookie)
        except CookieError:
            return False
        return found is not None and self._is_token(found.value)


def _is_foreign(headers: Headers, host: str) -> bool:
    """Return whether the request comes from a page of another server."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    return site not in ("same-origin", "none") or (
        origin is not None and _netloc(origin) != host.lower()
    )


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return the name in a Host header without port and brackets; empty if it is invalid."""
    if set(host) & set("@/?#\\"):
        return ""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _port(headers: Headers) -> str:
    """Return the port, for the name of the cookie: browsers send cookies to all ports of a host."""
    _, _, port = headers.get("host", "").rpartition("]")[2].partition(":")
    return port if port.isdecimal() else "80"


def _without_token(scope: Scope) -> str:
    values = parse_qs(scope["query_string"].decode("latin-1"))
    rest = urlencode({name: found for name, found in values.items() if name != "token"}, doseq=True)
    # one slash: an address that begins with two would lead to another server
    path = "/" + str(scope["path"]).lstrip("/\\")
    return f"{path}?{rest}" if rest else path


def _too_large(most: int) -> str:
    return f"The request is too large: over {most // 2**20} MiB."


def _bounded(receive: Receive, most: int) -> Receive:
    """Wrap ``receive`` to refuse a body that exceeds the limit."""
    seen = 0

    async def received() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise HTTPException(413, _too_large(most))
        return message

    return received


async def _answer(
    send: Send,
    status: int,
    error: str,
    location: str | None = None,
    cookie: tuple[str, str] | None = None,
) -> None:
    body = json.dumps({"error": error}).encode() if error else b""
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if location:
        headers.append((b"location", location.encode("latin-1", "ignore")))
    if cookie:
        name, value = cookie
        rule = f"{name}={value}; HttpOnly; SameSite=Strict; Path=/"
        headers.append((b"set-cookie", rule.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
