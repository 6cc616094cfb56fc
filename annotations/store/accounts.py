"""Who may sign in. Passwords come hashed; this module never sees one."""

from __future__ import annotations

import re
import sqlite3
from typing import Final, get_args

from annotations.errors import StoreError, UnknownRecord
from annotations.records import Account, Role
from annotations.store.connection import Connections
from annotations.store.encoding import now

_NAME: Final = re.compile(r"[\w.@-]{1,64}")


class Accounts:
    """Accounts by name; names that differ only in case are refused."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, name: str, role: Role, password_hash: str) -> Account:
        """The new account.

        Raises:
            StoreError: If the name is taken or not valid, the role unknown or the hash empty.
        """
        _check_name(name)
        _check_role(role)
        _check_hash(password_hash)
        with self._connections.write() as connection:
            taken = connection.execute(
                "SELECT name FROM accounts WHERE lower(name) = lower(?)", (name,)
            ).fetchone()
            if taken is not None:
                raise StoreError(
                    f"the account '{taken['name']}' exists already; choose another name"
                )
            connection.execute(
                "INSERT INTO accounts VALUES (?, ?, ?, 0, ?)", (name, role, password_hash, now())
            )
            return _find(connection, name)

    def get(self, name: str) -> Account | None:
        """The account with exactly this name, disabled or not; None when there is none."""
        with self._connections.read() as connection:
            row = connection.execute("SELECT * FROM accounts WHERE name = ?", (name,)).fetchone()
            return None if row is None else _account(row)

    def all(self) -> list[Account]:
        """Every account in the order in which they came, the disabled ones too."""
        with self._connections.read() as connection:
            rows = connection.execute("SELECT * FROM accounts ORDER BY rowid")
            return [_account(row) for row in rows]

    def set_role(self, name: str, role: Role) -> Account:
        """The account with this role from now on.

        Raises:
            UnknownRecord: If there is no such account.
            StoreError: If the role is unknown.
        """
        _check_role(role)
        with self._connections.write() as connection:
            _find(connection, name)
            connection.execute("UPDATE accounts SET role = ? WHERE name = ?", (role, name))
            return _find(connection, name)

    def set_password_hash(self, name: str, password_hash: str) -> Account:
        """The account with another password.

        Raises:
            UnknownRecord: If there is no such account.
        """
        _check_hash(password_hash)
        with self._connections.write() as connection:
            _find(connection, name)
            connection.execute(
                "UPDATE accounts SET password_hash = ? WHERE name = ?", (password_hash, name)
            )
            return _find(connection, name)

    def disable(self, name: str) -> Account:
        """The account, which may not sign in any more; its readings stay.

        Raises:
            UnknownRecord: If there is no such account.
        """
        return self._set_disabled(name, True)

    def enable(self, name: str) -> Account:
        """The account, which may sign in again.

        Raises:
            UnknownRecord: If there is no such account.
        """
        return self._set_disabled(name, False)

    def _set_disabled(self, name: str, disabled: bool) -> Account:
        with self._connections.write() as connection:
            _find(connection, name)
            connection.execute(
                "UPDATE accounts SET disabled = ? WHERE name = ?", (int(disabled), name)
            )
            return _find(connection, name)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise StoreError(
            f"the account name {name!r} is not valid; expected 1 to 64 letters, digits, '.', '_', "
            "'@' or '-'"
        )


def _check_role(role: Role) -> None:
    if role not in get_args(Role):
        raise StoreError(f"unknown role '{role}'; known: {', '.join(get_args(Role))}")


def _check_hash(password_hash: str) -> None:
    if not password_hash:
        raise StoreError("an account needs the hash of a password; it was empty")


def _find(connection: sqlite3.Connection, name: str) -> Account:
    row = connection.execute("SELECT * FROM accounts WHERE name = ?", (name,)).fetchone()
    if row is None:
        known = [one[0] for one in connection.execute("SELECT name FROM accounts ORDER BY rowid")]
        raise UnknownRecord(f"unknown account '{name}'; known: {', '.join(known) or 'none'}")
    return _account(row)


def _account(row: sqlite3.Row) -> Account:
    return Account(
        name=row["name"],
        role=row["role"],
        password_hash=row["password_hash"],
        disabled=bool(row["disabled"]),
        created_at=row["created_at"],
    )
