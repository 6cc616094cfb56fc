"""Model entries, as the catalogue writes them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from annotations.errors import StoreError, UnknownRecord
from annotations.store.connection import Connections
from annotations.store.encoding import canonical_json, load_object, now, plain


class Models:
    """Entries by name; their meaning belongs to the packages that use them."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def save(self, name: str, entry: Mapping[str, object]) -> None:
        """Keep the entry under this name, instead of an earlier one.

        Raises:
            StoreError: If the name is empty or the entry has no JSON form.
        """
        if not name.strip():
            raise StoreError("a model needs a name; it was empty")
        text = canonical_json(plain(entry, f"model entry '{name}'"))
        with self._connections.write() as connection:
            connection.execute(
                "INSERT INTO models VALUES (?, ?, ?) ON CONFLICT (name) "
                "DO UPDATE SET entry = excluded.entry, saved_at = excluded.saved_at",
                (name, text, now()),
            )

    def get(self, name: str) -> dict[str, object]:
        """The entry under this name.

        Raises:
            UnknownRecord: With the known names and the nearest one.
        """
        entries = self.all()
        if name in entries:
            return entries[name]
        if not entries:
            raise UnknownRecord(f"unknown model '{name}'; this workspace has no model yet: add one")
        close = difflib.get_close_matches(name, entries, n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise UnknownRecord(f"unknown model '{name}'; known: {', '.join(entries)}{hint}")

    def all(self) -> dict[str, dict[str, object]]:
        """Every entry, in the order in which they were first saved."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT name, entry FROM models ORDER BY rowid")
            return {row["name"]: load_object(row["entry"]) for row in rows}
