"""The grey rows: what every column of a mode says about labels that have nothing to do with it.

A reader sees from them that a ratio of 0.56, or half of the labels positive, mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.evaluator.answers import RULES, STUDY, Answers, decide, tower_of
from audit_app.evaluator.measures import (
    LENGTHS,
    LOGIT,
    Reference,
    Row,
    points_of,
    separation_name,
)
from audit_app.metrics.calibration import probabilities_of, reliability_curve
from audit_app.metrics.classification import multilabel_metrics
from audit_app.metrics.image_pairs import tabulate_pairs
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.metrics.separation import exact_rows, shuffled_study_distances

QUANTILES: Final = (2.5, 97.5)
# In words, for the report and the provenance.
NULL_MEANING: Final = (
    "each mode's distances and ECE with the rows of labels shuffled among the test pictures, and "
    "for the other columns random scores put through the same decision rule"
)
SCORED: Final = ("f1", "exact_match", "lrap", "coverage_error", "predictions_per_image")


def null_rows(
    answered: Iterable[Answers], reference: Reference, *, draws: int, pause: Pause = no_pause
) -> list[Row]:
    """A row for each mode: the mean of every column over the draws, ``_low`` and ``_high`` of it.

    Args:
        answered: By any modes under any presets, on the same pictures.
        reference: What they are held against; its seed is that of all draws.
        draws: How many sets of scores, and how many shuffles.
        pause: Between two of them.
    """
    kept = list(answered)
    presets = {one.preset for one in kept}
    scored = {preset: null_of_scores(preset, reference, draws, pause) for preset in presets}
    # Zero-shot and linear probe share their embeddings.
    towers = {(one.preset, tower_of(one.mode)): one.embeddings for one in kept}
    separated = {
        (preset, tower): null_of_separation(preset, embeddings, reference, draws, pause)
        for (preset, tower), embeddings in towers.items()
    }
    return [
        {
            "kind": "null",
            "preset": one.preset,
            "mode": one.mode,
            "rule": RULES[one.preset],
            "score": "random",
            "separation": f"{separation_name(one.preset)}, labels shuffled",
            "n_images": len(reference.labels),
            "n_patients": len(set(reference.patients)),
            "labels_per_image": float(reference.labels.sum(axis=1).mean()),
            "draws": draws,
            **separated[one.preset, tower_of(one.mode)],
            **scored[one.preset],
            **null_of_calibration(one, reference, draws, pause),
        }
        for one in kept
    ]


def null_of_scores(preset: str, reference: Reference, draws: int, pause: Pause = no_pause) -> Row:
    """The classification columns when every score is an independent normal number.

    The thresholds of the recommended rule are chosen on random scores as well.
    """
    generator = np.random.default_rng(reference.seed)
    found: dict[str, list[float]] = {name: [] for name in SCORED}
    for draw in range(draws):
        validation, scores = (
            generator.standard_normal(labels.shape).astype(np.float32)
            for labels in (reference.validation_labels, reference.labels)
        )
        decided = decide(preset, reference.validation_labels, validation, scores)
        metrics = multilabel_metrics(reference.labels, scores, decided.predictions)
        for name, values in found.items():
            values.append(getattr(metrics, name))
        pause(f"{draw + 1} of {draws} sets of random scores")
    return _cells(found)


def null_of_separation(
    preset: str,
    embeddings: NDArray[np.float32],
    reference: Reference,
    draws: int,
    pause: Pause = no_pause,
) -> Row:
    """inter, intra and ratio, raw and (``_l2``) at unit length, when the label rows are shuffled.

    Of many pictures the pair formula takes the choice that its p-value is computed on.
    """
    cells: Row = {}
    for suffix in LENGTHS:
        points = points_of(embeddings, suffix)
        shuffle = _shuffled_classes if preset == STUDY else _shuffled_pairs
        inter, intra = shuffle(points, reference, draws, pause)
        ratio = np.divide(inter, intra, out=np.full(draws, np.nan), where=intra > 0)
        named = {"inter": inter, "intra": intra, "ratio": ratio}
        cells |= _cells({f"{name}{suffix}": values for name, values in named.items()})
    return cells


def null_of_calibration(
    answers: Answers, reference: Reference, draws: int, pause: Pause = no_pause
) -> Row:
    """The calibration error of a mode's own probabilities when the label rows are shuffled."""
    if answers.score != LOGIT:
        return {"ece": None}
    generator = np.random.default_rng(reference.seed)
    probabilities = probabilities_of(answers.test).ravel()
    errors = []
    for draw in range(draws):
        shuffled = generator.permutation(reference.labels).ravel()
        errors.append(reliability_curve(shuffled, probabilities).ece)
        pause(f"{draw + 1} of {draws} calibration errors")
    return _cells({"ece": errors})


Distances = NDArray[np.float64]


def _shuffled_classes(
    points: Distances, reference: Reference, draws: int, pause: Pause
) -> tuple[Distances, Distances]:
    return shuffled_study_distances(
        points, reference.labels, permutations=draws, seed=reference.seed, pause=pause
    )


def _shuffled_pairs(
    points: Distances, reference: Reference, draws: int, pause: Pause
) -> tuple[Distances, Distances]:
    chosen = exact_rows(len(points), reference.seed)
    pairs = tabulate_pairs(points[chosen], reference.labels[chosen].astype(np.bool_))
    return pairs.shuffled_means(draws, reference.seed, pause)


def _cells(found: dict[str, list[float]] | dict[str, Distances]) -> Row:
    """Mean and the range of the middle 95 % of each column; None where nothing is defined."""
    cells: Row = {}
    for name, values in found.items():
        defined = np.asarray(values)[np.isfinite(values)]
        low, high = np.percentile(defined, QUANTILES) if len(defined) else (None, None)
        mean = defined.mean() if len(defined) else None
        told = {name: mean, f"{name}_low": low, f"{name}_high": high}
        cells |= {key: None if value is None else float(value) for key, value in told.items()}
    return cells
