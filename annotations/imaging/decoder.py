"""The decoding child: questions come in, radiographs or grids go out, until the pipe is closed."""

from __future__ import annotations

import os
import sys
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging.files import load_radiograph
from annotations.imaging.radiograph import Radiograph
from annotations.imaging.sampling import sample_file
from annotations.imaging.wire import (
    Question,
    receive_question,
    send_grid,
    send_radiograph,
    send_reason,
    write_block,
)


def main() -> None:
    """Answer one question after the other; the first argument is the memory limit in bytes."""
    output = os.fdopen(os.dup(1), "wb")
    # Decoders print; what they say must not get between the answers.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    Image.init()  # else the first file pays for it within its time limit
    _limit_memory(int(sys.argv[1]))
    write_block(output, b"ready")
    while True:
        try:
            question = receive_question(sys.stdin.buffer)
        except EOFError:
            return
        _answer(question, output)


def _answer(question: Question, output: IO[bytes]) -> None:
    try:
        answer = _asked(question)
    except UnreadableImage as error:
        send_reason(output, str(error))
    except FileNotFoundError:
        send_reason(output, "the file disappeared before it was read")
    except MemoryError:
        send_reason(output, "the file needs more memory than is allowed")
    else:
        if isinstance(answer, Radiograph):
            send_radiograph(output, answer)
        else:
            send_grid(output, answer)


def _asked(question: Question) -> Radiograph | NDArray[np.uint8]:
    if question.sampling is None:
        return load_radiograph(question.path)
    return sample_file(question.path, question.sampling, sha256=question.sha256)


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
