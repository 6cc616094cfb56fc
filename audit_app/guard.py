"""The ASGI guard around the whole app: checks what Gradio does not, before Gradio sees it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit_app import policy as rules
from audit_app.caller import address_of
from audit_app.guarded_answer import Answer
from audit_app.page_calls import PageCall, SessionOwners, call_in
from audit_app.policy import Access, Policy
from audit_app.queue_share import TOO_MANY_WAIT, QueueShare
from audit_app.refusal import Refusal
from audit_app.request_body import Body, BodyTooLarge
from audit_app.session import (
    SignedIn,
    drop_page,
    end_session,
    hash_of_event,
    signed_in,
)
from audit_app.session_clock import SessionClock
from audit_app.session_endings import SessionEndings
from audit_app.sign_in import SignIn
from audit_app.sign_in_limits import SignInLimits
from audit_app.witness import Witness

log = logging.getLogger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST"})
# What a browser says that it asks for when a page shows it, against a person who follows a link.
EMBEDDED = frozenset(
    {"audio", "embed", "font", "frame", "iframe", "image", "object", "style", "track", "video"}
)
DROPPED_REQUEST_HEADERS = (b"forwarded", b"x-forwarded-", b"x-gradio-server", b"x-original-")


_WRONG_HOST: Final = Refusal(421, "this host is not served here")
_TOO_LARGE: Final = Refusal(413, "the request is too large")
_FAILED: Final = Refusal(500, "something went wrong; see the log")
_NOT_SIGNED_IN: Final = Refusal(401, "Not authenticated")
_NOT_YOURS: Final = Refusal(403, "this session hash belongs to another account")


class Guard:
    """Refuses foreign hosts and origins, hidden paths, large bodies, guessing and old sessions."""

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        *,
        limits: SignInLimits,
        clock: SessionClock | None = None,
        witness: Witness | None = None,
    ) -> None:
        self._app = app
        self._policy = policy
        settings = policy.settings
        self._clock = clock or SessionClock(settings.idle_s, settings.absolute_s)
        self._sign_in = SignIn(app, limits, self._clock, witness)
        self._witness = witness
        self._endings = SessionEndings(witness.sessions_ended) if witness else None
        self._owners = SessionOwners()
        self._queue_share = QueueShare()

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
        body = Body(receive, self._policy.max_body_of(scope["path"]))
        answer = Answer(scope["path"], origin or "", send)
        session = await self._current_session(scope)
        refusal = self._refusal(scope, headers, origin, session)
        if refusal is not None or origin is None:
            await self._refuse(refusal or _WRONG_HOST, scope, answer, session)
            return
        through_link = headers.get("host", "").lower() in self._policy.shared_origins
        if session is not None and self._witness is not None:
            self._witness.saw(session.name, through_link=through_link)
        address = address_of(scope, through_link=through_link)
        scope = _as_seen_by(origin, scope)
        try:
            if self._is_sign_in(scope):
                await self._sign_in.serve(scope, body, answer, address)
            else:
                await self._pass_on(scope, body, answer, session)
        except BodyTooLarge:
            await self._refuse(_TOO_LARGE, scope, answer, session)
        except ClientDisconnect:
            return
        except Exception as error:  # noqa: BLE001 - nothing below may show or print its values
            log.error("%s", where_it_failed(error))
            await _FAILED.response()(scope, receive, answer.unless_begun())

    def _is_sign_in(self, scope: Scope) -> bool:
        is_form = scope["method"] == "POST" and scope["path"] in rules.LOGIN_PATHS
        return is_form and self._policy.accounts

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
        if headers.get("sec-fetch-dest") in EMBEDDED and not rules.may_be_embedded(path):
            return Refusal(403, "this address is no part of a page")
        access = self._policy.access_to(path)
        if access is Access.NOBODY:
            return Refusal(404, "not found")
        if access is Access.SIGNED_IN and session is None:
            return _NOT_SIGNED_IN
        return _length_refusal(headers, self._policy.max_body_of(path))

    async def _refuse(
        self, refusal: Refusal, scope: Scope, answer: Answer, session: SignedIn | None
    ) -> None:
        """Answer with a refusal and write it down, but for what a forgotten page asks by itself."""
        if refusal is not _NOT_SIGNED_IN or not self._policy.is_unattended(scope["path"]):
            name = session.name if session else ""
            await self._tell(lambda w: w.refused(name, refusal.status, _reason_of(refusal)))
        await refusal.response()(scope, _nothing, answer.unless_begun())

    async def _tell(self, what: Callable[[Witness], None]) -> None:
        """Let the witness write something down; it may block, so not in this thread."""
        if self._witness is not None:
            await run_sync(what, self._witness)

    async def _current_session(self, scope: Scope) -> SignedIn | None:
        """The session of the request; one whose time has passed is ended here."""
        if not self._policy.accounts:
            return None
        session = signed_in(scope["app"], HTTPConnection(scope).cookies)
        if session is None:
            return None
        ended_at = await self._endings.last_row(session.name) if self._endings else 0
        reason = self._clock.why_over(session.token, ended_at)
        if reason is None:
            return session
        if end_session(scope["app"], session.token):
            name = session.name
            await self._tell(lambda w: w.session_ended(name, reason))
        self._clock.forget(session.token)
        return None

    async def _pass_on(
        self, scope: Scope, body: Body, send: Answer, session: SignedIn | None
    ) -> None:
        path = scope["path"]
        await body.read()
        call = call_in(scope, body.content) if path.startswith(rules.API) else PageCall()
        if session is not None:
            if not self._is_own(scope["app"], call, session):
                await self._refuse(_NOT_YOURS, scope, send, session)
                return
            for surplus in self._owners.push_out(session.name):
                drop_page(scope["app"], surplus)
            if self._policy.is_attended(path, call.event):
                self._clock.use(session.token)
        if session is not None and path == rules.JOIN_PATH:
            await self._join(scope, body, send, session)
        else:
            await self._app(scope, body, send)
        await self._afterwards(scope, send, session)

    async def _join(self, scope: Scope, body: Body, send: Answer, session: SignedIn) -> None:
        """Let an event into Gradio's queue, which is one for all accounts."""
        if self._queue_share.is_full(scope["app"], session.name):
            await self._refuse(TOO_MANY_WAIT, scope, send, session)
            return
        with self._queue_share.joining(session.name):
            await self._app(scope, body, send)

    def _is_own(self, app: Any, call: PageCall, session: SignedIn) -> bool:
        """Whether the session hash and the running event that a call names are this account's."""
        running_under = hash_of_event(app, call.event_id)
        if call.is_ambiguous:
            return False
        if call.session_hash is None:
            return running_under is None or self._owners.may_use(running_under, session.name)
        if not self._owners.may_use(call.session_hash, session.name):
            return False
        return running_under is None or running_under == call.session_hash

    async def _afterwards(self, scope: Scope, send: Answer, session: SignedIn | None) -> None:
        """Write down a sign-out, and what a route of our own refused."""
        if session is None:
            return
        name, path = session.name, scope["path"]
        if path == rules.LOGOUT_PATH:
            everywhere = is_everywhere(scope)
            # Gradio forgets the plain cookie's token only when all sessions end.
            end_session(scope["app"], session.token)
            self._clock.forget(session.token)
            await self._tell(lambda w: w.signed_out(name, everywhere=everywhere))
        elif send.status == 403 and path.startswith(rules.OWN_PREFIX):
            await self._tell(lambda w: w.refused(name, 403, "not allowed with this role"))


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


def is_everywhere(scope: Scope) -> bool:
    """Whether a sign-out ends all sessions of the account, as Gradio's does unless told not to."""
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    return (query.get("all_session") or ["true"])[0].lower() not in {"false", "0", "no", "off"}


def where_it_failed(error: BaseException) -> str:
    """Type and place of an error, without its message, which may hold patients' data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames[-4:]))
    return f"{type(error).__name__} at {place or 'an unknown place'}"


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def _reason_of(refusal: Refusal) -> str:
    """The refusal's sentence without what the client chose itself."""
    return "a method that is not used" if refusal.status == 405 else refusal.sentence


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
