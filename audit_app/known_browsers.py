"""Browsers in which somebody signed in before, so that a stranger at the same address is no harm.

Behind a proxy or a share link many people have one address, and who guesses there would make all
of them wait. A browser that once had the right password is told apart by a cookie (OWASP's "device
cookies"): it opens nothing, its wrong passwords are only counted by themselves.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

LASTS_S: Final = 180 * 24 * 3600
_PURPOSE: Final = "known browser"

Seal = Callable[..., str]


class KnownBrowsers:
    """Gives out such cookies, one per account and browser, and knows them again."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal

    def number_in(self, cookies: Mapping[str, str], name: str) -> str | None:
        """The number of this browser, ``None`` if the account never signed in there."""
        number, _, sealed = cookies.get(self._cookie_of(name), "").partition(".")
        # Anything else in it could make the comparison fail instead of answering no.
        if not re.fullmatch(r"[0-9a-f]{32}", number) or not sealed.isascii():
            return None
        is_ours = hmac.compare_digest(sealed, self._seal(_PURPOSE, name, number))
        return number if is_ours else None

    def cookie_for(self, name: str, *, is_https: bool) -> str:
        """The ``Set-Cookie`` header for a browser in which the account has just signed in."""
        number = secrets.token_hex(16)
        sealed = self._seal(_PURPOSE, name, number)
        secure = "; Secure" if is_https else ""
        return (
            f"{self._cookie_of(name)}={number}.{sealed}; HttpOnly; Max-Age={LASTS_S}; "
            f"Path=/login{secure}"
        )

    def _cookie_of(self, name: str) -> str:
        """The cookie's name, which does not tell the account's."""
        return f"known-{self._seal(_PURPOSE, name)[:16]}"
