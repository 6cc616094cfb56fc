"""The pictures and labels of a plan as trainings take them, and the settings that were chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from annotations.imaging.sample_pool import SamplePool
from annotations.records import ImageRecord
from audit_app.encoding import Encoder, frame_request
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.progress import Cancelled
from model_store.training import TrainingSet, TrainingSettings

Frames = NDArray[np.uint8]
Step = Callable[[int, int, str], bool]


def read_frames(
    images: Sequence[ImageRecord], encoder: Encoder, step: Step
) -> tuple[Frames, list[str]]:
    """Pictures on the model's grid (N, h, w), decoded in other processes, and what failed."""
    frames = np.zeros((len(images), *encoder.input_size), dtype=np.uint8)
    reasons = []
    with SamplePool() as pool:
        samples = pool.samples(frame_request(image, encoder) for image in images)
        for number, (image, sample) in enumerate(zip(images, samples, strict=True), start=1):
            if isinstance(sample, str):
                reasons.append(f"picture {image.image_id}: {sample}")
            else:
                frames[number - 1] = sample
            if step(number, len(images), f"read picture {number} of {len(images)}"):
                raise Cancelled(
                    "stopped on request while pictures were read; start the same evaluation again "
                    "to go on from its finished stages"
                )
    return frames, reasons


def training_set(plan: EvaluationPlan, picture: Callable[[int], Frames]) -> TrainingSet:
    """The plan's pictures as a training takes them."""
    return TrainingSet(
        picture,
        plan.labels.astype(np.float32),
        plan.findings,
        [int(row) for row in plan.rows("train")],
        [int(row) for row in plan.rows("validation")],
    )


def chosen_settings(plan: EvaluationPlan, settings: TrainingSettings) -> TrainingSettings:
    """A preset with the seed and the epochs that were chosen."""
    choices = plan.choices
    return replace(settings, seed=choices.seed, epochs=choices.epochs or settings.epochs)


def no_picture(row: int) -> Frames:
    """Nothing: for trainings that read embeddings alone.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"picture {row} was asked for, but its embedding is known")
