"""Text of users where Gradio reads Markdown: shown as it was typed."""

from __future__ import annotations

from typing import Final

# As entities they are letters to Markdown, to its HTML and to its formulas.
SIGNS: Final = frozenset("\\`*_{}[]()<>#+!|~$&\"'")


def plain(text: str) -> str:
    """The text for a ``gr.Markdown``: no picture, link, emphasis or element comes of it.

    A name such as ``![x](/logout)`` would else make each reader's browser ask for that address.
    """
    return "".join(f"&#{ord(sign)};" if sign in SIGNS else sign for sign in text)
