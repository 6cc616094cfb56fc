"""How the probe of a preset is trained: as in the study, or converged under the best penalty."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.errors import AuditError
from audit_app.evaluator.answers import STUDY
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.training_data import chosen_settings
from model_store.training import TrainingSettings, find_preset

Embeddings = NDArray[np.float32]
PENALTIES: Final = tuple(10.0**power for power in range(-2, 6))


def probe_settings(
    plan: EvaluationPlan, embeddings: Embeddings, preset: str
) -> tuple[TrainingSettings, dict[str, object]]:
    """The study's, or the converged probe with the penalty that validation likes best."""
    if preset == STUDY:
        return chosen_settings(plan, find_preset("lp", "study")), {}
    settings = chosen_settings(plan, find_preset("lp", "converged"))
    losses = _penalty_losses(plan, embeddings, settings)
    best = min(losses, key=lambda penalty: losses[penalty])
    tried = {f"{penalty:g}": loss for penalty, loss in losses.items()}
    return replace(settings, penalty=best), {"validation_loss_by_penalty": tried}


def _penalty_losses(
    plan: EvaluationPlan, embeddings: Embeddings, settings: TrainingSettings
) -> dict[float, float]:
    from model_store.errors import TrainingFailed
    from model_store.linear_probe import Parts, fit_probe

    parts = Parts(plan.rows("train"), plan.rows("validation"))
    labels = plan.labels.astype(np.float64)
    losses: dict[float, float] = {}
    reason = ""
    for penalty in PENALTIES:
        try:
            fitted = fit_probe(embeddings, labels, replace(settings, penalty=penalty), parts)
        except TrainingFailed as error:
            reason = str(error)
            continue
        losses[penalty] = fitted.history.validation_losses[0]
    if not losses:
        raise AuditError(f"the probe converged under no penalty; the last said: {reason}")
    return losses
