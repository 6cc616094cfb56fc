from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from model_store.errors import TrainingFailed
from model_store.linear_probe import fit_probe
from model_store.logistic import fit_logistic
from model_store.training import PRESETS


def data(n_rows: int = 300, width: int = 12) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features that are neither centred nor of one scale, and three findings of them."""
    random = np.random.default_rng(3)
    features = random.normal(size=(n_rows, width)) * random.uniform(0.2, 5, width) + 7
    logits = (features - 7) @ random.normal(size=(width, 3)) + np.array([-3.0, 0.0, 1.0])
    return features, (random.random((n_rows, 3)) < 1 / (1 + np.exp(-logits))).astype(float)


@pytest.mark.parametrize("penalty", [0.01, 1.0, 30.0])
def test_all_findings_at_once_are_scikit_learns_regressions_one_by_one(penalty: float) -> None:
    features, labels = data()

    fitted = fit_logistic(features, labels, penalty)

    for column in range(3):
        model = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=100_000)
        model.fit(features, labels[:, column])
        np.testing.assert_allclose(fitted.weight[column], model.coef_[0], atol=2e-4)
        assert fitted.bias[column] == pytest.approx(model.intercept_[0], abs=5e-3)


def test_no_small_step_lowers_the_penalised_loss() -> None:
    features, labels = data()
    fitted = fit_logistic(features, labels, 2.0)
    weight = torch.tensor(fitted.weight, requires_grad=True)
    bias = torch.tensor(fitted.bias, requires_grad=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.from_numpy(features) @ weight.T + bias, torch.from_numpy(labels), reduction="sum"
    )
    (loss + weight.square().sum()).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.abs().max()) / len(features) < 1e-4
    assert float(bias.grad.abs().max()) / len(features) < 1e-4


def test_a_finding_that_never_or_always_occurs_gets_its_smoothed_share_and_no_weights() -> None:
    features, labels = data()
    labels[:, 0], labels[:, 2] = 0, 1
    fitted = fit_logistic(features, labels, 1.0)
    assert not fitted.weight[0].any()
    assert not fitted.weight[2].any()
    assert fitted.bias[0] == pytest.approx(math.log(0.5 / 300.5))
    assert fitted.bias[2] == pytest.approx(math.log(300.5 / 0.5))
    assert fitted.weight[1].any()


def test_embeddings_that_are_not_finite_are_refused() -> None:
    features, labels = data()
    features[17, 2] = np.nan
    with pytest.raises(TrainingFailed, match="of 1 pictures are not finite, the first is row 17"):
        fit_logistic(features, labels, 1.0)


def test_the_converged_preset_is_that_regression_and_says_how_it_ended() -> None:
    features, labels = data()
    fitted = fit_probe(features, labels, PRESETS["lp"]["converged"])
    reference = fit_logistic(features, labels, 1.0)
    np.testing.assert_allclose(fitted.weight.numpy(), reference.weight, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(fitted.bias.numpy(), reference.bias, rtol=1e-4)
    assert fitted.history.notes["iterations"] == reference.iterations > 3
    logits = features @ reference.weight.T + reference.bias
    loss = np.mean(np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - labels * logits)
    assert fitted.history.validation_losses == [pytest.approx(loss)]
