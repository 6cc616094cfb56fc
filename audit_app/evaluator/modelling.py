"""What an evaluation asks of one model: embeddings, scores, trained heads."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.encoding import (
    Encoder,
    Encoders,
    EncodingCancelled,
    EncodingFailed,
    encode_images,
    encoding_of,
)
from audit_app.errors import AuditError
from audit_app.evaluator.answers import STUDY
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.probe_settings import probe_settings
from audit_app.evaluator.progress import Cancelled
from audit_app.evaluator.stages import Stage, disk_errors
from audit_app.evaluator.training_data import (
    Frames,
    Step,
    chosen_settings,
    no_picture,
    read_frames,
    training_set,
)
from model_store.checkpoints import read_metadata
from model_store.embeddings import EmbeddingCache
from model_store.prompts import STUDY_PROMPTS, PromptSet
from model_store.training import find_preset

if TYPE_CHECKING:
    from model_store.explanation import Explanation
    from model_store.loading import LoadedModel
    from model_store.runtime import ModelRuntime

Embeddings = NDArray[np.float32]

SAMPLE: Final = 32
CHECKED_PICTURES: Final = 16
BATCH: Final = 16
UNREADABLE: Final = "its file cannot be read, or the model's embedding of it is not finite"


@dataclass(frozen=True, eq=False)
class Encoded:
    """Embeddings of all pictures of a plan that could be read.

    Attributes:
        plan: Without the others.
        embeddings: Shape (N, D), rows as the plan's images.
        seconds: That it took, of which nothing for pictures whose embedding was known.
        unreadable: Image id to the reason.
    """

    plan: EvaluationPlan
    embeddings: Embeddings
    seconds: float
    unreadable: Mapping[str, str]


class EvaluatedModel:
    """One model of a workspace, asked by an evaluation.

    Args:
        workspace: Whose caches are used.
        store: Of the workspace.
        runtime: Holds the loaded model.
        name: Of the entry.
    """

    def __init__(
        self, workspace: Workspace, store: Store, runtime: ModelRuntime, name: str
    ) -> None:
        self._workspace = workspace
        self._store = store
        self._runtime = runtime
        self._sample: tuple[tuple[str, ...], Frames] | None = None
        self.name = name

    @property
    def loaded(self) -> LoadedModel:
        """The network of the entry as it is now."""
        return self._runtime.loaded(self.name)

    def encode(self, plan: EvaluationPlan, step: Step) -> Encoded:
        """The embedding of every picture that can be read; the others leave the plan."""
        started = time.monotonic()
        try:
            embeddings = self._encode(self._runtime, plan.image_ids, step)
            unreadable: dict[str, str] = {}
        except EncodingFailed as failure:
            unreadable = self._unreadable(plan.images, str(failure))
            plan = plan.without(unreadable)
            embeddings = self._encode(self._runtime, plan.image_ids, step)
        return Encoded(plan, embeddings, time.monotonic() - started, unreadable)

    def encoder(self) -> Encoder:
        """The frozen tower."""
        return self._runtime.encoder(self.name)

    def tuned_encoder(self, head: Path) -> Encoder:
        """The tower of a fine-tune."""
        from model_store.embedding_scores import tuned_model
        from model_store.encoder import ImageEncoder

        return ImageEncoder(tuned_model(self.loaded, head), self.encoder().precision)

    def explain(
        self,
        mode: str,
        method: str,
        pictures: Sequence[NDArray[np.uint8]],
        findings: Sequence[str],
        head: Path | None,
    ) -> list[Explanation]:
        """Maps of these findings on display pictures (H, W).

        Args:
            mode: Which.
            method: A key of ``SALIENCY_METHODS``.
            pictures: Asked together.
            findings: In this order.
            head: Of lp and ft; None for a mode without one.

        Raises:
            ModelError: If the mode gives no map.
        """
        if head is None:
            return self._runtime.explain_batch(self.name, mode, method, pictures, findings)
        return self._runtime.explain_head(self.name, mode, method, pictures, findings, head)

    def sample_frames(self, plan: EvaluationPlan) -> Frames:
        """The first test pictures on the model's grid; read once."""
        images = [plan.images[row] for row in plan.rows("test")[:SAMPLE]]
        ids = tuple(image.image_id for image in images)
        if self._sample is None or self._sample[0] != ids:
            frames, _ = read_frames(images, self.encoder(), lambda *_: False)
            self._sample = ids, frames
        return self._sample[1]

    def seconds_per_image(self, encoder: Encoder, plan: EvaluationPlan) -> float:
        """Mean time of one test picture through the tower, in batches, files already decoded."""
        frames = self.sample_frames(plan)
        encoder.embed(frames[:1])  # the first pass also prepares kernels
        started = time.perf_counter()
        for start in range(0, len(frames), BATCH):
            encoder.embed(frames[start : start + BATCH])
        return (time.perf_counter() - started) / len(frames)

    def prompts(self, preset: str) -> PromptSet:
        """What stands for the findings under a preset."""
        return preset_prompts(preset, self.loaded.entry.prompts)

    def train_probe(
        self, plan: EvaluationPlan, embeddings: Embeddings, preset: str, path: Path, step: Step
    ) -> dict[str, object]:
        """What happened; the head lies at ``path`` then."""
        from model_store.linear_probe import train_linear_probe

        data = training_set(plan, no_picture)
        settings, tried = probe_settings(plan, embeddings, preset)
        settings = settings.changed([f"precision={self.encoder().precision}"])
        with disk_errors(path.parent):
            train_linear_probe(
                self.loaded, data, path, settings=settings, progress=step, embeddings=embeddings
            )
        return {**read_metadata(path).training, **tried}

    def train_tower(self, plan: EvaluationPlan, path: Path, step: Step) -> dict[str, object]:
        """What happened; tower and head lie at ``path`` then. Goes on after a kill."""
        from model_store.embedding_scores import train_within_memory

        rows = plan.rows("train", "validation")
        frames, reasons = read_frames([plan.images[row] for row in rows], self.encoder(), step)
        if reasons:
            raise AuditError(
                f"{len(reasons)} pictures cannot be read any more: {'; '.join(reasons[:3])}; "
                "restore them and start the same evaluation again"
            )
        place = {int(row): number for number, row in enumerate(rows)}
        data = training_set(plan, lambda row: frames[place[row]])
        asked = chosen_settings(plan, find_preset("ft", "study"))
        with disk_errors(path.parent):
            _, used = train_within_memory(self.loaded, data, path, settings=asked, progress=step)
        said: dict[str, object] = dict(read_metadata(path).training)
        if used.micro_batch:
            said["memory"] = (
                f"a batch of {used.batch_size} did not fit into the card's memory; "
                f"{used.micro_batch} pictures at a time, gradients added up"
            )
        return said

    @property
    def batch_size(self) -> int:
        """Pictures per training step, of probe and fine-tune alike."""
        return find_preset("ft", "study").batch_size

    def epochs(self, plan: EvaluationPlan) -> int:
        """How many epochs a fine-tune and the study's probe have at most."""
        return chosen_settings(plan, find_preset("ft", "study")).epochs

    def score_stage(
        self,
        mode: str,
        plan: EvaluationPlan,
        embeddings: Embeddings,
        *,
        preset: str = "",
        head: Path | None = None,
    ) -> Stage:
        """What a mode says about validation and test pictures.

        Args:
            mode: Which.
            plan: N pictures.
            embeddings: Shape (N, D), of the mode's own tower; rows for training are not read.
            preset: Whose prompts zero-shot is asked with.
            head: Of lp and ft.
        """
        from model_store.embedding_scores import score_embeddings

        rows = plan.rows("validation", "test")
        scored = score_embeddings(
            self.loaded,
            mode,
            plan.findings,
            embeddings[rows],
            head_path=head,
            prompts=self.prompts(preset) if mode == "zs" else None,
        )
        is_test = np.isin(rows, plan.rows("test"))
        facts: dict[str, object] = {
            "score": scored.kind,
            "weights_sha256": scored.weights_sha256,
            "prompts": scored.prompts,
        }
        if head is not None:
            facts["head_sha256"] = scored.weights_sha256
        return Stage(facts, {"validation": scored.scores[~is_test], "test": scored.scores[is_test]})

    def tower_stage(self, plan: EvaluationPlan, head: Path, step: Step) -> Stage:
        """What a fine-tune says about validation and test pictures, and their embeddings."""
        rows, test = plan.rows("validation", "test"), plan.rows("test")
        encoder = self.tuned_encoder(head)
        ids = [plan.images[row].image_id for row in rows]
        encoded = self._encode(_OneEncoder(encoder), ids, step)
        embeddings = np.zeros((len(plan.images), encoded.shape[1]), dtype=np.float32)
        embeddings[rows] = encoded
        stage = self.score_stage("ft", plan, embeddings, head=head)
        seconds = self.seconds_per_image(encoder, plan)
        return Stage(
            {**stage.facts, "seconds_per_image": seconds},
            {**stage.arrays, "embeddings": embeddings[test]},
        )

    def compare_towers(
        self, findings: Sequence[str], frames: Frames, head: Path
    ) -> dict[str, float]:
        """How far zero-shot's and the probe's embeddings of these pictures differ.

        Encoded again for each, through the mode's own network; relative to the largest number.
        """
        from model_store.embedding_scores import ask_mode

        first, _ = ask_mode(self.loaded, "zs", findings, frames)
        second, _ = ask_mode(self.loaded, "lp", findings, frames, head_path=head)
        scale = float(np.abs(first).max()) or 1.0
        return {
            "largest_embedding_difference": float(np.abs(first - second).max()) / scale,
            "n_pictures_encoded_again": len(frames),
        }

    def _encode(self, encoders: Encoders, ids: Sequence[str], step: Step) -> Embeddings:
        try:
            with disk_errors(self._workspace.cache):
                return encode_images(
                    self._workspace, self._store, encoders, self.name, ids, progress=step
                )
        except EncodingCancelled as stopped:
            raise Cancelled(f"{stopped}; start the same evaluation again to go on") from None

    def _unreadable(self, images: Sequence[ImageRecord], reason: str) -> dict[str, str]:
        """The pictures that were not encoded though all others were."""
        cache = EmbeddingCache(
            self._workspace.cache / "embeddings", encoding_of(self._runtime.encoder(self.name))
        )
        known = cache.read(image.sha256 for image in images)
        missing = [image for image in images if image.sha256 not in known]
        if not missing:
            raise AuditError(reason)
        return dict.fromkeys((image.image_id for image in missing), UNREADABLE)


def preset_prompts(preset: str, own: PromptSet) -> PromptSet:
    """Bare names and the dot product under the study preset, else the own prompts with cosine."""
    # Cosine, also where the workspace's own prompts ask for the study's dot product.
    return STUDY_PROMPTS if preset == STUDY else replace(own, score="cosine")


class _OneEncoder:
    """Gives one encoder, whatever model is asked for."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def encoder(self, model: str, /) -> Encoder:
        """The encoder."""
        del model
        return self._encoder
