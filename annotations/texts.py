"""Text that is valid Unicode: file names may hold any bytes, and JSON half a character."""

from __future__ import annotations


def is_valid_text(text: str) -> bool:
    """Whether the text has a UTF-8 form, without which it can neither be stored nor sent."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def valid_text(text: str) -> str:
    """The text with what has no UTF-8 form written out as an escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
