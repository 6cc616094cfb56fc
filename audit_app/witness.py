"""What the guard and the handlers saw, written into the workspace's log."""

from __future__ import annotations

import logging
from typing import Protocol

from annotations.errors import AnnotationError
from audit_app.services import Services
from audit_app.session import canonical_name

log = logging.getLogger(__name__)

UNKNOWN_NAME = "(unknown name)"
ANY_NAME = "(any name)"
WRONG_PASSWORD = "wrong name or password"


class Witness(Protocol):
    """To whom the guard tells what happens; every method may block for a moment."""

    def log_head(self) -> int:
        """Number of the log's last row."""

    def sessions_ended(self, name: str) -> int:
        """Number of the row that ended this account's sessions last, 0 without one."""

    def signed_in(self, name: str, address: str) -> None:
        """Somebody signed in."""

    def sign_in_failed(self, name: str, address: str, reason: str) -> None:
        """Somebody tried to; the name is "" where it did not matter."""

    def signed_out(self, name: str, *, everywhere: bool) -> None:
        """Somebody signed out."""

    def session_ended(self, name: str, reason: str) -> None:
        """A session came to its end."""

    def refused(self, name: str, status: int, reason: str) -> None:
        """A request was refused."""

    def saw(self, name: str, *, through_link: bool) -> None:
        """Somebody who is signed in asked for something; must not block."""


class LogWitness:
    """Keeps what happens in the workspace's log.

    A log that cannot be written stops nobody from working: the program's own log says so.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def log_head(self) -> int:
        """Number of the log's last row."""
        return self._services.store.log.head()[0]

    def sessions_ended(self, name: str) -> int:
        """Number of the row that ended this account's sessions last, 0 without one."""
        return self._services.store.trail.sessions_ended(canonical_name(name))

    def signed_in(self, name: str, address: str) -> None:
        """Write down a sign-in."""
        self._write("sign in", name, name, {"address": address})

    def sign_in_failed(self, name: str, address: str, reason: str) -> None:
        """Write down a failed sign-in; a name that is no account's may be a password."""
        subject = (name if self._is_account(name) else UNKNOWN_NAME) if name else ANY_NAME
        details: dict[str, object] = {"address": address, "reason": reason}
        self._write_limited("sign in failed", "", subject, details)

    def signed_out(self, name: str, *, everywhere: bool) -> None:
        """Write down that somebody signed out, here or everywhere."""
        self._services.presence.left(name)
        self._write("signed out everywhere" if everywhere else "sign out", name, name, {})

    def session_ended(self, name: str, reason: str) -> None:
        """Write down the end of a session that its owner did not end."""
        self._write("session ended", name, name, {"reason": reason})

    def refused(self, name: str, status: int, reason: str) -> None:
        """Write down a refusal."""
        self._write_limited("refused", name, reason, {"status": status})

    def saw(self, name: str, *, through_link: bool) -> None:
        """Keep who is connected."""
        self._services.presence.saw(name, through_link=through_link)

    def _is_account(self, name: str) -> bool:
        try:
            return self._services.store.accounts.get(name) is not None
        except AnnotationError:
            return False

    def _write_limited(
        self, kind: str, actor: str, subject: str, details: dict[str, object]
    ) -> None:
        left_out = self._services.row_limit.admit((kind, actor, subject))
        if left_out is None:
            return
        more = {"left_out_before": left_out} if left_out else {}
        self._write(kind, actor, subject, {**details, **more})

    def _write(self, kind: str, actor: str, subject: str, details: dict[str, object]) -> None:
        try:
            self._services.store.log.add(kind, actor, subject, details)
        except AnnotationError as error:
            log.error("the log row '%s' could not be written: %s", kind, type(error).__name__)
