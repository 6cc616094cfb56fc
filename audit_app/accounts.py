"""Accounts with argon2id password hashes, and the check that Gradio calls when someone signs in."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path

import argon2
from anyio.to_thread import run_sync
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from annotations.records import Account, Role
from annotations.store import Store
from audit_app.errors import AuditError
from audit_app.session import canonical_name

ROLES: tuple[Role, ...] = ("reader", "auditor", "admin")
MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 256

Verify = Callable[[str, str], Awaitable[bool]]


class InvalidAccount(AuditError):
    """A role or password that no account may have."""


@cache
def password_hasher() -> argon2.PasswordHasher:
    """The argon2id hasher with RFC 9106's second recommended set (64 MiB, 3 passes, 4 lanes)."""
    return argon2.PasswordHasher.from_parameters(argon2.profiles.RFC_9106_LOW_MEMORY)


def add_account(store: Store, name: str, role: str, password: str) -> Account:
    """The new account.

    Raises:
        InvalidAccount: If the role is unknown or the password too short or too long.
        StoreError: If the name is taken or not valid.
    """
    return store.accounts.add(canonical_name(name), _known_role(role), hash_password(password))


def set_role(store: Store, name: str, role: str) -> Account:
    """The account with another role, which counts at once.

    Raises:
        UnknownRecord: If there is no such account.
        InvalidAccount: If the role is unknown.
    """
    return store.accounts.set_role(canonical_name(name), _known_role(role))


def find_account(store: Store, name: str) -> Account:
    """The account.

    Raises:
        InvalidAccount: If there is none.
    """
    account = store.accounts.get(canonical_name(name))
    if account is None:
        known = ", ".join(one.name for one in store.accounts.all()) or "none"
        raise InvalidAccount(f"unknown account '{name}'; known: {known}")
    return account


def set_password(store: Store, name: str, password: str) -> Account:
    """The account with another password.

    Raises:
        UnknownRecord: If there is no such account.
        InvalidAccount: If the password is not acceptable.
    """
    return store.accounts.set_password_hash(canonical_name(name), hash_password(password))


def password_from_file(path: Path) -> str:
    """The password on the first line of a text file.

    Raises:
        InvalidAccount: If the file cannot be read as text, or its first line is empty.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidAccount(f"the password file {path} cannot be read: {reason}") from None
    if not lines or not lines[0]:
        raise InvalidAccount(f"the first line of {path} is empty; write the password there")
    return lines[0]


def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its parameters and salt, as one string.

    Raises:
        InvalidAccount: If the password is shorter than 10 or longer than 256 characters.
    """
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise InvalidAccount(
            f"the password has {len(password)} characters; give {MIN_PASSWORD_LENGTH} to "
            f"{MAX_PASSWORD_LENGTH}"
        )
    return password_hasher().hash(_canonical(password))


def build_verify(store: Store) -> Verify:
    """The coroutine function that Gradio awaits at sign-in.

    It hashes in a thread, so that nobody else's page waits, and does the same work for an
    unknown name as for a known one, so that the time does not tell which names exist. How many
    may hash at once is up to the guard, see ``sign_in_limits``.
    """
    nobody = Account("", "reader", password_hasher().hash("nobody signs in with this"), True, "")

    def is_right(name: str, password: str) -> bool:
        account = store.accounts.get(name) or nobody
        matches = _matches(account.password_hash, password)
        if not matches or account.disabled:
            return False
        if password_hasher().check_needs_rehash(account.password_hash):
            store.accounts.set_password_hash(
                account.name, password_hasher().hash(_canonical(password))
            )
        return True

    async def verify(name: str, password: str) -> bool:
        return await run_sync(is_right, canonical_name(name), password)

    return verify


def _known_role(role: str) -> Role:
    known_role = next((known for known in ROLES if known == role), None)
    if known_role is None:
        raise InvalidAccount(f"unknown role {role!r}; known: {', '.join(ROLES)}")
    return known_role


def _matches(password_hash: str, password: str) -> bool:
    try:
        return password_hasher().verify(password_hash, _canonical(password))
    except (VerifyMismatchError, InvalidHashError):
        return False


def _canonical(password: str) -> str:
    """The same characters whichever keyboard composed them."""
    return unicodedata.normalize("NFC", password[: MAX_PASSWORD_LENGTH + 1])
