"""What draws a report: this program, the libraries that it draws with, the machine."""

from __future__ import annotations

import hashlib
import platform
import zlib
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Final

import audit_app

LIBRARIES: Final = ("numpy", "matplotlib", "pillow", "fpdf2", "fonttools")


def drawn_by() -> dict[str, str]:
    """What decides the bytes of a report, beside its audit."""
    return {
        "program_sha256": _program_sha256(),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {platform.system()}",
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        **{name: metadata.version(name) for name in LIBRARIES},
    }


@cache
def _program_sha256() -> str:
    """Of all sources: the number of a version says nothing about a changed style or word."""
    root = Path(audit_app.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
