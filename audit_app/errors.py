"""The errors of this package; each message is a sentence that may be shown to the user."""

from __future__ import annotations


class AuditError(Exception):
    """Anything that the product refuses."""
