"""Who is asking: the visitor behind a Gradio event or a route, and what that visitor may do."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from annotations.records import Role
from audit_app.errors import AuditError

if TYPE_CHECKING:
    import gradio as gr

    from audit_app.services import Services

SIGN_IN = "you are not signed in (any more); reload the page and sign in"
# The guard of a page that was started with accounts lets no event through without a name.
RESTART = (
    "this workspace got accounts after the page was started; stop the page and start it again, "
    "then sign in"
)


def canonical_name(name: str) -> str:
    """A user name as it is stored and compared, whichever keyboard composed it."""
    return unicodedata.normalize("NFC", name)


class AccessRefused(AuditError):
    """Someone who is not signed in, or whose role does not allow this."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person behind one request."""

    name: str
    role: Role


LOCAL_READER = Visitor("local reader", "admin")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """One session as Gradio keeps it."""

    token: str
    name: str


def signed_in(app: Any, cookies: Mapping[str, str]) -> SignedIn | None:
    """The session that the cookies belong to, ``None`` without one.

    The only place that knows how Gradio keeps its sessions: ``app.tokens`` maps the value of
    the cookie ``access-token-<id>`` (or ``access-token-unsecure-<id>``) to the user's name.
    """
    for prefix in ("access-token", "access-token-unsecure"):
        token = cookies.get(f"{prefix}-{app.cookie_id}")
        if token:
            name = app.tokens.get(token)
            # Gradio keeps it as it was typed: one account can have several spellings.
            return None if name is None else SignedIn(token, canonical_name(name))
    return None


def end_session(app: Any, token: str) -> bool:
    """Make a session's cookie worthless; whether it was worth something."""
    return app.tokens.pop(token, None) is not None


def open_tokens(app: Any) -> frozenset[str]:
    """The tokens of all sessions."""
    return frozenset(app.tokens)


def drop_page(app: Any, session_hash: str) -> None:
    """Forget the state of a page; if it is open yet, it goes on with a new one."""
    with app.state_holder.lock:
        app.state_holder.session_data.pop(session_hash, None)
        app.state_holder.time_last_used.pop(session_hash, None)


def hash_of_event(app: Any, event_id: str | None) -> str | None:
    """The session hash under which an event waits or runs, ``None`` when it does neither."""
    if event_id is None:
        return None
    event = app.get_blocks()._queue.event_ids_to_events.get(event_id)
    return None if event is None else str(event.session_hash)


def count_waiting(app: Any, name: str) -> int:
    """How many of this account's events wait in Gradio's queue."""
    queues = app.get_blocks()._queue.event_queue_per_concurrency_id.values()
    waiting = (event.username for queue in queues for event in queue.queue)
    return sum(canonical_name(username or "") == name for username in waiting)


def visitor_of_event(services: Services, request: gr.Request | None) -> Visitor:
    """Who caused a Gradio event.

    Raises:
        AccessRefused: If the workspace has accounts and nobody is signed in with a usable one.
    """
    if request is None:
        raise AccessRefused("this can only be done from the page")
    return _visitor(services, request.username)


def visitor_of_route(services: Services, request: Request) -> Visitor | None:
    """Who asks for a route of our own; ``None`` if that is nobody (answer 401)."""
    session = signed_in(request.app, request.cookies)
    try:
        return _visitor(services, session.name if session else None)
    except AccessRefused:
        return None


def require(visitor: Visitor, *roles: Role) -> Visitor:
    """The visitor again, if one of the roles is theirs; an admin may do everything.

    Raises:
        AccessRefused: If the visitor has another role.
    """
    if roles and visitor.role != "admin" and visitor.role not in roles:
        needed = " or ".join(dict.fromkeys((*roles, "admin")))
        raise AccessRefused(
            f"your role is {visitor.role}; this needs {needed}; ask an admin of this workspace"
        )
    return visitor


def _visitor(services: Services, name: str | None) -> Visitor:
    """The account's visitor, read from the store each time: a disabled account ends at once."""
    if not services.store.accounts.all():
        return LOCAL_READER
    if name is None:
        raise AccessRefused(RESTART)
    account = services.store.accounts.get(canonical_name(name))
    if account is None or account.disabled:
        raise AccessRefused(SIGN_IN)
    return Visitor(account.name, account.role)
