"""The sending side of a guarded request: security headers, strict cookies, the status."""

from __future__ import annotations

import re

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from audit_app import policy as rules

SESSION_COOKIE = b"access-token-"
UNSECURE_SESSION_COOKIE = b"access-token-unsecure-"


class Answer:
    """The sending side: adds the headers, makes cookies strict, remembers the status."""

    def __init__(self, path: str, origin: str, send: Send) -> None:
        self._path = path
        self._origin = origin
        self._send = send
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send one message of the response."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._rewritten(message.get("headers", ()))}
        await self._send(message)

    def unless_begun(self) -> Send:
        """A sender for an answer of the guard itself, silent if the response has begun already."""
        has_begun = self.status is not None

        async def send(message: Message) -> None:
            if not has_begun:
                await self(message)

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
