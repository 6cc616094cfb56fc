"""The ASGI guard around the whole app: checks what Gradio does not, before Gradio sees it."""

from __future__ import annotations

import json
import logging
import re
import traceback
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit_app import policy as rules
from audit_app.login_backoff import LoginBackoff
from audit_app.policy import Access, Policy
from audit_app.session import SignedIn, end_session, open_tokens, signed_in
from audit_app.session_clock import SessionClock

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST"})
DROPPED_REQUEST_HEADERS = (b"forwarded", b"x-forwarded-", b"x-gradio-server", b"x-original-")
SESSION_COOKIE = b"access-token-"
UNSECURE_SESSION_COOKIE = b"access-token-unsecure-"


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that the guard gives itself."""

    status: int
    sentence: str

    def response(self) -> Response:
        """The refusal as JSON, in the form in which the page expects errors."""
        return JSONResponse({"detail": self.sentence}, self.status)


_WRONG_HOST = Refusal(421, "this host is not served here")
_TOO_LARGE = Refusal(413, "the request is too large")
_FAILED = Refusal(500, "something went wrong; see the log")


class BodyTooLarge(Exception):
    """More bytes arrived than the path may take."""


class Guard:
    """Refuses foreign hosts and origins, hidden paths, large bodies, guessing and old sessions."""

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        *,
        clock: SessionClock | None = None,
        backoff: LoginBackoff | None = None,
    ) -> None:
        self._app = app
        self._policy = policy
        settings = policy.settings
        self._clock = clock or SessionClock(settings.idle_s, settings.absolute_s)
        self._backoff = backoff or LoginBackoff()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] != "http":
            await self._app(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        origin = self._policy.origin_of(scope, headers.get("host", ""))
        body = _Body(receive, self._policy.max_body_of(scope["path"]))
        answer = _Answer(scope["path"], origin or "", send, body)
        session = self._current_session(scope)
        refusal = self._refusal(scope, headers, origin, session)
        if refusal is not None or origin is None:
            await (refusal or _WRONG_HOST).response()(scope, receive, answer)
            return
        scope = _as_seen_by(origin, scope)
        try:
            await self._pass_on(scope, body, answer, session)
        except BodyTooLarge:
            await _TOO_LARGE.response()(scope, receive, answer.unless_begun())
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - nothing below may show or print its values
            log.error("%s", where_it_failed(error))
            await _FAILED.response()(scope, receive, answer.unless_begun())

    def _refusal(
        self, scope: Scope, headers: Headers, origin: str | None, session: SignedIn | None
    ) -> Refusal | None:
        path, method = scope["path"], scope["method"]
        if origin is None:
            return _WRONG_HOST
        if method not in METHODS:
            return Refusal(405, f"method {method} is not used here")
        if is_foreign(headers, origin, is_page_view=method != "POST" and path == "/"):
            return Refusal(403, "requests from other sites are refused")
        access = self._policy.access_to(path)
        if access is Access.NOBODY:
            return Refusal(404, "not found")
        if access is Access.SIGNED_IN and session is None:
            return Refusal(401, "Not authenticated")
        return _length_refusal(headers, self._policy.max_body_of(path))

    def _current_session(self, scope: Scope) -> SignedIn | None:
        """The session of the request; one whose time has passed is ended here."""
        if not self._policy.accounts:
            return None
        session = signed_in(scope["app"], HTTPConnection(scope).cookies)
        if session is not None and self._clock.is_over(session.token):
            end_session(scope["app"], session.token)
            self._clock.forget(session.token)
            return None
        return session

    async def _pass_on(
        self, scope: Scope, body: _Body, send: _Answer, session: SignedIn | None
    ) -> None:
        path, is_post = scope["path"], scope["method"] == "POST"
        if is_post and path in rules.LOGIN_PATHS and self._policy.accounts:
            await self._sign_in(scope, body, send)
            return
        if is_post and path not in rules.UPLOAD_PATHS:
            await body.read()
        if session is not None and self._is_attended(path, body):
            self._clock.use(session.token)
        await self._app(scope, body, send)

    def _is_attended(self, path: str, body: _Body) -> bool:
        """Whether a person caused the request, and not the page by itself (a timer, a stream)."""
        if path in rules.EVENT_PATHS:
            return event_of(body.content) not in self._policy.unattended_events
        return path not in rules.UNATTENDED_PATHS and not path.startswith(rules.UNATTENDED_PREFIXES)

    async def _sign_in(self, scope: Scope, body: _Body, send: _Answer) -> None:
        await body.read()
        name, address = await name_in_form(scope, body.replayed()), self._address(scope)
        wait_s = self._backoff.begin(name, address)
        if wait_s > 0:
            response = Refusal(429, f"too many attempts; wait {wait_s:.0f} s").response()
            response.headers["Retry-After"] = str(int(wait_s) + 1)
            await response(scope, body, send)
            return
        await self._app(scope, body, send)
        if send.status == 200:
            self._backoff.succeeded(name, address)
            self._clock.adopt(open_tokens(scope["app"]))

    def _address(self, scope: Scope) -> str:
        """The client's address; forwarded ones count only behind an open share link.

        uvicorn believes X-Forwarded-For from loopback and then gives port 0; without a link
        nobody but a local program can have written that header.
        """
        address, port = scope.get("client") or ("unknown", None)
        return address if port or self._policy.shared_origins else "127.0.0.1"


class _Body:
    """The request's body with an upper limit; it can be read ahead and is then given again."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._n_bytes = 0
        self._ahead: list[Message] = []

    @property
    def is_too_large(self) -> bool:
        """Whether more has arrived than allowed."""
        return self._n_bytes > self._limit

    @property
    def content(self) -> bytes:
        """What was read ahead."""
        return b"".join(message.get("body", b"") for message in self._ahead)

    async def read(self) -> None:
        """Read the whole body ahead.

        Raises:
            BodyTooLarge: If it is longer than allowed.
            ClientDisconnect: If the client went away.
        """
        while True:
            message = await self._next()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            self._ahead.append(message)
            if not message.get("more_body", False):
                return

    def replayed(self) -> Receive:
        """Another receiver of what was read ahead."""
        messages = iter(list(self._ahead))

        async def receive() -> Message:
            return next(messages, {"type": "http.disconnect"})

        return receive

    async def __call__(self) -> Message:
        """The next message of the request."""
        return self._ahead.pop(0) if self._ahead else await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._n_bytes += len(message.get("body", b""))
        if self.is_too_large:
            raise BodyTooLarge
        return message


