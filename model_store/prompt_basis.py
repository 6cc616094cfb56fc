"""The zero-shot map of any text as a dot product: one picture's maps per embedding dimension.

Grad-CAM and HiResCAM are linear in the gradient of the score, and the gradient of a cosine with
respect to the image embedding is known in closed form. So the maps of all embedding dimensions hold
the map of every prompt. Nothing here imports torch.
"""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.arrays_file import replace_arrays
from model_store.preprocessing import FrameGeometry

# The methods whose maps, before their negative part is cut, are linear in the gradient.
LINEAR_METHODS: Final = ("gradcam", "hirescam")


@dataclass(frozen=True, eq=False)
class PromptBasis:
    """What a picture's zero-shot maps are made of.

    Attributes:
        basis: Shape (D, rows, columns), float16 in -1..1; times ``scale``: the map that the
            method gives, with its negative part, when the score is one dimension of the embedding.
        embedding: Shape (D,), the un-normalised image embedding.
        input_size: (h, w) of the model's grid, which the maps are enlarged to.
        geometry: From the picture's pixels to that grid, and back.
        layer: Where it was read.
        weights_sha256: Of the model.
        scale: See ``basis``.
        method: One of ``LINEAR_METHODS``.
    """

    basis: NDArray[np.float16]
    embedding: NDArray[np.float32]
    input_size: tuple[int, int]
    geometry: FrameGeometry
    layer: str
    weights_sha256: str
    scale: float = 1.0
    method: str = "gradcam"


def pack_basis(maps: NDArray[np.float32]) -> tuple[NDArray[np.float16], float]:
    """The maps in half precision, and the factor that gives them their unit back.

    Scaled by their largest value first: half precision ends at 6e-8.
    """
    highest = float(np.abs(maps).max())
    scale = highest if highest > 0 else 1.0
    return (maps / scale).astype(np.float16), scale


def prompt_maps(
    basis: PromptBasis, texts: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The maps and the cosines of these texts.

    Args:
        basis: Of one picture.
        texts: Shape (N, D), each row of length 1, by the same model.

    Returns:
        Maps (N, h, w), not negative, bilinear (half-pixel centres) on the input grid, in the unit
        of the method's map of the cosine; cosines (N,).

    Raises:
        ValueError: If the texts are not rows of D numbers and of length 1.
    """
    _check_texts(texts, len(basis.embedding))
    length = float(np.linalg.norm(basis.embedding))
    direction = basis.embedding / length
    scores = texts @ direction
    gradients = (texts - scores[:, None] * direction) / length
    n_texts, (rows, columns) = len(texts), basis.basis.shape[1:]
    flat = basis.basis.astype(np.float32).reshape(len(direction), -1)
    coarse = (gradients @ flat).reshape(n_texts, rows, columns) * np.float32(basis.scale)
    height, width = basis.input_size
    positive = np.maximum(coarse, 0)
    maps = _bilinear(rows, height) @ positive @ _bilinear(columns, width).T
    return maps.astype(np.float32, copy=False), scores.astype(np.float32, copy=False)


def write_basis(path: Path, basis: PromptBasis) -> None:
    """Keep the basis in this file; a reader sees the old file or the new one, never a part."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = {
        "input_size": basis.input_size,
        "geometry": asdict(basis.geometry),
        "layer": basis.layer,
        "weights_sha256": basis.weights_sha256,
        "scale": basis.scale,
        "method": basis.method,
    }
    replace_arrays(
        path, basis=basis.basis, embedding=basis.embedding, facts=np.array(json.dumps(facts))
    )


def read_basis(path: Path) -> PromptBasis | None:
    """The basis in this file, marked as just used; None when it must be computed (again).

    A damaged file counts as absent: it is a cache.
    """
    try:
        # numpy leaves a file of its own open when it is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            facts: dict[str, Any] = json.loads(str(stored["facts"]))
            basis = PromptBasis(
                basis=stored["basis"],
                embedding=stored["embedding"],
                input_size=_pair(facts["input_size"]),
                geometry=_geometry(facts["geometry"]),
                layer=str(facts["layer"]),
                weights_sha256=str(facts["weights_sha256"]),
                scale=float(facts["scale"]),
                method=str(facts["method"]),
            )
    except (FileNotFoundError, zipfile.BadZipFile, EOFError, KeyError, ValueError):
        return None
    os.utime(path)
    return basis


def _check_texts(texts: NDArray[np.float32], width: int) -> None:
    if texts.ndim != 2 or texts.shape[1] != width:
        raise ValueError(
            f"texts of shape {texts.shape} given; expected (N, {width}), embedded by the model "
            "that made the basis"
        )
    lengths = np.linalg.norm(texts, axis=1)
    if not np.allclose(lengths, 1, atol=1e-3):
        raise ValueError(f"texts of lengths {lengths[:4]} given; expected rows of length 1")


def _bilinear(n_from: int, n_to: int) -> NDArray[np.float32]:
    """Weights (n_to, n_from) that resample a row of values, half-pixel centres, edges held."""
    centres = (np.arange(n_to) + 0.5) * n_from / n_to - 0.5
    clamped = np.clip(centres, 0, n_from - 1)
    low = np.floor(clamped).astype(np.intp)
    high = np.minimum(low + 1, n_from - 1)
    share = clamped - low
    weights = np.zeros((n_to, n_from), dtype=np.float32)
    every = np.arange(n_to)
    np.add.at(weights, (every, low), (1 - share).astype(np.float32))
    np.add.at(weights, (every, high), share.astype(np.float32))
    return weights


def _pair(values: list[int]) -> tuple[int, int]:
    rows, columns = values
    return (int(rows), int(columns))


def _geometry(facts: dict[str, Any]) -> FrameGeometry:
    """The geometry that ``asdict`` wrote; JSON made its tuples lists."""
    return FrameGeometry(
        **{
            **facts,
            "image_size": _pair(facts["image_size"]),
            "input_size": _pair(facts["input_size"]),
        }
    )
