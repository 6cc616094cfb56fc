"""Fine-tuning: what a kill, a stop, a small memory and a lower precision do to its result."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model_store.checkpoints import HeadMetadata, load_head, read_metadata, save_head
from model_store.entries import ModelEntry
from model_store.errors import Diverged, TrainingCancelled, TrainingFailed
from model_store.fine_tune import resume_path, train_fine_tune, training_precision
from model_store.loading import LoadedModel, load_model
from model_store.optimise import Task, fit, xavier_head
from model_store.training import Ticker, TrainingSettings
from tests.model_store.long_training import SETTINGS, noise


def start(entry: ModelEntry, head: Path, repo_root: Path) -> subprocess.Popen[str]:
    head.parent.mkdir(exist_ok=True)
    described = head.parent / "entry.json"
    described.write_text(json.dumps(entry.to_dict()))
    command = [sys.executable, "-m", "tests.model_store.long_training", described, head]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=repo_root, env=environment, stdout=subprocess.PIPE, text=True
    )


def kill_in(process: subprocess.Popen[str], step: str) -> None:
    """SIGKILL at this step: nothing is finished or flushed."""
    assert process.stdout is not None
    for line in process.stdout:
        if step in line:
            process.kill()
            break
    assert process.wait(timeout=60) == -signal.SIGKILL
    process.stdout.close()


def test_a_killed_fine_tune_goes_on_to_the_same_bits(
    cnn_entry: ModelEntry, tmp_path: Path, repo_root: Path
) -> None:
    whole, killed = tmp_path / "whole" / "ft.safetensors", tmp_path / "killed" / "ft.safetensors"
    model = load_model(cnn_entry)
    train_fine_tune(model, noise(), whole, settings=SETTINGS)

    kill_in(start(cnn_entry, killed, repo_root), "epoch 3, batch 1")
    assert not killed.exists()
    assert resume_path(killed).is_file()
    said = messages(model, killed, SETTINGS)
    assert "went on after epoch 2" in said
    assert not any(line.startswith("epoch 2, batch") for line in said)

    expected, found = load_head(whole).tensors, load_head(killed).tensors
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    before, after = read_metadata(whole).training, read_metadata(killed).training
    assert after["resumed_after_epoch"] == 2
    for name in ("train_losses", "validation_losses", "best_epoch", "epochs_run"):
        assert after[name] == before[name]
    assert sorted(path.name for path in killed.parent.iterdir()) == ["entry.json", "ft.safetensors"]


def cancelled(model: LoadedModel, path: Path, settings: TrainingSettings, step: str) -> str:
    """What a training says that is stopped at this step."""
    with pytest.raises(TrainingCancelled) as caught:
        train_fine_tune(
            model,
            noise(),
            path,
            settings=settings,
            progress=lambda _done, _total, said: step in said,
        )
    return str(caught.value)


def messages(model: LoadedModel, path: Path, settings: TrainingSettings) -> list[str]:
    """What a training says to its end."""
    said: list[str] = []
    train_fine_tune(
        model, noise(), path, settings=settings, progress=lambda *step: bool(said.append(step[2]))
    )
    return said


def test_a_stopped_fine_tune_keeps_its_epochs_for_the_same_training_alone(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "ft.safetensors"
    settings = replace(SETTINGS, epochs=3)

    assert "nothing was saved" in cancelled(cnn, path, settings, "epoch 1, batch 1")
    assert list(tmp_path.iterdir()) == []
    assert "start the same training again to go on" in cancelled(cnn, path, settings, "epoch 3")

    other = messages(cnn, tmp_path / "other" / "ft.safetensors", settings)
    assert not any("went on" in said for said in other)
    assert "went on after epoch 2" in messages(cnn, path, settings)
    assert [each.name for each in tmp_path.glob("*.safetensors")] == ["ft.safetensors"]


def test_other_settings_begin_anew(cnn: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "ft.safetensors"
    cancelled(cnn, path, replace(SETTINGS, epochs=3), "epoch 2, batch 1")
    said = messages(cnn, path, replace(SETTINGS, epochs=1))
    assert not any("went on" in each for each in said)


def test_a_damaged_state_is_named_and_not_overwritten(cnn: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "ft.safetensors"
    cancelled(cnn, path, replace(SETTINGS, epochs=3), "epoch 2, batch 1")
    damaged = resume_path(path)
    damaged.write_bytes(damaged.read_bytes()[:200])
    with pytest.raises(
        TrainingFailed, match=r"cannot be read .*; remove it to start from the begin"
    ):
        messages(cnn, path, replace(SETTINGS, epochs=3))
    assert damaged.stat().st_size == 200


@pytest.mark.parametrize("micro_batch", [2, 5, 7])
def test_accumulated_gradients_are_those_of_the_large_batch(micro_batch: int) -> None:
    values = torch.randn(44, 6, generator=torch.Generator().manual_seed(2))
    labels = (values[:, :3] > 0.3).float()

    def weights(settings: TrainingSettings) -> list[torch.Tensor]:
        torch.manual_seed(0)
        # No batch normalisation: that would see only the micro batch.
        network = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.LayerNorm(9), xavier_head(9, 3))
        task = Task(network, lambda rows: values[rows], labels, np.arange(33), np.arange(33, 44))
        fit(task, settings, Ticker(total=99))
        return [each.detach() for each in network.parameters()]

    whole = TrainingSettings(epochs=6, batch_size=11, learning_rate=0.01)
    large, small = weights(whole), weights(replace(whole, micro_batch=micro_batch))
    for one, other in zip(large, small, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_the_fused_optimiser_steps_as_the_plain_one() -> None:
    values = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    labels = (values[:, :1] > 0).float()
    settings = TrainingSettings(epochs=3, batch_size=30, learning_rate=0.05, schedule="constant")
    torch.manual_seed(1)
    head = xavier_head(4, 1)
    weight, bias = head.weight.detach().clone(), head.bias.detach().clone()
    rows = np.arange(30)
    history = fit(
        Task(head, lambda chosen: values[chosen], labels, rows, rows), settings, Ticker(3)
    )
    assert history.best_epoch == 3

    plain = [weight.requires_grad_(True), bias.requires_grad_(True)]
    optimiser = torch.optim.AdamW(plain, lr=0.05, weight_decay=1e-2, foreach=False, fused=False)
    for _ in range(3):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(values @ weight.T + bias, labels).backward()
        optimiser.step()
    torch.testing.assert_close(head.weight, weight, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(head.bias, bias, rtol=1e-5, atol=1e-6)


def test_a_fine_tune_in_bf16_learns_nearly_the_same_and_says_so(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        path = tmp_path / precision / "ft.safetensors"
        settings = replace(SETTINGS, epochs=2, precision=precision)
        train_fine_tune(cnn, noise(), path, settings=settings)
        training = read_metadata(path).training
        assert training["precision_used"] == precision
        losses[precision] = training["validation_losses"][-1]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.1)
    assert losses["bf16"] != losses["fp32"]


def test_the_precision_of_a_fine_tune_is_what_pays_or_what_is_asked(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    record = tmp_path / "precision.json"
    assert training_precision(cnn, TrainingSettings(precision="bf16"), record) == "bf16"
    assert training_precision(cnn, TrainingSettings(), record) == "fp32"  # as the entry says
    asked = replace(cnn, entry=replace(cnn.entry, precision="auto"))
    chosen = training_precision(asked, TrainingSettings(), record)
    assert chosen == next(iter(json.loads(record.read_text()).values()))["chosen"]
    with pytest.raises(TrainingFailed, match="precision 'fp16' given on cpu; it needs a CUDA card"):
        training_precision(cnn, TrainingSettings(precision="fp16"), record)


def test_a_loss_that_is_no_number_ends_the_training_and_leaves_nothing(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "ft.safetensors"
    wild = replace(SETTINGS, epochs=3, learning_rate=1e30)
    with pytest.raises(Diverged, match=r"loss became nan in epoch \d at learning rate 1e\+30"):
        train_fine_tune(cnn, noise(), path, settings=wild)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_files() -> Iterator[None]:
    """No file of this process may grow beyond 64 kB: refused by the system, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("small_files")
def test_a_full_disk_at_a_checkpoint_is_a_sentence_and_leaves_no_part_of_a_file(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    path = tmp_path / "ft.safetensors"
    with pytest.raises(TrainingFailed, match=r"state after epoch 1 cannot be written .* free some"):
        train_fine_tune(cnn, noise(), path, settings=replace(SETTINGS, epochs=2))
    assert list(tmp_path.iterdir()) == []
    weights = {"head.weight": torch.zeros(2, 90_000), "head.bias": torch.zeros(2)}
    metadata = HeadMetadata("lp", ("a", "b"), "0" * 64, {}, {})
    with pytest.raises(
        TrainingFailed, match=r"trained weights cannot be written .* free some space"
    ):
        save_head(tmp_path / "lp.safetensors", "lp", weights, metadata)
    assert list(tmp_path.iterdir()) == []