class _Answer:
    """The sending side: adds the headers, makes cookies strict, remembers the status."""

    def __init__(self, path: str, origin: str, send: Send, body: _Body) -> None:
        self._path = path
        self._origin = origin
        self._send = send
        self._body = body
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send one message of the response.

        Raises:
            BodyTooLarge: Instead of whatever the app made of a body that was cut off.
        """
        if self.status is None and self._body.is_too_large:
            raise BodyTooLarge
        await self._send_on(message)

    async def _send_on(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._rewritten(message.get("headers", ()))}
        await self._send(message)

    def unless_begun(self) -> Send:
        """A sender for an answer of the guard itself, silent if the response has begun already."""
        has_begun = self.status is not None

        async def send(message: Message) -> None:
            if not has_begun:
                await self._send_on(message)

        return send

    def _rewritten(self, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        kept = []
        for given_name, value in given:
            name = given_name.lower()
            if name == b"set-cookie":
                kept += [(name, cookie) for cookie in self._cookies(value)]
            elif not name.startswith(b"access-control-"):
                kept.append((name, value))
        headers = MutableHeaders(raw=kept)
        for key, text in rules.SECURITY_HEADERS.items():
            headers[key] = text
        if not self._path.startswith(rules.STATIC_PREFIXES):
            headers["Cache-Control"] = "no-store"
        return headers.raw

    def _cookies(self, cookie: bytes) -> list[bytes]:
        """The one of Gradio's two session cookies that fits the connection; deletions both."""
        is_session = cookie.startswith(SESSION_COOKIE)
        is_deletion = b"max-age=0" in cookie.lower()
        is_unsecure = cookie.startswith(UNSECURE_SESSION_COOKIE)
        if is_session and not is_deletion and is_unsecure is self._origin.startswith("https:"):
            return []
        return [re.sub(rb";\s*samesite=[^;]*", b"", cookie, flags=re.I) + b"; SameSite=Strict"]


def is_foreign(headers: Headers, origin: str, *, is_page_view: bool) -> bool:
    """Whether another site's page caused the request.

    Args:
        headers: The request's headers.
        origin: Scheme, host and port of this page.
        is_page_view: Whether the request only opens the page; a link elsewhere may do that.
    """
    given = headers.get("origin")
    if given is not None and given.lower() != _normal(origin):
        return True
    if headers.get("sec-fetch-site", "none") in {"same-origin", "none"}:
        return False
    is_navigation = headers.get("sec-fetch-mode") == "navigate"
    return not (is_page_view and is_navigation and headers.get("sec-fetch-dest") == "document")


def event_of(body: bytes) -> int | None:
    """The id of the Gradio event in a body; ``None`` where there is none."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    event = content.get("fn_index") if isinstance(content, dict) else None
    return event if isinstance(event, int) else None


async def name_in_form(scope: Scope, receive: Receive) -> str:
    """The user name of a sign-in form, "" where there is none."""
    try:
        async with Request(scope, receive).form() as form:
            name = form.get("username")
    except (MultiPartException, ClientDisconnect):
        return ""
    return name.strip() if isinstance(name, str) else ""


def where_it_failed(error: BaseException) -> str:
    """Type and place of an error, without its message, which may hold patients' data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{type(error).__name__} at {place or 'an unknown place'}"


def _as_seen_by(origin: str, scope: Scope) -> Scope:
    """The request without forwarding headers, under the scheme that the browser used."""
    scheme = urlsplit(origin).scheme
    headers = [
        (name, value)
        for name, value in scope["headers"]
        if not name.lower().startswith(DROPPED_REQUEST_HEADERS)
    ]
    headers.append((b"x-forwarded-proto", scheme.encode()))
    return {**scope, "headers": headers, "scheme": scheme}


def _length_refusal(headers: Headers, limit: int) -> Refusal | None:
    length = headers.get("content-length", "0")
    if not length.isdecimal():
        return Refusal(400, "the content length is not a number")
    return _TOO_LARGE if int(length) > limit else None


def _normal(origin: str) -> str:
    """An origin as browsers write it: without the default port."""
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")
