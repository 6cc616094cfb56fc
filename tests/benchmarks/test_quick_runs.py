"""The benchmarks run: not how fast, only that each ends with its table."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True)
def threads_as_before() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("name", "n_figures"),
    [
        ("saliency", 7),
        ("main_job", 4),
        ("evaluator", 5),
        ("audit", 4),
        ("reading_panel", 11),
        ("reliability", 10),
    ],
)
def test_a_quick_run_ends_with_its_table(
    capsys: pytest.CaptureFixture[str], name: str, n_figures: int
) -> None:
    status = importlib.import_module(f"tests.benchmarks.{name}").main(["--quick"])
    summary = re.search(r"(\d+) of (\d+) targets met", capsys.readouterr().out)
    assert summary is not None
    n_met, n_all = int(summary[1]), int(summary[2])
    assert n_all == n_figures
    # Targets are for a quiet machine and the full run; the status only says whether all were met.
    assert status == (0 if n_met == n_all else 1)
