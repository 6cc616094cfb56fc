"""What a running audit has so far, on disk, so that an interrupted one goes on where it was.

The file of a task (one patient in one pass) holds finished rows but for ``prior_hit``, and the sums
of the patient's own maps for the keys of these rows. The totals over all patients are written from
time to time together with the list of tasks in them; a task that finished after the last such
moment is done again.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audit_app.errors import AuditError
from audit_app.evaluation import Row, Setting
from audit_app.jobs import is_alive, own_start
from audit_app.mean_maps import IntMap, MapKey, MeanMaps
from audit_app.replacing import replacing
from model_store.preprocessing import FrameGeometry

CHECKPOINT_EVERY_S: Final = 20.0
_USER: Final = "process"


class OutdatedSpool(AuditError):
    """A folder that was begun on other readings, images, model or choices."""


@dataclass(frozen=True, slots=True)
class ScoredCase:
    """A row without ``prior_hit``, and where its map lay; no geometry where nothing was scored."""

    row: Row
    geometry: FrameGeometry | None

    @property
    def key(self) -> MapKey | None:
        """Which maps its mean map is made of."""
        if self.geometry is None:
            return None
        row = {name: str(self.row[name]) for name in ("model", "mode", "method", "finding")}
        height, width = self.geometry.input_size
        return MapKey(row["model"], row["mode"], row["method"], row["finding"], height, width)


@dataclass(frozen=True, slots=True)
class PatientResult:
    """Everything that one patient's images gave in one pass.

    Attributes:
        cases: In the order of the plan.
        sums: The patient's own normalised maps, summed over images, for each key.
        controls: Rows of controls.csv.
        reveals: Rows of reveal.csv.
    """

    cases: tuple[ScoredCase, ...]
    sums: dict[MapKey, IntMap]
    controls: tuple[Row, ...] = ()
    reveals: tuple[Row, ...] = ()


class AuditSpool:
    """The folder of one run."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Open the folder, made when it is absent.

        Raises:
            OutdatedSpool: If it was begun on other readings, images, model or choices.
            AuditError: If another process works on it.
        """
        self.folder = folder
        self.means = MeanMaps()
        self.made_by: dict[str, object] = {}
        self.finished: set[int] = set()
        self._saved_at = time.monotonic()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_unused(folder)
        self._check_fingerprint(fingerprint)
        (folder / _USER).write_text(f"{os.getpid()} {own_start()!r}", encoding="utf-8")
        if self._totals.exists():
            self._load_totals()

    def note(self, setting: Setting, provenance: Mapping[str, object]) -> None:
        """Remember what made the maps of this mode and method, as its first picture says."""
        name = f"{setting.model} {setting.mode} {setting.method}"
        self.made_by.setdefault(name, dict(provenance))

    def keep(self, number: int, result: PatientResult) -> None:
        """Keep the result of the task with this number."""
        self.means.add_patient(result.sums)
        needed = {case.key for case in result.cases}
        own = {key: sums for key, sums in result.sums.items() if key in needed}
        facts = {
            "cases": [
                [case.row, None if case.geometry is None else asdict(case.geometry)]
                for case in result.cases
            ],
            "keys": list(own),
            "controls": result.controls,
            "reveals": result.reveals,
        }
        arrays = {f"own_{index}": _differences(sums) for index, sums in enumerate(own.values())}
        with replacing(self._task(number)) as file:
            np.savez_compressed(file, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type] # the stub takes **arrays for its own flag
        self.finished.add(number)
        if time.monotonic() - self._saved_at > CHECKPOINT_EVERY_S:
            self.checkpoint()

    def load(self, number: int) -> PatientResult:
        """What was kept of this task; the sums for the keys of its rows only."""
        with np.load(self._task(number), allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            keys = [MapKey(*key) for key in facts["keys"]]
            sums = {key: _undo(stored[f"own_{index}"]) for index, key in enumerate(keys)}
        cases = (ScoredCase(row, _geometry(frame)) for row, frame in facts["cases"])
        controls, reveals = (tuple(facts[name]) for name in ("controls", "reveals"))
        return PatientResult(tuple(cases), sums, controls, reveals)

    def checkpoint(self) -> None:
        """Write the totals and which tasks are in them."""
        keys = list(self.means.totals)
        facts = {
            "finished": sorted(self.finished),
            "made_by": self.made_by,
            "keys": keys,
            "n_patients": [self.means.n_patients[key] for key in keys],
        }
        arrays = {f"total_{index}": self.means.totals[key] for index, key in enumerate(keys)}
        with replacing(self._totals) as file:
            np.savez(file, facts=np.array(json.dumps(facts)), **arrays)  # type: ignore[arg-type] # the stub takes **arrays for its own flag
        self._saved_at = time.monotonic()

    def remove(self) -> None:
        """Remove the folder: the run is done."""
        shutil.rmtree(self.folder)

    @property
    def _totals(self) -> Path:
        return self.folder / "totals.npz"

    def _task(self, number: int) -> Path:
        return self.folder / f"task-{number:07d}.npz"

    def _check_fingerprint(self, fingerprint: str) -> None:
        file = self.folder / "fingerprint"
        if not file.exists():
            file.write_text(fingerprint, encoding="utf-8")
        elif file.read_text(encoding="utf-8") != fingerprint:
            raise OutdatedSpool(
                "the readings, the images or a model (its weights, training, prompts or "
                "preprocessing) changed since this audit was interrupted; start a new one, so "
                "that all of its rows speak of the same state"
            )

    def _load_totals(self) -> None:
        with np.load(self._totals, allow_pickle=False) as stored:
            facts = json.loads(str(stored["facts"]))
            keys = [MapKey(*key) for key in facts["keys"]]
            self.means.totals = {key: stored[f"total_{i}"] for i, key in enumerate(keys)}
        self.means.n_patients = dict(zip(keys, facts["n_patients"], strict=True))
        self.finished = set(facts["finished"])
        self.made_by = facts["made_by"]


def check_unused(folder: Path) -> None:
    """Refuse a run's folder that another process works on.

    Raises:
        AuditError: If one does.
    """
    try:
        pid, pid_started = (folder / _USER).read_text(encoding="utf-8").split()
    except (FileNotFoundError, ValueError):
        return
    if int(pid) != os.getpid() and is_alive(int(pid), float(pid_started)):
        raise AuditError(
            f"this audit is running in process {pid}; wait for its end, or give another folder"
        )


def _differences(sums: IntMap) -> NDArray[np.int64]:
    """Second differences along rows: bilinear maps become mostly zeros, which compress well."""
    return np.diff(sums, n=2, axis=1, prepend=np.zeros((len(sums), 2), dtype=np.int64))


def _undo(differences: NDArray[np.int64]) -> IntMap:
    return np.cumsum(np.cumsum(differences, axis=1), axis=1)


def _geometry(facts: dict[str, object] | None) -> FrameGeometry | None:
    """The geometry that ``asdict`` wrote; JSON made its tuples lists."""
    if facts is None:
        return None
    values = {name: tuple(v) if isinstance(v, list) else v for name, v in facts.items()}
    return FrameGeometry(**values)  # type: ignore[arg-type] # written by asdict above
