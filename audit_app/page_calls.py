"""What a request of Gradio's own page is about: its event and the session hash that it names."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import parse_qs

from starlette.types import Scope

from audit_app.policy import JOIN_PATH

# Gradio keeps the state of so many pages for all accounts together ...
KEPT_PAGES = 200
# ... of which one account may fill a tenth, so that nobody pushes out the pages of the others.
PAGES_PER_ACCOUNT = 20


@dataclass(frozen=True, slots=True)
class PageCall:
    """The fields of a request that matter to the guard; ``None`` where there is none.

    Attributes:
        event: Id of the event that is to run.
        session_hash: Under which the page's state and answers are kept; the page made it up.
        event_id: Of an event that is already on its way.
        is_ambiguous: Whether it names several session hashes, of which Gradio may read another
            one than the guard, or none where Gradio would make one up.
    """

    event: int | None = None
    session_hash: str | None = None
    event_id: str | None = None
    is_ambiguous: bool = False


def call_in(scope: Scope, body: bytes) -> PageCall:
    """The call that a request makes, from its body, query or path."""
    content = _object(body) if body else {}
    query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
    _, is_heartbeat, in_path = scope["path"].partition("/heartbeat/")
    named = [_text(content.get("session_hash")), *query.get("session_hash", [])]
    named += [in_path] if is_heartbeat else []
    hashes = list(dict.fromkeys(one for one in named if one))
    makes_one_up = bool(content) and not hashes and scope["path"] == JOIN_PATH
    event = content.get("fn_index")
    return PageCall(
        event if isinstance(event, int) else None,
        hashes[0] if hashes else None,
        _text(content.get("event_id")),
        len(hashes) > 1 or makes_one_up,
    )


def _object(body: bytes) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


class SessionOwners:
    """Whose each session hash is: of the account that used it first.

    Gradio gives a page's state and answers to whoever names its hash. Each page that is opened or
    reloaded has a new one.
    """

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        self._of_user: dict[str, OrderedDict[str, None]] = {}

    def may_use(self, session_hash: str, name: str) -> bool:
        """Whether the hash is this account's; a new one is from now on."""
        owner = self._owner.setdefault(session_hash, name)
        if owner != name:
            return False
        mine = self._of_user.setdefault(name, OrderedDict())
        mine[session_hash] = None
        mine.move_to_end(session_hash)
        return True

    def push_out(self, name: str) -> list[str]:
        """The account's hashes beyond its share, used longest ago; they are nobody's now."""
        mine = self._of_user.get(name, OrderedDict())
        surplus = list(mine)[:-PAGES_PER_ACCOUNT]
        for session_hash in surplus:
            del mine[session_hash], self._owner[session_hash]
        return surplus
