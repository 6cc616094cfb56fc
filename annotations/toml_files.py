"""Settings files that somebody else may have written: read with limits."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Final

from annotations.errors import WorkspaceError

MAX_BYTES: Final = 1 << 20
MAX_LINE: Final = 20_000  # the reader's time grows with the square of a dotted key's length


def read_toml(file: Path) -> dict[str, Any]:
    """What a TOML file says.

    Raises:
        WorkspaceError: If it cannot be read, is too large or nested too deep, or is no TOML.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES or max(map(len, content.split(b"\n"))) > MAX_LINE:
            raise WorkspaceError(
                f"{file} is larger than settings can be ({MAX_BYTES} bytes, {MAX_LINE} a line); "
                "mend it by hand"
            )
        return tomllib.loads(content.decode("utf-8"))
    except RecursionError:
        raise WorkspaceError(f"{file} is nested too deep; mend it by hand") from None
    except OSError as error:
        raise WorkspaceError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:  # no UTF-8, no TOML, a number of too many digits
        raise WorkspaceError(f"{file} cannot be read as TOML ({error}); mend it by hand") from error
