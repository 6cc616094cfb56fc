"""Text of users where Markdown is read."""

from __future__ import annotations

from html import unescape

import pytest

from audit_app.plain_text import plain


@pytest.mark.parametrize(
    "text",
    [
        "![x](/logout)",
        "[in](https://evil.example)",
        "<b>Mass</b>",
        "**a** _b_ `c` ~~d~~ $x$",
        "# a",
    ],
)
def test_no_sign_of_markdown_is_left_and_the_words_are_the_same(text: str) -> None:
    shown = plain(text)
    assert unescape(shown) == text
    assert not set(unescape_free(shown)) & set("![]()<>*_`~$")


def unescape_free(shown: str) -> str:
    """What is left without the entities."""
    return "".join(
        part.partition(";")[2] if at else part for at, part in enumerate(shown.split("&#"))
    )
