"""What every request passes first: who asks, from where, how often; and what every answer carries.

Without tokens the twin listens on loopback alone, and any program of the machine may ask. A browser
on that machine also runs pages of strangers. Such a page can send requests to loopback, and, where
the name of its own server is made to mean 127.0.0.1 (DNS rebinding), read the answers. So without
tokens only the names of loopback are answered (`Host`), and whatever a page of another origin sends
is refused (`Origin`, `Sec-Fetch-Site`). With tokens neither attack has anything to use: browsers
add none by themselves, for they are in no cookie.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from twin.core.errors import InputError
from twin.live.http.errors import HttpError, refused
from twin.live.http.patience import NO_PLACE
from twin.live.http.rates import RateLimit
from twin.live.http.refusals import RefusedTokens
from twin.live.http.tokens import ApiTokens, Role

_LOG: Final = logging.getLogger("twin.live.http")
_NO_SCRIPT: Final = "default-src 'none'; frame-ancestors 'none'"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": _NO_SCRIPT,
}
"""What an answer carries unless it says otherwise itself."""
PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""What is answered on spare connections too."""
_COME_AGAIN_S: Final = 5.0

Observe = Callable[[str, str, int, float], None]
"""Told path, method, status and seconds of each answer."""


class Gate:
    """ASGI middleware around the whole application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        roles: Mapping[str, Role | None],
        tokens: ApiTokens | None,
        refused: RefusedTokens,
        observe: Observe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the role that each path needs; None: it is open to all. Other paths need one."""
        self._app, self._roles, self._tokens, self._refused = app, roles, tokens, refused
        self._observe, self._clock = observe, clock
        self._rates = RateLimit()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            # No websockets here; the start and the end of the server pass.
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        answer = _Answer(send, last=bool(_no_place(scope)))
        begun = time.perf_counter()
        try:
            await self._answered(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - begun
            self._observe(scope["path"], scope["method"], answer.status, seconds)

    async def _answered(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        try:
            self._check(scope)
            await self._app(scope, receive, answer.send)
        except ClientDisconnect:
            # Nobody is there to be told.
            return
        except asyncio.CancelledError:
            # The server ends, and has waited for this answer as long as it waits.
            ends = HttpError.later(503, "the twin is being stopped", _COME_AGAIN_S)
            await answer.instead(ends.response(), scope, receive)
        except HttpError as error:
            await answer.instead(error.response(), scope, receive)
        except InputError as error:
            await answer.instead(refused(error), scope, receive)
        except Exception:
            # The client learns that it happened; what happened is for the log alone.
            _LOG.exception("%s %s failed", scope["method"], scope["path"][:200])
            failed = HttpError(500, "the twin failed to answer", suggestion="its log says why")
            await answer.instead(failed.response(), scope, receive)

    def _check(self, scope: Scope) -> None:
        """Raise HttpError where this may not be asked."""
        if (why := _no_place(scope)) and scope["path"] not in PROBES:
            raise HttpError.later(503, why, _COME_AGAIN_S)
        headers = Headers(scope=scope)
        if self._tokens is None:
            _check_host(headers)
        _check_origin(headers, scope)
        needed = self._roles.get(scope["path"], Role.READ)
        if needed is None:
            return
        name = "" if self._tokens is None else self._name(self._tokens, scope, needed)
        if name:
            scope["token_name"] = name
            wait = self._rates.wait_s(name, self._clock())
            if wait:
                raise HttpError.later(429, f"'{name}' asks too often", wait)

    def _name(self, tokens: ApiTokens, scope: Scope, needed: Role) -> str:
        """Return the name of the token that comes with a request."""
        presented = Headers(scope=scope).get("authorization", "")
        scheme, _, secret = presented.partition(" ")
        holder = tokens.holder(secret.strip()) if scheme.lower() == "bearer" else None
        # Neither the query nor a path that there is not: somebody may have put a token there.
        path = scope["path"] if scope["path"] in self._roles else "a path that there is not"
        peer = scope["client"][0] if scope.get("client") else "somewhere"
        if holder is None:
            if presented:
                self._refused.unknown(peer, path)
            else:
                self._refused.absent()
            challenge = {"WWW-Authenticate": 'Bearer realm="twin"'}
            remedy = "send 'Authorization: Bearer TOKEN'"
            raise HttpError(401, "needs a token that is known", "Authorization", remedy, challenge)
        if not holder.role.may(needed):
            self._refused.role(holder.name, peer, path)
            what = f"'{holder.name}' has the role {holder.role}, and this needs {needed}"
            raise HttpError(403, what, "Authorization")
        return holder.name


class _Answer:
    """What is sent, with the headers that every answer has; knows whether it has begun."""

    def __init__(self, send: Send, *, last: bool) -> None:
        """`last`: the connection is closed after it."""
        self._send, self._last = send, last
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if self._last:
                headers["Connection"] = "close"
        await self._send(message)

    async def instead(
        self, response: Callable[[Scope, Receive, Send], Awaitable[None]], scope: Scope,
        receive: Receive,
    ) -> None:  # fmt: skip
        """Send another answer, unless one has begun: then its end is missing, and that shows."""
        if not self.status:
            await response(scope, receive, self.send)


def _no_place(scope: Scope) -> str:
    """Return why a request came on a spare connection, or an empty text."""
    return str(scope.get("state", {}).get(NO_PLACE, ""))


def is_loopback(host: str) -> bool:
    """Return whether a name or an address means this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_host(headers: Headers) -> None:
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not is_loopback(_hostname(hosts[0])):
        remedy = "ask for localhost; for other names, start the twin with --tokens FILE"
        raise HttpError(421, "is not a name of this machine's loopback", "Host", remedy)


def _check_origin(headers: Headers, scope: Scope) -> None:
    """Raise HttpError for what a page of another origin sends, but for following a link."""
    origin = headers.get("origin")
    if origin is not None and _netloc(origin) != headers.get("host", "").lower():
        raise HttpError(403, "a page of another origin may not ask", "Origin")
    site = headers.get("sec-fetch-site", "none")
    follows_link = (
        headers.get("sec-fetch-mode") == "navigate"
        and scope["method"] == "GET"
        and scope["path"] == "/"
    )
    if site not in ("none", "same-origin") and not follows_link:
        raise HttpError(403, "a page of another origin may not ask", "Sec-Fetch-Site")


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
