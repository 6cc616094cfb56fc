"""Files of arrays that take the place of another one as a whole."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def replace_arrays(path: Path, **arrays: NDArray[Any]) -> None:
    """Write an ``.npz`` file; others see the old one or the new one, never a part."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type] # the stub takes **arrays for its own flag
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
