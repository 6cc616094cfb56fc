"""Decoding in a child process with limits: a file that crashes or blocks a decoder harms nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Radiograph
from annotations.imaging.sampling import Sampling
from annotations.imaging.wire import (
    Question,
    read_block,
    receive_grid,
    receive_radiograph,
    send_question,
)

PROJECT_ROOT: Final = Path(__file__).resolve().parent.parent.parent
TIME_LIMIT_S: Final = 30.0
START_LIMIT_S: Final = 120.0
MEMORY_LIMIT_BYTES: Final = 4 * 1024**3
T = TypeVar("T")


class IsolatedLoader:
    """Decodes files one after the other in a child process of its own; a context manager.

    Threads may share a loader; they wait for each other.

    Args:
        time_limit_s: For one file, the start of the child not counted.
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
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the child; a later ``load`` starts another one."""
        with self._lock:
            self._end_child()

    def load(self, path: Path) -> Radiograph:
        """The radiograph in this file.

        Raises:
            FileNotFoundError: If there is no such file.
            UnreadableImage: With the reason; also when decoding took too long, needed too much
                memory or ended the child.
        """
        return self._ask(Question(path.absolute()), receive_radiograph)

    def sample(self, path: Path, sampling: Sampling, *, sha256: str = "") -> NDArray[np.uint8]:
        """The picture of this file on a grid, (h, w), as ``sample_file`` makes it.

        Raises:
            FileNotFoundError: If there is no such file.
            UnreadableImage: As ``load``; also when the file is not the expected one.
        """
        # Not resolved: a link's own name tells what it is.
        return self._ask(Question(path.absolute(), sampling, sha256), receive_grid)

    def _ask(self, question: Question, receive: Callable[[IO[bytes]], T]) -> T:
        if not question.path.exists():
            raise FileNotFoundError(errno.ENOENT, "no such file", str(question.path))
        with self._lock:
            # A child that waited may have been ended by something else than this file.
            attempts_left = 1 if self._child is None else 2
            while True:
                attempts_left -= 1
                try:
                    return self._decode(question, receive)
                except _ChildLostError:
                    if attempts_left == 0:
                        raise UnreadableImage(
                            "decoding the file ended the decoder (damaged, or more memory than is"
                            " allowed)"
                        ) from None

    def _decode(self, question: Question, receive: Callable[[IO[bytes]], T]) -> T:
        child = self._running_child()
        limit = _TimeLimit(child, self._time_limit_s)
        is_answered = False
        try:
            with limit:
                _send(child, question)
                try:
                    answer = _receive(child, receive)
                except UnreadableImage:
                    is_answered = True
                    raise
                is_answered = True
                return answer
        except (EOFError, OSError):
            if limit.is_over:
                raise UnreadableImage(
                    f"decoding the file took longer than {self._time_limit_s:g} s"
                ) from None
            raise _ChildLostError from None
        finally:
            # Half an answer, also after Ctrl-C, must not be taken for the next file's.
            if limit.is_over or not is_answered:
                self._end_child()

    def _running_child(self) -> subprocess.Popen[bytes]:
        if self._child is not None and self._child.poll() is None:
            return self._child
        self._end_child()
        self._child = child = _start_child(self._memory_limit_bytes)
        limit = _TimeLimit(child, START_LIMIT_S)
        try:
            with limit:
                _read_greeting(child)
        except (EOFError, OSError):
            self._end_child()
            raise UnreadableImage(
                f"no decoding process could be started within {START_LIMIT_S:g} s with"
                f" {sys.executable}; is there memory left? Start the program again"
            ) from None
        return child

    def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
        if child.stdin is not None:
            _close_quietly(child.stdin)


class _ChildLostError(Exception):
    """The child ended while it was asked."""


class _TimeLimit:
    """Kills the child when the block takes longer; ``is_over`` says that it did."""

    def __init__(self, child: subprocess.Popen[bytes], limit_s: float) -> None:
        self._child = child
        self._over = threading.Event()
        self._timer = threading.Timer(limit_s, self._kill)

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        # A timer that fires right now must have done so before anyone asks is_over.
        self._timer.join()

    def _kill(self) -> None:
        self._over.set()
        self._child.kill()


def _start_child(memory_limit_bytes: int) -> subprocess.Popen[bytes]:
    places = [str(PROJECT_ROOT), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [
            *(sys.executable, "-W", "ignore", "-m", "annotations.imaging.decoder"),
            str(memory_limit_bytes),
        ],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(place for place in places if place),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        },
    )


def _read_greeting(child: subprocess.Popen[bytes]) -> None:
    if child.stdout is None:
        raise EOFError
    read_block(child.stdout)


def _send(child: subprocess.Popen[bytes], question: Question) -> None:
    if child.stdin is None:
        raise EOFError
    send_question(child.stdin, question)


def _receive(child: subprocess.Popen[bytes], receive: Callable[[IO[bytes]], T]) -> T:
    if child.stdout is None:
        raise EOFError
    return receive(child.stdout)


def _close_quietly(pipe: IO[bytes]) -> None:
    """Close a pipe whose other end is gone, with what was not yet sent."""
    with contextlib.suppress(OSError):
        pipe.close()
