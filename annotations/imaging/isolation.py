"""Decoding in a child process with limits: a file that crashes or blocks a decoder harms nobody."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
from dataclasses import asdict, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Final, Self

import numpy as np

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Identity, LookupTable, Radiograph, Window

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent.parent
TIME_LIMIT_S: Final = 30.0
MEMORY_LIMIT_BYTES: Final = 4 * 1024**3
HEADER: Final = struct.Struct("<Q")
ARRAYS: Final = ("pixels", "voi_luts")


class IsolatedLoader:
    """Decodes files one after the other in a child process of its own; a context manager.

    Args:
        time_limit_s: For one file.
        memory_limit_bytes: Address space of the child, where the system can limit it.
    """

    def __init__(
        self,
        *,
        time_limit_s: float = TIME_LIMIT_S,
        memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    ) -> None:
        self._time_limit_s = time_limit_s
        self._memory_limit_bytes = memory_limit_bytes
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    pipe.close()

    def load(self, path: Path) -> Radiograph:
        """The radiograph in this file.

        Raises:
            FileNotFoundError: If there is no such file.
            UnreadableImage: With the reason; also when decoding took too long, needed too much
                memory or ended the child.
        """
        if not path.exists():
            raise FileNotFoundError(str(path))
        child = self._running_child()
        overdue = threading.Event()
        timer = threading.Timer(self._time_limit_s, _kill, (child, overdue))
        timer.start()
        try:
            return _ask(child, path)
        except (EOFError, BrokenPipeError, OSError):
            self.close()
            reason = (
                f"took longer than {self._time_limit_s:g} s"
                if overdue.is_set()
                else "ended the decoder (damaged, or more memory than is allowed)"
            )
            raise UnreadableImage(f"decoding the file {reason}") from None
        finally:
            timer.cancel()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self.close()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "annotations.imaging.isolation", str(self._memory_limit_bytes)],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        return self._child


def _kill(child: subprocess.Popen[bytes], overdue: threading.Event) -> None:
    overdue.set()
    child.kill()


def _ask(child: subprocess.Popen[bytes], path: Path) -> Radiograph:
    """Send one path, take one radiograph or one reason."""
    if child.stdin is None or child.stdout is None:
        raise EOFError
    _write(child.stdin, str(path.resolve()).encode("utf-8", "surrogateescape"))
    facts = json.loads(_read(child.stdout))
    if "reason" in facts:
        raise UnreadableImage(facts["reason"])
    pixels = np.frombuffer(_read(child.stdout), dtype=facts["dtype"]).reshape(facts["shape"])
    tables = tuple(
        LookupTable(
            one["first"],
            np.frombuffer(_read(child.stdout), dtype=np.uint16),
            one["bits"],
            one["name"],
        )
        for one in facts["tables"]
    )
    fields = facts["fields"]
    return Radiograph(
        pixels=pixels,
        voi_luts=tables,
        **{
            **fields,
            "windows": tuple(Window(**one) for one in fields["windows"]),
            "identity": Identity(**fields["identity"]),
            "spacing_mm": tuple(fields["spacing_mm"]) if fields["spacing_mm"] else None,
            "flags": tuple(fields["flags"]),
        },
    )


def _answer(path: Path, output: IO[bytes]) -> None:
    """In the child: decode one file and send it, or the reason why not."""
    from annotations.imaging.files import load_radiograph

    try:
        radiograph = load_radiograph(path)
    except UnreadableImage as error:
        _write(output, json.dumps({"reason": str(error)}).encode())
        return
    except MemoryError:
        reason = "the file needs more memory than is allowed"
        _write(output, json.dumps({"reason": reason}).encode())
        return
    small = replace(radiograph, pixels=np.zeros((1, 1), np.uint8), voi_luts=())
    fields: dict[str, Any] = {k: v for k, v in asdict(small).items() if k not in ARRAYS}
    facts = {
        "dtype": radiograph.pixels.dtype.str,
        "shape": radiograph.size,
        "tables": [
            {"first": one.first, "bits": one.bits, "name": one.name} for one in radiograph.voi_luts
        ],
        "fields": fields,
    }
    _write(output, json.dumps(facts).encode())
    _write(output, np.ascontiguousarray(radiograph.pixels).tobytes())
    for table in radiograph.voi_luts:
        _write(output, np.ascontiguousarray(table.values).tobytes())


def _write(pipe: IO[bytes], content: bytes) -> None:
    pipe.write(HEADER.pack(len(content)))
    pipe.write(content)
    pipe.flush()


def _read(pipe: IO[bytes]) -> bytes:
    (length,) = HEADER.unpack(_exactly(pipe, HEADER.size))
    return _exactly(pipe, length)


def _exactly(pipe: IO[bytes], length: int) -> bytes:
    content = pipe.read(length)
    if len(content) != length:
        raise EOFError
    return content


def _limit_memory(limit_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit still holds
        return
    resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


def main() -> None:
    """The child: paths come in, radiographs go out, until the pipe is closed."""
    _limit_memory(int(sys.argv[1]))
    output = os.fdopen(os.dup(1), "wb")
    # Decoders print; what they say must not get between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    while True:
        try:
            path = _read(sys.stdin.buffer)
        except EOFError:
            return
        _answer(Path(path.decode("utf-8", "surrogateescape")), output)


if __name__ == "__main__":
    main()
