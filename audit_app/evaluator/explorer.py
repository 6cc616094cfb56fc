"""Test embeddings in two dimensions: computed once per evaluation, kept beside its tables.

All modes stand in one layout, so that a picture can be followed from one to the next: PCA has the
same two axes for every tower, UMAP starts each further tower from the first one's map and turns the
result onto it.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audit_app.errors import AuditError
from audit_app.evaluator.stages import Arrays, Stage, disk_errors
from audit_app.metrics.pauses import Pause, no_pause
from audit_app.replacing import replacing

Points = NDArray[np.float64]
PCA: Final = "PCA"
UMAP: Final = "UMAP"
PROJECTIONS: Final = (PCA, UMAP)
MOST_PICTURES: Final = 4000
NEIGHBOURS: Final = 15
MIN_DISTANCE: Final = 0.1
IDS: Final = "image_ids"
FACTS: Final = "facts"


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each test picture stands, in every projection and for every tower.

    Attributes:
        image_ids: M ids.
        places: By projection and tower, shape (M, 2).
        facts: JSON values: ``n_test``, ``shares`` of the variance by tower, ``reasons`` why a
            projection is absent, the parameters of each.
    """

    image_ids: tuple[str, ...]
    places: Mapping[str, Mapping[str, NDArray[np.float32]]]
    facts: Mapping[str, Any]

    @property
    def reasons(self) -> dict[str, str]:
        """Why a projection is absent, by its name."""
        return dict(self.facts["reasons"])


def chosen_rows(n_pictures: int, seed: int) -> NDArray[np.intp]:
    """The rows that are shown: all, or a seeded choice of as many as a page can draw."""
    order = np.random.default_rng(seed).permutation(n_pictures)
    return np.sort(order[:MOST_PICTURES]).astype(np.intp)


def layout_key(towers: Mapping[str, NDArray[np.float32]]) -> str:
    """Changes when a tower's embeddings do; names the finished stage."""
    digest = hashlib.sha256()
    for name, values in towers.items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:12]


def layout_stage(
    towers: Mapping[str, NDArray[np.float32]], seed: int, pause: Pause = no_pause
) -> Stage:
    """Places of the chosen rows as arrays ``"<projection> <tower>"``, and the facts about them.

    Args:
        towers: Name to embeddings (N, D) of the same N pictures, un-normalised.
        seed: Of the choice of rows and of UMAP.
        pause: Before each tower's UMAP, which nothing can interrupt.
    """
    n_pictures = len(next(iter(towers.values())))
    rows = chosen_rows(n_pictures, seed)
    points = {name: values[rows].astype(np.float64) for name, values in towers.items()}
    places, shares = project_pca(points)
    arrays = {f"{PCA} {name}": found for name, found in places.items()}
    reasons = {}
    if len(rows) > NEIGHBOURS:
        arrays |= {f"{UMAP} {name}": at for name, at in project_umap(points, seed, pause).items()}
    else:
        reasons[UMAP] = (
            f"UMAP looks at the {NEIGHBOURS} nearest pictures of each; {len(rows)} test pictures "
            "are too few"
        )
    facts: dict[str, object] = {
        "n_test": n_pictures,
        "n_shown": len(rows),
        "towers": list(towers),
        "shares": shares,
        "reasons": reasons,
        "umap": {
            "neighbours": NEIGHBOURS,
            "min_distance": MIN_DISTANCE,
            "seed": seed,
            "version": metadata.version("umap-learn"),
        },
    }
    return Stage(facts, {name: values.astype(np.float32) for name, values in arrays.items()})


def project_pca(towers: Mapping[str, Points]) -> tuple[dict[str, Points], dict[str, list[float]]]:
    """The two directions along which all towers' embeddings together vary most.

    Each tower is centred on its own mean; the directions are the same for all.

    Returns:
        Places (N, 2) by tower, and by tower the share of its variance along each direction.
    """
    centred = {name: values - values.mean(axis=0) for name, values in towers.items()}
    together = np.concatenate(list(centred.values()))
    _, vectors = np.linalg.eigh(together.T @ together)
    axes = vectors[:, ::-1][:, :2]
    # A direction has no sign of its own: the largest coefficient points to the right.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places = {name: _two_columns(values @ axes) for name, values in centred.items()}
    shares = {}
    for name, values in centred.items():
        total = float((values**2).sum())
        along = (places[name] ** 2).sum(axis=0)
        shares[name] = [float(one) / total if total else 0.0 for one in along]
    return places, shares


