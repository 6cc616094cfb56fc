"""How the accounts of a database that is replaced differ from those of the one that replaces it."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotations.store.backup import open_read_only

if TYPE_CHECKING:
    from annotations.store import Store

REASON: Final = "disabled in the replaced database"


@dataclass(frozen=True, slots=True)
class _Known:
    role: str
    password_hash: str
    disabled: bool


def account_changes(replaced: Path, restored: Path) -> tuple[str, ...] | None:
    """A sentence for each account that differs; None when the replaced ones cannot be read."""
    before, after = _accounts(replaced), _accounts(restored)
    if before is None or after is None:
        return None
    return tuple(
        f"{name} {difference}"
        for name in sorted(before.keys() | after.keys())
        for difference in _differences(before.get(name), after.get(name))
    )


def keep_disabled(store: Store, replaced: Path, actor: str) -> None:
    """Disable the accounts that the replaced database has disabled: a backup may be older.

    Does nothing where that cannot be read.
    """
    before = _accounts(replaced) or {}
    for account in store.accounts.all():
        known = before.get(account.name)
        if known is not None and known.disabled and not account.disabled:
            store.accounts.disable(account.name)
            store.log.add("account disabled", actor, account.name, {"reason": REASON})


def _accounts(database: Path) -> dict[str, _Known] | None:
    """The accounts by name; None when the file is gone or too damaged."""
    if not database.is_file():
        return None
    try:
        with contextlib.closing(open_read_only(database)) as connection:
            rows = connection.execute("SELECT name, role, password_hash, disabled FROM accounts")
            return {
                row["name"]: _Known(row["role"], row["password_hash"], bool(row["disabled"]))
                for row in rows
            }
    except sqlite3.Error:
        return None


def _differences(before: _Known | None, after: _Known | None) -> Iterator[str]:
    if before is None:
        yield "is there again"
    elif after is None:
        yield "was made after the backup and is gone"
    else:
        if before.disabled:
            yield from () if after.disabled else ("was disabled after the backup and stays so",)
        elif after.disabled:
            yield "was enabled after the backup and is disabled again"
        if before.role != after.role:
            yield f"was {before.role} and is {after.role} again"
        if before.password_hash != after.password_hash:
            yield "has the older password again"
