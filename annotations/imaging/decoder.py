"""The decoding child: paths come in, radiographs go out, until the pipe is closed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging.files import load_radiograph
from annotations.imaging.wire import read_block, send_radiograph, send_reason, write_block


def main() -> None:
    """Serve one path after the other; the first argument is the memory limit in bytes."""
    output = os.fdopen(os.dup(1), "wb")
    # Decoders print; what they say must not get between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    Image.init()  # else the first file pays for it within its time limit
    _limit_memory(int(sys.argv[1]))
    write_block(output, b"ready")
    while True:
        try:
            path = read_block(sys.stdin.buffer)
        except EOFError:
            return
        _answer(Path(os.fsdecode(path)), output)


def _answer(path: Path, output: IO[bytes]) -> None:
    try:
        radiograph = load_radiograph(path)
    except UnreadableImage as error:
        send_reason(output, str(error))
    except FileNotFoundError:
        send_reason(output, "the file disappeared before it was read")
    except MemoryError:
        send_reason(output, "the file needs more memory than is allowed")
    else:
        send_radiograph(output, radiograph)


def _limit_memory(limit_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit; the time limit still holds
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    try:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    except (ValueError, OSError):  # macOS knows the limit, but may refuse to set it
        return


if __name__ == "__main__":
    main()
