"""One reading beside models' maps: what the Compare tab shows, and to whom."""

from __future__ import annotations

from audit_app.comparison.rights import Case, describe_reading, open_reading, readable_cases
from audit_app.comparison.selection import MODES, Look, Selection, Side
from audit_app.comparison.views import View, view

__all__ = [
    "MODES",
    "Case",
    "Look",
    "Selection",
    "Side",
    "View",
    "describe_reading",
    "open_reading",
    "readable_cases",
    "view",
]
