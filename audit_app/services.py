"""What tabs, routes and jobs are given instead of globals."""

from __future__ import annotations

from dataclasses import dataclass

from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """One opened workspace and how it is served. Shared by all threads; holds no user's state."""

    workspace: Workspace
    store: Store
    settings: Settings
