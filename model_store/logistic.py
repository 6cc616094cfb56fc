"""Converged logistic regression of all findings at once. Numpy and scipy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from model_store.errors import TrainingFailed

FloatArray = NDArray[np.float64]

MAX_ITERATIONS: Final = 5000
GRADIENT_TOLERANCE: Final = 1e-7  # of the mean loss
CORRECTIONS: Final = 20


@dataclass(frozen=True, eq=False)
class LogisticFit:
    """One row of weights per finding.

    Attributes:
        weight: Shape (K, D).
        bias: Shape (K,).
        iterations: Of L-BFGS.
        largest_gradient: Largest part of the gradient of the mean penalised loss.
    """

    weight: FloatArray
    bias: FloatArray
    iterations: int
    largest_gradient: float


def fit_logistic(features: FloatArray, labels: FloatArray, penalty: float) -> LogisticFit:
    """The minimum of the summed cross-entropy plus ``penalty / 2`` times the squared weights.

    The findings do not touch each other, so all of them are one smooth problem. The bias is not
    penalised. A finding that always or never occurs has no such minimum: it gets no weights and
    the logit of its smoothed share as bias.

    Args:
        features: Shape (N, D), finite.
        labels: Shape (N, K), each 0..1.
        penalty: Above 0; one over scikit-learn's ``C``.

    Raises:
        TrainingFailed: If the features are not finite or the fit does not converge.

    Source:
        The objective of scikit-learn's ``LogisticRegression``; L-BFGS of scipy.
    """
    _check(features, labels)
    n_rows, width = features.shape
    counts = labels.sum(axis=0)
    varied = (counts > 0) & (counts < n_rows)
    weight = np.zeros((labels.shape[1], width))
    bias = np.log((counts + 0.5) / (n_rows - counts + 0.5))
    if not varied.any():
        return LogisticFit(weight, bias, 0, 0.0)
    problem = _Problem(features, labels[:, varied], penalty)
    found = minimize(
        problem.loss_and_gradient,
        problem.start(),
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": MAX_ITERATIONS,
            "maxfun": 2 * MAX_ITERATIONS,
            "maxcor": CORRECTIONS,
            "gtol": GRADIENT_TOLERANCE,
            "ftol": 0.0,
        },
    )
    largest = float(np.abs(found.jac).max())
    if largest > 100 * GRADIENT_TOLERANCE:
        raise TrainingFailed(
            f"the probe did not converge in {found.nit} iterations (gradient {largest:.1e});"
            f" choose a penalty above {penalty:g}"
        )
    weight[varied], bias[varied] = problem.unpacked(found.x)
    return LogisticFit(weight, bias, int(found.nit), largest)


class _Problem:
    """The mean penalised loss over parameters (K * (D + 1),) of centred, scaled features."""

    def __init__(self, features: FloatArray, labels: FloatArray, penalty: float) -> None:
        self.mean = features.mean(axis=0)
        # One number for all columns: the penalty must weigh them as they are.
        self.scale = float(features.std()) or 1.0
        self.features = (features - self.mean) / self.scale
        self.labels = labels
        self.penalty = penalty / self.scale**2

    def start(self) -> FloatArray:
        """No weights; each bias at the logit of its finding's share."""
        share = self.labels.mean(axis=0)
        parameters = np.zeros((self.labels.shape[1], self.features.shape[1] + 1))
        parameters[:, -1] = np.log(share / (1 - share))
        return parameters.ravel()

    def loss_and_gradient(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """The loss and its gradient, both per row."""
        n_rows = len(self.features)
        table = parameters.reshape(self.labels.shape[1], -1)
        weight, bias = table[:, :-1], table[:, -1]
        logits = self.features @ weight.T + bias
        fit = np.logaddexp(0.0, logits).sum() - (self.labels * logits).sum()
        loss = (fit + self.penalty / 2 * (weight**2).sum()) / n_rows
        residual = expit(logits) - self.labels
        gradient = np.empty_like(table)
        gradient[:, :-1] = residual.T @ self.features + self.penalty * weight
        gradient[:, -1] = residual.sum(axis=0)
        return float(loss), (gradient / n_rows).ravel()

    def unpacked(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weight and bias for the features as they were given."""
        table = parameters.reshape(self.labels.shape[1], -1)
        weight = table[:, :-1] / self.scale
        return weight, table[:, -1] - weight @ self.mean


def _check(features: FloatArray, labels: FloatArray) -> None:
    if features.ndim != 2 or labels.ndim != 2 or len(features) != len(labels) or not len(features):
        raise TrainingFailed(
            f"features of shape {features.shape} and labels of shape {labels.shape} given; "
            "expected (N, D) and (N, K)"
        )
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if bad.size:
        raise TrainingFailed(
            f"the embeddings of {bad.size} pictures are not finite, the first is row {bad[0]}; "
            "check the model's weights and its precision"
        )
