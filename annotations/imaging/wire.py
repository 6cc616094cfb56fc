"""What travels between the decoding child and its parent: JSON and raw bytes, no pickle."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Identity, LookupTable, Radiograph, Window
from annotations.imaging.raster import MAX_PIXELS
from annotations.imaging.sampling import Sampling

HEADER: Final = struct.Struct("<Q")
# A child that a file took over must not fill the parent's memory.
MAX_BYTES: Final = 2 * MAX_PIXELS
ARRAYS: Final = ("pixels", "voi_luts")


def write_block(pipe: IO[bytes], content: bytes | memoryview) -> None:
    """Send these bytes with their length before them."""
    pipe.write(HEADER.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def read_block(pipe: IO[bytes]) -> bytes:
    """The next bytes that ``write_block`` sent.

    Raises:
        EOFError: If the other side ended, or sends nonsense.
    """
    (length,) = HEADER.unpack(_exactly(pipe, HEADER.size))
    if length > MAX_BYTES:
        raise EOFError
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise EOFError
    return content


@dataclass(frozen=True, slots=True)
class Question:
    """What the child is asked: a file's radiograph, or its picture on a grid.

    Attributes:
        path: As the system spells it, also where it is no text.
        sampling: None: the radiograph.
        sha256: That the file must have when it is sampled; "" for any.
    """

    path: Path
    sampling: Sampling | None = None
    sha256: str = ""


def send_question(pipe: IO[bytes], question: Question) -> None:
    """Ask the child."""
    sampling = question.sampling
    facts = {
        "path": str(question.path),
        "sampling": None if sampling is None else sampling.to_dict(),
        "sha256": question.sha256,
    }
    # JSON escapes what in a path is no text, and gives the same back.
    write_block(pipe, json.dumps(facts).encode())


def receive_question(pipe: IO[bytes]) -> Question:
    """The parent's question.

    Raises:
        EOFError: If there will be none.
    """
    facts = json.loads(read_block(pipe))
    sampling = None if facts["sampling"] is None else Sampling.from_dict(facts["sampling"])
    return Question(Path(facts["path"]), sampling, facts["sha256"])


def send_grid(pipe: IO[bytes], grid: NDArray[np.uint8]) -> None:
    """Send a picture on a grid, (h, w)."""
    write_block(pipe, json.dumps({"shape": grid.shape}).encode())
    write_block(pipe, np.ascontiguousarray(grid).reshape(-1).data)


def receive_grid(pipe: IO[bytes]) -> NDArray[np.uint8]:
    """The picture on a grid that the other side sends.

    Raises:
        UnreadableImage: With the reason that it sends instead.
        EOFError: If it ended, or sends nonsense.
    """
    try:
        facts = json.loads(read_block(pipe))
        if "reason" in facts:
            raise UnreadableImage(str(facts["reason"]))
        return np.frombuffer(read_block(pipe), dtype=np.uint8).reshape(facts["shape"])
    except (ValueError, LookupError, TypeError):
        raise EOFError from None


def send_reason(pipe: IO[bytes], reason: str) -> None:
    """Say why there is no radiograph."""
    write_block(pipe, json.dumps({"reason": reason}).encode())


def send_radiograph(pipe: IO[bytes], radiograph: Radiograph) -> None:
    """Send a radiograph: its small fields as JSON, then pixels and tables as they are."""
    small = replace(radiograph, pixels=np.zeros((1, 1), np.uint8), voi_luts=())
    tables = radiograph.voi_luts
    facts = {
        "dtype": radiograph.pixels.dtype.str,
        "shape": radiograph.size,
        "tables": [{"first": one.first, "bits": one.bits, "name": one.name} for one in tables],
        "fields": {name: value for name, value in asdict(small).items() if name not in ARRAYS},
    }
    write_block(pipe, json.dumps(facts).encode())
    for array in (radiograph.pixels, *(one.values for one in tables)):
        write_block(pipe, np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)


def receive_radiograph(pipe: IO[bytes]) -> Radiograph:
    """The radiograph that the other side sends.

    Raises:
        UnreadableImage: With the reason that it sends instead.
        EOFError: If it ended, or sends nonsense.
    """
    try:
        facts = json.loads(read_block(pipe))
        if "reason" in facts:
            raise UnreadableImage(str(facts["reason"]))
        pixels = np.frombuffer(read_block(pipe), dtype=facts["dtype"]).reshape(facts["shape"])
        tables = tuple(
            LookupTable(
                one["first"],
                np.frombuffer(read_block(pipe), dtype=np.uint16),
                one["bits"],
                one["name"],
            )
            for one in facts["tables"]
        )
        return Radiograph(pixels=pixels, voi_luts=tables, **_fields(facts["fields"]))
    except (ValueError, LookupError, TypeError):
        raise EOFError from None


def _fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    """JSON's lists and objects as the tuples and records that they were."""
    return {
        **fields,
        "windows": tuple(Window(**one) for one in fields["windows"]),
        "identity": Identity(**fields["identity"]),
        "spacing_mm": tuple(fields["spacing_mm"]) if fields["spacing_mm"] else None,
        "flags": tuple(fields["flags"]),
    }
