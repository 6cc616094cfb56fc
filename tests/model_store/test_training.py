from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model_store.checkpoints import load_head, read_metadata
from model_store.errors import TrainingCancelled, TrainingFailed
from model_store.fine_tune import train_fine_tune
from model_store.linear_probe import compact, encode_pictures, train_linear_probe
from model_store.loading import LoadedModel
from model_store.modes import build_mode
from model_store.optimise import Task, fit, xavier_head
from model_store.training import (
    STUDY_SETTINGS,
    Ticker,
    TrainingSet,
    TrainingSettings,
    batches,
)

MakePicture = Callable[..., NDArray[np.uint8]]
FINDINGS = ("Bright Left", "Bright Top", "Never")


def labelled(n_pictures: int = 30) -> TrainingSet:
    """Noise whose left or upper half is brighter when the finding is there; the third never is."""
    labels = np.zeros((n_pictures, 3))
    labels[:, 0] = np.arange(n_pictures) % 2
    labels[:, 1] = np.arange(n_pictures) % 3 == 0

    def picture(index: int) -> NDArray[np.uint8]:
        values = np.random.default_rng(index).integers(0, 60, (170, 170)).astype(np.uint8)
        values[:, :85] += np.uint8(120 * labels[index, 0])
        values[:85] += np.uint8(70 * labels[index, 1])
        return values

    n_train = int(n_pictures * 0.7)
    return TrainingSet(picture, labels, FINDINGS, range(n_train), list(range(n_train, n_pictures)))


def embeddings_of(model: LoadedModel, data: TrainingSet, n_pictures: int) -> NDArray[np.float32]:
    """open_clip's own image embeddings, one picture at a time."""
    network: Any = model.network
    with torch.no_grad():
        parts = [
            network.encode_image(model.prepare(data.picture(index))[0][None])
            for index in range(n_pictures)
        ]
    return torch.cat(parts).numpy()


def test_the_study_settings_are_the_defaults() -> None:
    probe, tune = STUDY_SETTINGS["lp"], STUDY_SETTINGS["ft"]
    shared = TrainingSettings(
        epochs=10, batch_size=24, weight_decay=1e-2, patience=5, min_delta=1e-4, seed=42
    )
    assert probe == replace(shared, learning_rate=1e-4, schedule="cosine")
    assert tune == replace(shared, learning_rate=1e-5, schedule="constant")


def test_a_converged_probe_is_scikit_learns_logistic_regression() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, 5)).astype(np.float32)
    truth = rng.normal(size=(5, 2))
    chances = 1 / (1 + np.exp(-(features @ truth - 0.4)))
    labels = (rng.random((300, 2)) < chances).astype(np.float32)
    rows = np.arange(300)
    torch.manual_seed(0)
    head = xavier_head(5, 2)
    values = torch.from_numpy(features)
    task = Task(head, lambda chosen: values[chosen], torch.from_numpy(labels), rows, rows)
    settings = TrainingSettings(
        epochs=400, batch_size=300, learning_rate=0.1, weight_decay=0, min_delta=0, patience=400
    )

    fit(task, settings, Ticker(total=400))

    for column in range(2):
        reference = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
        reference.fit(features, labels[:, column])
        np.testing.assert_allclose(
            head.weight[column].detach().numpy(), reference.coef_[0], atol=2e-3
        )
        assert head.bias[column].item() == pytest.approx(reference.intercept_[0], abs=2e-3)
    loss = task.loss(rows)
    gradients = torch.autograd.grad(loss, list(head.parameters()))
    assert max(float(each.abs().max()) for each in gradients) < 1e-4


def test_the_probe_reads_the_unnormalised_embedding_that_open_clip_gives(
    any_model: LoadedModel,
) -> None:
    data = labelled(6)
    rows, _, _ = compact(data)
    found = encode_pictures(any_model, data, rows, Ticker(total=6))
    np.testing.assert_allclose(found, embeddings_of(any_model, data, 6), atol=1e-4)


def test_a_probe_learns_what_the_embedding_shows_and_leaves_the_model_alone(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    data = labelled()
    before = {name: value.clone() for name, value in cnn.network.state_dict().items()}
    settings = TrainingSettings(epochs=60, learning_rate=0.02, patience=60)

    path = train_linear_probe(cnn, data, tmp_path / "lp.safetensors", settings=settings)

    head = load_head(path)
    features = embeddings_of(cnn, data, 30)
    logits = features @ head.weight.numpy().T + head.bias.numpy()
    assert ((logits[21:, 0] > 0) == (data.labels[21:, 0] > 0)).mean() >= 8 / 9
    for name, value in cnn.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not cnn.network.training

    training = head.metadata.training
    assert head.metadata.findings == FINDINGS
    assert head.metadata.base_weights_sha256 == cnn.weights_sha256
    assert head.metadata.preprocessing == cnn.describe_preprocessing()
    assert training["positives"] == {"Bright Left": 10, "Bright Top": 7, "Never": 0}
    assert training["without_positives"] == ["Never"]
    assert (training["n_train"], training["n_validation"]) == (21, 9)
    assert training["seed"] == 42
    losses = training["validation_losses"]
    assert training["best_validation_loss"] == min(losses)
    assert losses[training["best_epoch"] - 1] == min(losses)
    wanted = torch.from_numpy(data.labels[21:].astype(np.float32))
    saved_loss = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(logits[21:]), wanted
    )
    # Half precision on disk is all that may differ from the best epoch.
    assert saved_loss.item() == pytest.approx(min(losses), abs=5e-3)


