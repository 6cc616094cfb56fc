"""Many files onto their grids at once, decoded in several child processes, given back in order."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from annotations.errors import UnreadableImage
from annotations.imaging.isolation import IsolatedLoader
from annotations.imaging.sampling import Sampling

MAX_WORKERS: Final = 8
AHEAD_PER_WORKER: Final = 16  # decoded grids that may wait for their turn

Grid = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SampleRequest:
    """One file, and the grid it goes to; ``sha256`` is the file's as it was imported."""

    path: Path
    sampling: Sampling
    sha256: str


def default_workers() -> int:
    """One process less than there are processors, which the model needs too; at least one."""
    return max(1, min(MAX_WORKERS, (os.cpu_count() or 1) - 1))


class SamplePool:
    """Decodes ahead of whoever takes the grids; a context manager.

    Args:
        n_workers: Child processes; None: ``default_workers``.
    """

    def __init__(self, n_workers: int | None = None) -> None:
        self._n_workers = n_workers or default_workers()
        self._threads = ThreadPoolExecutor(self._n_workers, thread_name_prefix="decode")
        self._own = threading.local()
        self._loaders: list[IsolatedLoader] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the children; what was not begun is given up."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        for loader in self._loaders:
            loader.close()

    def samples(self, requests: Iterable[SampleRequest]) -> Iterator[Grid | str]:
        """The grid of each request, in their order, or the reason why there is none.

        The reason names no file: file names may name patients.
        """
        waiting: deque[Future[Grid | str]] = deque()
        for request in requests:
            waiting.append(self._threads.submit(self._sample, request))
            if len(waiting) >= AHEAD_PER_WORKER * self._n_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _sample(self, request: SampleRequest) -> Grid | str:
        try:
            return self._loader().sample(request.path, request.sampling, sha256=request.sha256)
        except FileNotFoundError:
            return "the image file is missing; put it back where it was imported from"
        except UnreadableImage as error:
            reason = str(error).replace(str(request.path), "the image file")
            return reason.replace(request.path.name, "the image file")

    def _loader(self) -> IsolatedLoader:
        """This thread's own child."""
        loader: IsolatedLoader | None = getattr(self._own, "loader", None)
        if loader is None:
            loader = self._own.loader = IsolatedLoader()
            self._loaders.append(loader)
        return loader
