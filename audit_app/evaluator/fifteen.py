"""The study's 15 pictures: which they are, and where each mode looks on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotations.imaging import load_radiograph
from annotations.imaging.display import display_picture
from annotations.sources.iu_xray_labels import N_RADIOLOGIST, RADIOLOGIST_SUBSET, SEED
from audit_app.errors import AuditError
from audit_app.evaluator.plan import EvaluationPlan
from audit_app.evaluator.stages import Stage, disk_errors
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.region_scores import crop_to_picture
from audit_app.replacing import replacing
from model_store.errors import ModelError

if TYPE_CHECKING:
    from model_store.explanation import Explanation
    from model_store.preprocessing import FrameGeometry

Frames = Sequence[NDArray[np.uint8]]
Explain = Callable[[str, Frames], "list[Explanation]"]

METHOD: Final = "gradcam"
CELLS: Final = 56
WINDOWS: Final = "windows"
LABELS: Final = "labels"
FACTS: Final = "facts"


@dataclass(frozen=True, eq=False)
class FifteenMaps:
    """The maps of the 15 as ``maps_of_15.npz`` holds them.

    Attributes:
        image_ids: M ids.
        findings: K names.
        labels: Shape (M, K), 0 or 1: what the pictures' labels say.
        windows: Shape (M, 4): what the model saw of each picture, in original pixels.
        maps: By mode, shape (M, K, ``CELLS``, ``CELLS``), 0 to 255 between the lowest and the
            highest value of each map within its window; all 0 for an empty one.
        facts: JSON values: ``rule``, ``modes``, ``reasons`` why a mode has no maps, ``made_by``.
    """

    image_ids: tuple[str, ...]
    findings: tuple[str, ...]
    labels: NDArray[np.uint8]
    windows: NDArray[np.float32]
    maps: Mapping[str, NDArray[np.uint8]]
    facts: Mapping[str, Any]

    @property
    def modes(self) -> tuple[str, ...]:
        """Those that were evaluated, in order; one of them may have a reason instead of maps."""
        return tuple(self.facts["modes"])

    @property
    def rule(self) -> str:
        """Which pictures these are, in words."""
        return str(self.facts["rule"])

    @property
    def project(self) -> str:
        """The name under which they are the study's reading project; "" for another choice."""
        return str(self.facts["project"])


def choose_fifteen(plan: EvaluationPlan) -> tuple[tuple[int, ...], str, str]:
    """The rows of the 15, which they are in words, and the name of the study's own choice.

    Where the study's are not here, as many test pictures are drawn in the study's way.
    """
    known = [row for row, one in enumerate(plan.images) if one.image_id in plan.radiologist]
    if known:
        all_here = len(known) == N_RADIOLOGIST
        rule = "the study's 15" if all_here else f"the {len(known)} of the study's 15 that are here"
        return tuple(known), rule, RADIOLOGIST_SUBSET
    import pandas as pd  # takes a second to import

    test = pd.Series(plan.rows("test"))
    rows = test.sample(n=min(N_RADIOLOGIST, len(test)), random_state=SEED).tolist()
    rule = f"{len(rows)} test pictures, drawn as the study drew its 15 (seed {SEED})"
    return tuple(int(row) for row in rows), rule, ""


def fifteen_key(image_ids: Sequence[str], modes: Sequence[str], asked: Mapping[str, object]) -> str:
    """Changes when the pictures, the modes or what answers for them do; names the stage."""
    text = json.dumps([list(image_ids), list(modes), dict(asked)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def fifteen_stage(
    plan: EvaluationPlan, modes: Sequence[str], explain: Explain, pause: Pause = no_pause
) -> Stage:
    """The maps of the 15 in every mode.

    Args:
        plan: What is evaluated.
        modes: Which are asked.
        explain: Maps of all the plan's findings by one mode on pictures (H, W).
        pause: Before each mode.

    Returns:
        Arrays ``windows``, ``labels`` and one per mode, as in ``FifteenMaps`` but float32.
    """
    rows, rule, project = choose_fifteen(plan)
    pictures = [display_picture(load_radiograph(Path(plan.images[row].path))) for row in rows]
    arrays = {LABELS: plan.labels[list(rows)].astype(np.float32)}
    reasons: dict[str, str] = {}
    made_by: dict[str, object] = {}
    for number, mode in enumerate(modes):
        pause(f"{number} of {len(modes)} modes")
        try:
            told = explain(mode, pictures)
        except ModelError as error:  # a layer that gives no map, for instance
            reasons[mode] = str(error)
            continue
        made_by[mode] = told[0].provenance
        arrays[WINDOWS] = np.array([one.geometry.field_of_view for one in told], dtype=np.float32)
        arrays[mode] = np.stack(
            [np.stack([_small(one, answer.geometry) for one in answer.maps]) for answer in told]
        )
    facts = {
        "image_ids": [plan.images[row].image_id for row in rows],
        "findings": list(plan.findings),
        "modes": list(modes),
        "rule": rule,
        "project": project,
        "method": METHOD,
        "reasons": reasons,
        "made_by": made_by,
    }
    return Stage(facts, arrays)


def _small(saliency: NDArray[np.float32], geometry: FrameGeometry) -> NDArray[np.float32]:
    """Shape (CELLS, CELLS): whole numbers 0 to 255 over what shows the picture."""
    shown = crop_to_picture(saliency.astype(np.float64), geometry)
    low, high = float(shown.min()), float(shown.max())
    if high <= low:
        return np.zeros((CELLS, CELLS), np.float32)
    scaled = Image.fromarray(((shown - low) / (high - low)).astype(np.float32))
    small = np.asarray(scaled.resize((CELLS, CELLS), Image.Resampling.BILINEAR), dtype=np.float32)
    return np.rint(255 * small)


def write_fifteen(path: Path, stage: Stage) -> None:
    """Write ``maps_of_15.npz``.

    Raises:
        AuditError: If the disk is full.
    """
    arrays: dict[str, NDArray[Any]] = {
        name: values if name == WINDOWS else values.astype(np.uint8)
        for name, values in stage.arrays.items()
    }
    facts = np.array(json.dumps(dict(stage.facts)))
    with disk_errors(path.parent), replacing(path) as file:
        np.savez_compressed(file, **{FACTS: facts}, **arrays)  # type: ignore[arg-type] # the stub takes **arrays for its own flag


def read_fifteen(path: Path) -> FifteenMaps:
    """The maps in this file.

    Raises:
        AuditError: If it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise AuditError(f"{path.name} cannot be read ({error}); evaluate again") from None
    facts = json.loads(str(arrays[FACTS]))
    return FifteenMaps(
        image_ids=tuple(facts["image_ids"]),
        findings=tuple(facts["findings"]),
        labels=arrays[LABELS],
        windows=arrays.get(WINDOWS, np.zeros((0, 4), np.float32)),
        maps={mode: arrays[mode] for mode in facts["modes"] if mode in arrays},
        facts=facts,
    )
