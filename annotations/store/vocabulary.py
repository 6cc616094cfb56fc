"""The findings of the workspace: those of its settings, and those that imports brought along."""

from __future__ import annotations

from collections.abc import Sequence

from annotations.errors import StoreError
from annotations.findings import normalise_term, resolve_finding
from annotations.store.connection import Connections


class Vocabulary:
    """Which findings may be marked."""

    def __init__(self, connections: Connections, findings: Sequence[str]) -> None:
        self._connections = connections
        self._settled = tuple(findings)

    def findings(self) -> tuple[str, ...]:
        """The findings of the settings, then the added ones in the order in which they came."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT name FROM extra_findings ORDER BY position")
            extra = [row[0] for row in rows]
        return self._settled + tuple(name for name in extra if name not in self._settled)

    def add(self, name: str) -> str:
        """The finding under this name, added when there was none (case and spaces do not matter).

        Raises:
            StoreError: If the name is empty.
        """
        clean = " ".join(name.split())
        if not normalise_term(clean):
            raise StoreError(f"the finding {name!r} has no name; give at least one letter")
        known = resolve_finding(clean, self.findings())
        if known is not None:
            return known
        with self._connections.write() as connection:
            # Asked again inside the transaction: another process may have added it.
            known = resolve_finding(clean, self.findings())
            if known is None:
                connection.execute("INSERT INTO extra_findings (name) VALUES (?)", (clean,))
        return known or clean