def test_the_same_seed_gives_the_same_head_and_another_seed_another(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    data = labelled(12)
    state = torch.random.get_rng_state()
    weights = []
    for number, seed in enumerate((1, 1, 2)):
        settings = TrainingSettings(epochs=2, seed=seed, learning_rate=0.01)
        path = train_linear_probe(cnn, data, tmp_path / f"{number}.safetensors", settings=settings)
        weights.append(load_head(path).weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("kind", ["vit", "cnn"])
def test_fine_tuning_lowers_the_loss_and_changes_a_copy_of_the_tower(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(kind)
    data = labelled(20)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    settings = TrainingSettings(
        epochs=4, batch_size=7, learning_rate=1e-3, schedule="constant", min_delta=0
    )

    path = train_fine_tune(model, data, tmp_path / "ft.safetensors", settings=settings)

    training = read_metadata(path).training
    assert training["train_losses"][-1] < 0.9 * training["train_losses"][0]
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not any(each.requires_grad for each in model.network.parameters())
    mode = build_mode(model, "ft", None, path)
    tuned = mode.network.visual.state_dict()
    # Half precision alone moves a value by less than 0.1 %.
    moved = [
        float((tuned[name.removeprefix("visual.")] - value).abs().max() / value.abs().max())
        for name, value in before.items()
        if name.startswith("visual.") and value.ndim > 1
    ]
    assert min(moved) > 1e-3
    logits = np.stack(
        [
            mode.network(model.prepare(data.picture(index))[0][None])[0].numpy()
            for index in range(14)
        ]
    )
    assert logits.shape == (14, 3)
    assert np.isfinite(logits).all()


def test_training_stops_early_and_keeps_the_best_epoch() -> None:
    """Labels of the validation rows are reversed: every step makes its loss worse."""
    values = torch.randn(40, 4, generator=torch.Generator().manual_seed(0))
    labels = (values[:, :1] > 0).float()
    labels[20:] = 1 - labels[20:]
    head = xavier_head(4, 1)
    torch.nn.init.zeros_(head.weight)
    task = Task(head, lambda rows: values[rows], labels, np.arange(20), np.arange(20, 40))
    settings = TrainingSettings(epochs=50, learning_rate=0.05, patience=3, weight_decay=0)

    history = fit(task, settings, Ticker(total=50))

    assert history.best_epoch == 1
    assert len(history.validation_losses) == 4
    with torch.no_grad():
        assert float(task.loss(task.validation)) == pytest.approx(history.validation_losses[0])


def test_progress_is_told_and_a_cancelled_training_saves_nothing(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    seen: list[tuple[int, int, str]] = []

    def watch(done: int, total: int, message: str) -> bool:
        seen.append((done, total, message))
        return "epoch 2" in message

    path = tmp_path / "lp.safetensors"
    with pytest.raises(TrainingCancelled, match=r"stopped on request at 'epoch 2, batch 1 of 1'"):
        train_linear_probe(cnn, labelled(12), path, progress=watch)

    assert not path.exists()
    assert seen[0] == (12, 22, "encoded picture 12 of 12")
    assert [done for done, _, _ in seen] == [12, 13, 13, 14]


def test_a_loss_that_is_not_finite_stops_the_training_with_a_sentence(
    cnn: LoadedModel, tmp_path: Path
) -> None:
    settings = TrainingSettings(epochs=3, learning_rate=1e30, schedule="constant")
    with pytest.raises(
        TrainingFailed, match=r"became (nan|inf) in epoch \d at learning rate 1e\+30"
    ):
        train_fine_tune(cnn, labelled(10), tmp_path / "ft.safetensors", settings=settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train": []}, "no training picture given"),
        ({"validation": []}, "no validation picture given"),
        ({"train": [0, 99]}, r"training pictures \[99\] given; there are 30"),
        ({"validation": [3, 25]}, r"pictures \[3\] stand in training and validation"),
        ({"labels": np.zeros((30, 3))}, "none of the 21 training pictures has any of"),
        ({"labels": np.zeros((30, 2))}, r"labels of shape \(30, 2\) given for 3 findings"),
        ({"labels": np.full((30, 3), np.nan)}, "outside 0..1 or not finite"),
        ({"findings": ("A", "A", "B")}, "name one twice"),
    ],
)
def test_training_data_that_do_not_fit_together_are_refused(
    change: dict[str, Any], words: str
) -> None:
    with pytest.raises(TrainingFailed, match=words):
        replace(labelled(), **change)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "patience", "learning_rate"])
def test_settings_that_train_nothing_are_refused(name: str) -> None:
    with pytest.raises(TrainingFailed, match=f"{name} 0 given; expected more than 0"):
        TrainingSettings(**{name: 0})


def test_no_batch_holds_a_single_picture_when_it_need_not() -> None:
    sizes = [len(part) for part in batches(np.arange(25), 8)]
    assert sizes == [8, 8, 9]
    assert [len(part) for part in batches(np.arange(1), 8)] == [1]
    assert np.concatenate(batches(np.arange(25), 8)).tolist() == list(range(25))
