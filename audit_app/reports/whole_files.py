"""Files of reports that appear whole or not at all, also when the disk is full."""

from __future__ import annotations

from pathlib import Path

from annotations.exports.exporter import unfinished_file


def write_whole(path: Path, content: str | bytes) -> None:
    """Write the file, text as UTF-8; what was there before stays until it is complete."""
    with unfinished_file(path) as unfinished:
        unfinished.write_bytes(content.encode() if isinstance(content, str) else content)
