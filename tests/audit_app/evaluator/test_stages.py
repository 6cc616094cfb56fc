"""A stage is on the disk as a whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from audit_app.errors import AuditError
from audit_app.evaluator.stages import Stage, StageFolder


def test_a_stage_comes_back_bit_by_bit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    folder = StageFolder(tmp_path, "f" * 64)
    folder.keep("lp", Stage({"score": "logit", "minutes": 0.25}, {"test": values}))
    found = StageFolder(tmp_path, "f" * 64).find("lp")
    assert found is not None
    assert found.facts == {"score": "logit", "minutes": 0.25}
    assert found.arrays["test"].tobytes() == values.tobytes()
    assert StageFolder(tmp_path, "e" * 64).find("lp") is None


def test_a_finished_stage_is_not_done_again(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, "f" * 64)
    done: list[int] = []

    def work() -> Stage:
        done.append(1)
        return Stage({"n": len(done)})

    assert folder.do("encode", work).facts == folder.do("encode", work).facts == {"n": 1}
    assert done == [1]


def test_a_stage_that_was_killed_while_it_was_written_does_not_count(tmp_path: Path) -> None:
    folder = StageFolder(tmp_path, "f" * 64)
    folder.path("lp.npz").write_bytes(b"half")
    assert folder.find("lp") is None
    folder.path("lp.json").write_text('{"half": ')
    assert folder.find("lp") is None


def test_a_disk_that_cannot_be_written_to_gives_a_sentence(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(AuditError, match=r"cannot write to .*its finished stages are kept"):
        StageFolder(blocked, "f" * 64)
