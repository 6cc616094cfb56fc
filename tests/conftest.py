"""What every part of the suite shares: where the repository is, and where real data may be."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chromium import launched

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# For this process and those that it starts: the tests' processes share few cores, and the bits of a
# sum depend on how many threads add it up.
os.environ["OMP_NUM_THREADS"] = "1"

REPO_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Fails when a file of tests leaves another number of torch's threads to those behind it."""
    yield
    if "torch" in sys.modules:
        assert sys.modules["torch"].get_num_threads() == 1


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The folder that holds launch.py and the packages."""
    return REPO_ROOT


@pytest.fixture(scope="session")
def shared_data(repo_root: Path) -> Path:
    """The folder of real radiographs beside the repository; skips the test where it is absent.

    The environment variable ``SALIENCY_AUDIT_DATA`` names another place.
    """
    named = os.environ.get("SALIENCY_AUDIT_DATA")
    folder = Path(named) if named else repo_root.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(
            f"no real data at {folder}: put it there or set SALIENCY_AUDIT_DATA to its folder"
        )
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a file of tests.

    Not for the session: while Playwright's event loop is alive, no other can run in the process.
    """
    with launched() as chromium:
        yield chromium


@pytest.fixture
def small_disk() -> Iterator[Callable[[int], None]]:
    """Limits the size of any file that this process writes, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(n_bytes: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