def project_umap(
    towers: Mapping[str, Points], seed: int, pause: Pause = no_pause
) -> dict[str, Points]:
    """UMAP of each tower, started from and turned onto that of the first one."""
    first: Points | None = None
    places: dict[str, Points] = {}
    # UMAP ends by setting its thread's number of OpenMP threads, which torch reads as its own: what
    # this thread trains next would add up in another order.
    with ThreadPoolExecutor(max_workers=1) as thread:
        reduce = thread.submit(_load_umap).result()
        for name, values in towers.items():
            pause(f"{UMAP} of the {name} embeddings")
            start = "spectral" if first is None else first.astype(np.float32)
            found = thread.submit(reduce, values, start, seed).result()
            first = found if first is None else first
            places[name] = turned_onto(found, first)
    return places


def turned_onto(points: Points, fixed: Points) -> Points:
    """The points moved and turned (or mirrored), not stretched, as near to the others as can be.

    Source:
        Orthogonal Procrustes problem, Schoenemann 1966.
    """
    centre = fixed.mean(axis=0)
    moving = points - points.mean(axis=0)
    left, _, right = np.linalg.svd(moving.T @ (fixed - centre))
    turned: Points = moving @ (left @ right) + centre
    return turned


def _load_umap() -> Any:
    """A function that reduces; importing and compiling it takes many seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of optional parts that are not installed
        umap = import_module("umap")

    def reduce(values: Points, start: Any, seed: int) -> Points:
        reducer = umap.UMAP(
            n_neighbors=NEIGHBOURS,
            min_dist=MIN_DISTANCE,
            init=start,
            random_state=seed,
            n_jobs=1,
            # Its own search compiles for as long as all the rest, and takes four times as long.
            precomputed_knn=nearest_pictures(values),
            force_approximation_algorithm=True,  # without it, few pictures are searched again
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of graphs in several parts: the map shows them
            found: Points = np.asarray(reducer.fit_transform(values), dtype=np.float64)
        return found

    return reduce


def nearest_pictures(values: Points) -> tuple[NDArray[np.intp], Points]:
    """The nearest pictures of each, itself the first: rows (N, neighbours) and their distances.

    Args:
        values: Shape (N, D), N of a few thousand: all distances are held at once.
    """
    from scipy.spatial.distance import cdist  # takes time to load

    distances: Points = cdist(values, values)
    rows = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    return rows, np.take_along_axis(distances, rows, axis=1)


def _two_columns(values: Points) -> Points:
    """Shape (N, 2), with zeros where the embedding has one number only."""
    return np.pad(values, ((0, 0), (0, 2 - values.shape[1])))


def write_layout(path: Path, image_ids: list[str], stage: Stage) -> None:
    """Write ``explorer.npz``.

    Args:
        path: Of the file.
        image_ids: Of all N test pictures, rows as the embeddings that the stage was made of.
        stage: Of ``layout_stage``.

    Raises:
        AuditError: If the disk is full.
    """
    seed = int(stage.facts["umap"]["seed"])  # type: ignore[index] # written by layout_stage
    rows = chosen_rows(len(image_ids), seed)
    ids = np.array([image_ids[row] for row in rows])
    facts = np.array(json.dumps(dict(stage.facts)))
    with disk_errors(path.parent), replacing(path) as file:
        np.savez(file, **{IDS: ids, FACTS: facts}, **dict(stage.arrays))  # type: ignore[arg-type] # the stub takes **arrays for its own flag


def layout_problems(layout: Layout, towers: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """Where PCA of the embeddings gives other places; UMAP differs between machines.

    Args:
        layout: As kept.
        towers: Name to embeddings (N, D) of all test pictures.
    """
    n_pictures = len(next(iter(towers.values())))
    rows = chosen_rows(n_pictures, int(layout.facts["umap"]["seed"]))
    again, _ = project_pca(
        {name: values[rows].astype(np.float64) for name, values in towers.items()}
    )
    return [
        f"the map of the {name} embeddings does not follow from them"
        for name, places in again.items()
        if not np.allclose(places, layout.places[PCA][name], rtol=1e-4, atol=1e-4)
    ]


def read_layout(path: Path) -> Layout:
    """The layout in this file.

    Raises:
        AuditError: If it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays: Arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError) as error:
        raise AuditError(f"{path.name} cannot be read ({error}); evaluate again") from None
    facts = json.loads(str(arrays[FACTS]))
    places: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name, values in arrays.items():
        projection, _, tower = name.partition(" ")
        if tower:
            places.setdefault(projection, {})[tower] = values
    return Layout(tuple(str(one) for one in arrays[IDS]), places, facts)
