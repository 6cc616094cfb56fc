"""From a plan and a model to every mode's answers, stage by stage, each kept when it is done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from annotations.imaging import file_sha256
from annotations.workspace import Workspace
from audit_app.evaluator.answers import STUDY, Answers
from audit_app.evaluator.modelling import Encoded, EvaluatedModel
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.progress import Cancelled, Watch
from audit_app.evaluator.stages import Stage, StageFolder
from model_store.checkpoints import read_metadata
from model_store.errors import TrainingCancelled
from model_store.training import EpochEnd

ENCODE: Final = "encode pictures"
FIRST_MODES: Final = {"zs": "zero-shot scores", "cls": "own outputs"}
TRAIN_PROBE: Final = "train the probe"
TRAIN_TOWER: Final = "fine-tune"
SCORE_TOWER: Final = "scores of the fine-tune"
FLATTEN: Final = "map of the embeddings"
FIFTEEN: Final = "maps of the 15"
MEASURE: Final = "metrics"
WRITE: Final = "report"

# Of prompts, what says nothing about a score.
VERSION_KEYS: Final = ("prompt_version", "prompts_edited_at")

Embeddings = NDArray[np.float32]
Work = Callable[[], Stage]


def stage_names(modes: tuple[str, ...]) -> tuple[str, ...]:
    """The stages of an evaluation of these modes, in order."""
    names = [ENCODE, *(FIRST_MODES[mode] for mode in modes if mode in FIRST_MODES)]
    if "lp" in modes:
        names.append(TRAIN_PROBE)
    if "ft" in modes:
        names += [TRAIN_TOWER, SCORE_TOWER]
    return (*names, FLATTEN, FIFTEEN, MEASURE, WRITE)


def start_answering(
    workspace: Workspace, model: EvaluatedModel, plan: EvaluationPlan, watch: Watch
) -> Answering:
    """The evaluation once its pictures are encoded.

    Where finished stages are looked for follows from the pictures that could be read: one that
    comes back later begins another evaluation.

    Raises:
        Cancelled: On request.
        AuditError: If pictures or the disk do not allow it.
        ModelError: If the model cannot be used.
    """
    watch.begin(ENCODE, counts_images=True)
    encoded = model.encode(plan, watch.step)
    entry = model.loaded.entry.to_dict()
    key = encoded.plan.fingerprint(entry, model.encoder().precision)
    stages = StageFolder(workspace.cache / "evaluations", key)
    answering = Answering(
        model=model,
        stages=stages,
        weights=workspace.models / model.name / "evaluations" / stages.folder.name,
        watch=watch,
        plan=encoded.plan,
        embeddings=encoded.embeddings,
    )
    answering.note_encoding(encoded)
    return answering


@dataclass(eq=False)
class Answering:
    """One evaluation's way to its answers.

    Attributes:
        model: Asked.
        stages: Where finished stages lie.
        weights: Folder of the trained heads.
        watch: Told how it goes on.
        plan: What is evaluated, without unreadable pictures.
        embeddings: Shape (N, D), of the frozen tower, rows as the plan's pictures.
        answers: By (preset, mode).
        heads: By (preset, mode), the head file.
        made_by: By mode, what made its scores.
    """

    model: EvaluatedModel
    stages: StageFolder
    weights: Path
    watch: Watch
    plan: EvaluationPlan
    embeddings: Embeddings
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    heads: dict[tuple[str, str], Path] = field(default_factory=dict)
    made_by: dict[str, Mapping[str, object]] = field(default_factory=dict)

    def answer_all(self, modes: tuple[str, ...], presets: tuple[str, ...]) -> None:
        """Run every stage up to the scores of all modes.

        Raises:
            Cancelled: On request; finished stages are kept.
            AuditError: If labels, pictures or the disk do not allow it.
            ModelError: If the model or a training fails.
        """
        for mode in modes:
            try:
                self._answer(mode, presets, self.embeddings)
            except TrainingCancelled as stopped:
                raise Cancelled(
                    f"{stopped}; start the same evaluation again to go on from its finished stages"
                ) from None
        # Stages go mode by mode, tables preset by preset.
        self.answers = {
            (preset, mode): self.answers[preset, mode] for preset in presets for mode in modes
        }

    def _answer(self, mode: str, presets: tuple[str, ...], embeddings: Embeddings) -> None:
        if mode in FIRST_MODES:
            self._untrained(mode, presets, embeddings)
        elif mode == "lp":
            self._probe(presets, embeddings)
        else:
            self._tower(presets)

    def note_encoding(self, encoded: Encoded) -> None:
        """Keep how long it took and what it was done with; the first time counts."""

        def work() -> Stage:
            seconds = self.model.seconds_per_image(self.model.encoder(), self.plan)
            facts = {"seconds": encoded.seconds, "seconds_per_image": seconds}
            return Stage({**facts, "unreadable": dict(encoded.unreadable)})

        stage = self.stages.do("encode", work)
        encoder = self.model.encoder()
        self.made_by["encode"] = {
            **stage.facts,
            "weights_sha256": encoder.weights_sha256,
            "preprocessing": dict(encoder.preprocessing),
            "precision": encoder.precision,
        }
        self.watch.check()

    def _untrained(self, mode: str, presets: tuple[str, ...], embeddings: Embeddings) -> None:
        self.watch.begin(FIRST_MODES[mode])
        for preset in presets:
            prompts = self.model.prompts(preset) if mode == "zs" else None
            key = _short_hash(prompts.to_dict()) if prompts else "outputs"

            def work(preset: str = preset) -> Stage:
                return self.model.score_stage(mode, self.plan, embeddings, preset=preset)

            stage = self.stages.do(f"{mode}-{key}", work)
            self._keep((preset, mode), stage, self._test(embeddings))
        self.watch.check()

    def _probe(self, presets: tuple[str, ...], embeddings: Embeddings) -> None:
        for preset in presets:
            # The converged probe has no epochs.
            epochs = self.model.epochs(self.plan) if preset == STUDY else 0
            self.watch.begin(TRAIN_PROBE, epochs=epochs, images_per_step=self.model.batch_size)
            path = self.weights / f"lp-{preset}.safetensors"

            def work(preset: str = preset, path: Path = path) -> Stage:
                training = self.model.train_probe(
                    self.plan, embeddings, preset, path, self._training_step
                )
                stage = self.model.score_stage("lp", self.plan, embeddings, head=path)
                return Stage({**stage.facts, "training": training}, stage.arrays)

            self.heads[preset, "lp"] = path
            stage = self._trained(f"lp-{preset}", path, work)
            self._keep((preset, "lp"), stage, self._test(embeddings))
        self.watch.check()

    def _tower(self, presets: tuple[str, ...]) -> None:
        path = self.weights / "ft.safetensors"
        epochs = self.model.epochs(self.plan)
        self.watch.begin(TRAIN_TOWER, epochs=epochs, images_per_step=self.model.batch_size)

        def train() -> Stage:
            if path.is_file() and self.stages.find("train-ft") is None:
                # Killed after the weights were complete, before the stage was.
                training: Mapping[str, object] = read_metadata(path).training
            else:
                training = self.model.train_tower(self.plan, path, self._training_step)
            return Stage({"training": dict(training), "head_sha256": file_sha256(path)})

        trained = self._trained("train-ft", path, train)
        self.watch.check()
        self.watch.begin(SCORE_TOWER, counts_images=True)

        def score() -> Stage:
            return self.model.tower_stage(self.plan, path, self.watch.step)

        stage = self._trained("ft", path, score)
        facts = {**stage.facts, "training": trained.facts["training"]}
        for preset in presets:
            self.heads[preset, "ft"] = path
            self._keep((preset, "ft"), Stage(facts, stage.arrays), stage.arrays["embeddings"])
        self.watch.check()

    def _trained(self, name: str, path: Path, work: Work) -> Stage:
        """The finished stage when its weights are still those that it speaks of."""
        found = self.stages.find(name)
        if found is None or not path.is_file():
            return self.stages.keep(name, work())
        is_same = file_sha256(path) == found.facts["head_sha256"]
        return found if is_same else self.stages.keep(name, work())

    def _training_step(self, done: int, total: int, message: str) -> bool:
        ended = EpochEnd.parse(message)
        if ended is not None:
            self.watch.epoch(*ended)
        return self.watch.step(done, total, message)

    def _keep(self, key: tuple[str, str], stage: Stage, embeddings: Embeddings) -> None:
        preset, mode = key
        training = stage.facts.get("training")
        training = training if isinstance(training, dict) else {}
        minutes = training.get("minutes")
        seconds = (
            stage.facts.get("seconds_per_image") or self.made_by["encode"]["seconds_per_image"]
        )
        self.answers[key] = Answers(
            preset=preset,
            mode=mode,
            score=str(stage.facts["score"]),
            validation=stage.arrays["validation"],
            test=stage.arrays["test"],
            embeddings=embeddings,
            minutes=float(minutes) if minutes is not None else None,
            seconds_per_image=float(str(seconds)),
            training=training,
        )
        told = {name: value for name, value in stage.facts.items() if name != "training"}
        self.made_by[f"{preset} {mode}"] = told

    def _test(self, embeddings: Embeddings) -> Embeddings:
        return embeddings[self.plan.rows("test")]


def _short_hash(values: Mapping[str, object]) -> str:
    """Of prompts, whatever their version."""
    content = {key: value for key, value in values.items() if key not in VERSION_KEYS}
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
