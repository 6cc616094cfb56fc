"""Image embeddings that were computed once, kept in shard files; numpy only.

A cache belongs to one way of encoding: weights, preprocessing and precision decide its folder, the
bytes of the image file decide the row. So an exchanged weights file, an edited entry or a changed
image never meets an old embedding.
"""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model_store.arrays_file import replace_arrays

Embeddings = NDArray[np.float32]
DESCRIPTION: Final = "encoding.json"
SHARDS: Final = "shard-*.npz"
HASH_LENGTH: Final = 64
DAMAGE: Final = (ValueError, KeyError, EOFError, zipfile.BadZipFile)
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoding:
    """Everything that decides an embedding but the picture.

    Attributes:
        weights_sha256: Of what the image tower was loaded from.
        preprocessing: As ``LoadedModel.describe_preprocessing`` gives it.
        precision: Of the arithmetic, for instance ``fp32``.
        pictures: How files become the pictures that are prepared; changes with the decoding.
    """

    weights_sha256: str
    preprocessing: Mapping[str, Any]
    precision: str
    pictures: str

    @property
    def sha256(self) -> str:
        """64 hex digits that no other encoding has."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The encoding as text, the same for equal encodings."""
        return json.dumps(asdict(self), sort_keys=True)


class EmbeddingCache:
    """The embeddings of one encoding; any number of processes may read and add."""

    def __init__(self, root: Path, encoding: Encoding) -> None:
        self.encoding = encoding
        self.folder = root / encoding.sha256[:32]

    def read(self, wanted: Iterable[str]) -> dict[str, Embeddings]:
        """SHA-256 of an image file to its embedding (D,), for those that are known.

        A shard that cannot be read is removed: its images count as unknown, and are encoded again.
        """
        missing = set(wanted)
        found: dict[str, Embeddings] = {}
        for path in sorted(self.folder.glob(SHARDS)):
            if not missing:
                break
            names, values = _read_shard(path)
            rows = {name: row for row, name in enumerate(names) if name in missing}
            found |= {name: values[row] for name, row in rows.items()}
            missing -= rows.keys()
        return found

    def add(self, images: Sequence[str], values: Embeddings) -> None:
        """Keep these embeddings; they are there, all of them, when this returns.

        Args:
            images: N hashes of image files, 64 hex digits each.
            values: Shape (N, D), finite.

        Raises:
            ValueError: If the shapes do not fit, or a value is not finite.
        """
        _check(images, values)
        if not images:
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        description = self.folder / DESCRIPTION
        if not description.exists():
            description.write_text(self.encoding.to_json(), encoding="utf-8")
        names = np.array(list(images), dtype=f"S{HASH_LENGTH}")
        rows = np.ascontiguousarray(values, dtype=np.float32)
        digest = hashlib.sha256(names.tobytes() + rows.tobytes()).hexdigest()[:32]
        replace_arrays(self.folder / f"shard-{digest}.npz", images=names, values=rows)


def _check(images: Sequence[str], values: Embeddings) -> None:
    if values.ndim != 2 or len(images) != len(values):
        raise ValueError(
            f"{len(images)} images and embeddings of shape {values.shape} given; expected one row "
            "per image"
        )
    wrong = [image for image in images if len(image) != HASH_LENGTH]
    if wrong:
        raise ValueError(f"image {wrong[0]!r} given; expected the SHA-256 of its file")
    bad = [image for image, row in zip(images, values, strict=True) if not np.isfinite(row).all()]
    if bad:
        raise ValueError(
            f"the embedding of {len(bad)} of {len(images)} images is not finite, the first is of "
            f"file {bad[0][:12]}; nothing of it is kept"
        )


def _read_shard(path: Path) -> tuple[list[str], Embeddings]:
    """Names and rows of one shard; nothing when another process or damage took it away."""
    try:
        # numpy leaves a file of its own open when it is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            names = [bytes(name).decode("ascii") for name in stored["images"]]
            values: Embeddings = stored["values"]
        if values.ndim != 2 or len(values) != len(names):
            raise ValueError(f"{len(names)} names and rows of shape {values.shape}")
    except FileNotFoundError:
        return [], np.empty((0, 0), dtype=np.float32)
    except DAMAGE as error:
        log.warning("%s is damaged (%s); its images are encoded again", path.name, error)
        path.unlink(missing_ok=True)
        return [], np.empty((0, 0), dtype=np.float32)
    return names, values
