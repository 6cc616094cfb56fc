"""What tabs, routes and jobs are given instead of globals."""

from __future__ import annotations

from dataclasses import dataclass, field

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.notices import Notices
from audit_app.presence import Presence
from audit_app.row_limit import RowLimit
from audit_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """One opened workspace and how it is served. Shared by all threads; holds no user's state.

    Attributes:
        workspace: The folder.
        store: What is kept in it.
        settings: How the app is served.
        presence: Who has the page open, and whether a share link is.
        row_limit: What keeps refused requests from filling the log.
        notices: What everybody who opens the page must be told.
    """

    workspace: Workspace
    store: Store
    settings: Settings
    presence: Presence = field(default_factory=Presence)
    row_limit: RowLimit = field(default_factory=RowLimit)
    notices: Notices = field(default_factory=Notices)
