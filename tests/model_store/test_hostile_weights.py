"""Checkpoints that carry a program: refused, and nothing of it runs."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from model_store.classifiers import read_state
from model_store.errors import ModelError


class Harm:
    """Writes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "harmed"


def test_the_bait_works_where_pickles_are_believed(mark: Path) -> None:
    pickle.loads(pickle.dumps(Harm(mark)))
    assert mark.exists()


@pytest.mark.parametrize("name", ["model.pt", "model.pth", "model.bin", "model.safetensors"])
@pytest.mark.parametrize("is_old", [False, True])
def test_a_checkpoint_with_a_program_is_refused_and_not_run(
    tmp_path: Path, mark: Path, name: str, is_old: bool
) -> None:
    path = tmp_path / name
    torch.save({"w": Harm(mark)}, path, _use_new_zipfile_serialization=not is_old)
    with pytest.raises(ModelError):
        read_state(path)
    assert not mark.exists()


def test_a_bare_pickle_and_a_zip_with_one_are_refused(tmp_path: Path, mark: Path) -> None:
    bare = tmp_path / "bare.pt"
    bare.write_bytes(pickle.dumps(Harm(mark), protocol=2))
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../archive/data.pkl", pickle.dumps(Harm(mark)))
    for path in (bare, packed):
        with pytest.raises(ModelError):
            read_state(path)
    assert not mark.exists()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["bare.pt", "packed.pt"]
