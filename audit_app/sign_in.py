"""The door: how a password reaches Gradio's sign-in, and what is written down about it."""

from __future__ import annotations

from collections.abc import Callable

from anyio.to_thread import run_sync
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from audit_app.refusal import Refusal
from audit_app.request_body import Body
from audit_app.session import canonical_name, open_tokens
from audit_app.session_clock import SessionClock
from audit_app.sign_in_limits import WRONG_TOO_OFTEN, SignInLimits, Wait
from audit_app.witness import WRONG_PASSWORD, Witness


class SignIn:
    """Lets people in, no more at once than the computer can check, and makes guessers wait."""

    def __init__(
        self, app: ASGIApp, limits: SignInLimits, clock: SessionClock, witness: Witness | None
    ) -> None:
        self._app = app
        self._limits = limits
        self._clock = clock
        self._witness = witness

    async def serve(self, scope: Scope, body: Body, send: Send, address: str) -> None:
        """Answer one sign-in.

        Args:
            scope: The request.
            body: Its form, not yet read.
            send: Where the answer goes.
            address: The client's, as ``address_of`` gives it.
        """
        await body.read()
        name = canonical_name(await name_in_form(scope, body.replayed()))
        caller = self._limits.caller(name, address, HTTPConnection(scope).cookies)
        wait = self._limits.begin(name, caller)
        if wait is not None:
            await self._note_wait(wait, name, address)
            sentence = f"{wait.reason}; wait {wait.seconds:.0f} s"
            await Refusal(429, sentence, wait.seconds).response()(scope, body, send)
            return
        async with self._limits.turn(caller):
            held, row = await self._checked(scope, body)
        if held.status == 200:
            self._limits.succeeded(name, caller)
            self._clock.adopt(open_tokens(scope["app"]), since_row=row)
            if not caller.is_known:
                is_https = scope["scheme"] == "https"
                held.set_cookie(self._limits.browsers.cookie_for(name, is_https=is_https))
            await self._tell(lambda w: w.signed_in(name, address))
        else:
            await self._tell(lambda w: w.sign_in_failed(name, address, WRONG_PASSWORD))
        await held.release(send)

    async def _checked(self, scope: Scope, body: Body) -> tuple[_Held, int]:
        """Gradio's answer, and the log's last row before the password was checked.

        Whatever ends sessions after that row ends the new one, too.
        """
        held = _Held()
        row = await run_sync(self._witness.log_head) if self._witness else 0
        await self._app(scope, body, held)
        return held, row

    async def _note_wait(self, wait: Wait, name: str, address: str) -> None:
        # A crowd is nobody's: rows for each name that it tries would fill the log.
        whose = name if wait.reason == WRONG_TOO_OFTEN else ""
        await self._tell(lambda w: w.sign_in_failed(whose, address, wait.reason))

    async def _tell(self, what: Callable[[Witness], None]) -> None:
        """Let the witness write something down; it may block, so not in this thread."""
        if self._witness is not None:
            await run_sync(what, self._witness)


class _Held:
    """Keeps a short answer back until what it tells of is written down."""

    def __init__(self) -> None:
        self._messages: list[Message] = []

    @property
    def status(self) -> int | None:
        """The answer's status."""
        starts = (m["status"] for m in self._messages if m["type"] == "http.response.start")
        return next(starts, None)

    def set_cookie(self, cookie: str) -> None:
        """Add a cookie to the answer."""
        for message in self._messages:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]

    async def __call__(self, message: Message) -> None:
        """Keep one message."""
        self._messages.append(message)

    async def release(self, send: Send) -> None:
        """Send what was kept."""
        for message in self._messages:
            await send(message)


async def name_in_form(scope: Scope, receive: Receive) -> str:
    """The user name of a sign-in form, "" where there is none."""
    try:
        async with Request(scope, receive).form() as form:
            name = form.get("username")
    except (MultiPartException, ClientDisconnect):
        return ""
    return name.strip() if isinstance(name, str) else ""
