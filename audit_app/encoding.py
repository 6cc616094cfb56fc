"""Images of a workspace to embeddings: each is encoded once per model, then kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from annotations.imaging.sample_pool import SamplePool, SampleRequest
from annotations.imaging.sampling import Sampling
from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace
from audit_app.errors import AuditError
from model_store.embeddings import EmbeddingCache, Embeddings, Encoding
from model_store.preprocessing import FrameGeometry, frame_geometry

Progress = Callable[[int, int, str], bool]
Frames = NDArray[np.uint8]
# Changes whenever the same file gives another frame: greys, reduced decoding, resizing.
PICTURES: Final = "display 1, reduced decoding 1"
BATCH: Final = 16
KEEP_EVERY_S: Final = 20.0
NAMED_FAILURES: Final = 3


class EncodingFailed(AuditError):
    """Some images could not be read; all others are encoded and kept."""


class EncodingCancelled(AuditError):
    """The encoding was stopped on request; what was encoded is kept."""


class Encoder(Protocol):
    """One model's image tower: see ``model_store.encoder.ImageEncoder``."""

    @property
    def input_size(self) -> tuple[int, int]:
        """(h, w) of a frame."""

    @property
    def preprocessing(self) -> Mapping[str, Any]:
        """How a picture becomes a frame and a frame an input."""

    @property
    def weights_sha256(self) -> str:
        """Of the weights that encode."""

    @property
    def precision(self) -> str:
        """Of the arithmetic."""

    def embed(self, frames: Frames, /) -> Embeddings:
        """Embeddings (B, D) of frames (B, h, w)."""


class Encoders(Protocol):
    """What gives a model's encoder: see ``model_store.runtime.ModelRuntime``."""

    def encoder(self, model: str, /) -> Encoder:
        """The encoder of the model with this name."""


def encode_images(
    workspace: Workspace,
    store: Store,
    runtime: Encoders,
    model: str,
    image_ids: Sequence[str],
    *,
    progress: Progress | None = None,
) -> Embeddings:
    """The un-normalised embedding of each image, shape (N, D), in the order of ``image_ids``.

    Images that were encoded before, with these weights and this preprocessing, are not encoded
    again: the embeddings are kept in the workspace's cache folder, also when this is stopped or
    killed in the middle. Files are decoded in processes of their own while the model works, and no
    larger than the model needs.

    Args:
        workspace: Whose cache is used.
        store: Of this workspace.
        runtime: Gives the model.
        model: Name of an entry.
        image_ids: At least one; an id may stand there twice.
        progress: Told (done, total, message) after each batch; true asks to stop.

    Raises:
        EncodingFailed: If images are missing, changed or cannot be read, after the others were
            encoded; the message counts them, with ids and reasons of the first: no file names.
        EncodingCancelled: On request.
        UnknownRecord: If an id is not one of the workspace.
        ModelError: If the model cannot be used.
    """
    if not image_ids:
        raise ValueError("no image given; name at least one")
    encoder = runtime.encoder(model)
    images = [store.images.get(image_id) for image_id in image_ids]
    cache = EmbeddingCache(workspace.cache / "embeddings", encoding_of(encoder))
    known = cache.read(image.sha256 for image in images)
    missing = {image.sha256: image for image in images if image.sha256 not in known}
    if missing:
        known |= _encode(list(missing.values()), encoder, cache, progress or _go_on)
    return np.stack([known[image.sha256] for image in images])


def encoding_of(encoder: Encoder) -> Encoding:
    """What the embeddings of this encoder depend on, beside the pictures."""
    return Encoding(
        encoder.weights_sha256, dict(encoder.preprocessing), encoder.precision, PICTURES
    )


def sampling_of(geometry: FrameGeometry, preprocessing: Mapping[str, Any]) -> Sampling:
    """How a picture of this geometry is brought onto the model's grid."""
    height, width = geometry.image_size
    return Sampling(
        image_size=geometry.image_size,
        resized=(round(height * geometry.scale_y), round(width * geometry.scale_x)),
        offset=(geometry.offset_y, geometry.offset_x),
        size=geometry.input_size,
        resample="bilinear" if preprocessing["interpolation"] == "bilinear" else "bicubic",
        fill=int(preprocessing["fill"]),
    )


def frame_request(image: ImageRecord, encoder: Encoder) -> SampleRequest:
    """What the decoding process is asked for this image.

    Raises:
        ValueError: If the picture is too narrow for the model's crop.
    """
    kind = str(encoder.preprocessing["kind"])
    geometry = frame_geometry(kind, (image.height, image.width), encoder.input_size)
    return SampleRequest(
        Path(image.path), sampling_of(geometry, encoder.preprocessing), image.sha256
    )


def _encode(
    images: Sequence[ImageRecord], encoder: Encoder, cache: EmbeddingCache, progress: Progress
) -> dict[str, Embeddings]:
    """SHA-256 of each file to its embedding; all are kept in the cache as well."""
    found: dict[str, Embeddings] = {}
    unsaved: list[str] = []
    failures: list[str] = []
    saved_at, done = time.monotonic(), 0

    def save() -> None:
        if unsaved:
            cache.add(unsaved, np.stack([found[one] for one in unsaved]))
            unsaved.clear()

    with SamplePool() as pool:
        try:
            frames = _frames(pool, images, encoder)
            while batch := list(islice(frames, BATCH)):
                embedded = _embed(batch, encoder, failures)
                found |= embedded
                unsaved += embedded
                done += len(batch)
                if time.monotonic() - saved_at > KEEP_EVERY_S:
                    save()
                    saved_at = time.monotonic()
                if progress(done, len(images), f"encoded picture {done} of {len(images)}"):
                    raise EncodingCancelled(
                        f"encoding stopped on request; {len(found)} new embeddings are kept"
                    )
        finally:
            save()
    if failures:
        raise EncodingFailed(_failure_sentence(failures, len(images)))
    return found


def _frames(
    pool: SamplePool, images: Sequence[ImageRecord], encoder: Encoder
) -> Iterator[tuple[ImageRecord, Frames | str]]:
    """Each image with its frame (h, w), or the reason why it has none."""
    requests: list[SampleRequest] = []
    reasons: dict[str, str] = {}
    for image in images:
        try:
            requests.append(frame_request(image, encoder))
        except ValueError as error:
            reasons[image.sha256] = str(error)
    samples = pool.samples(requests)
    for image in images:
        yield image, reasons[image.sha256] if image.sha256 in reasons else next(samples)


def _embed(
    batch: Sequence[tuple[ImageRecord, Frames | str]], encoder: Encoder, failures: list[str]
) -> dict[str, Embeddings]:
    frames = {image.sha256: frame for image, frame in batch if not isinstance(frame, str)}
    failures += [f"{image.image_id}: {frame}" for image, frame in batch if isinstance(frame, str)]
    if not frames:
        return {}
    embedded = dict(zip(frames, encoder.embed(np.stack(list(frames.values()))), strict=True))
    ids = {image.sha256: image.image_id for image, _ in batch}
    wrong = [one for one, values in embedded.items() if not np.isfinite(values).all()]
    failures += [f"{ids[one]}: the model's embedding of it is not finite" for one in wrong]
    return {one: values for one, values in embedded.items() if one not in wrong}


def _failure_sentence(failures: Sequence[str], total: int) -> str:
    named = "; ".join(failures[:NAMED_FAILURES])
    more = f"; and {len(failures) - NAMED_FAILURES} more" if len(failures) > NAMED_FAILURES else ""
    return (
        f"{len(failures)} of {total} images could not be encoded: {named}{more}. The others are "
        "encoded and kept; restore these files, or leave their images out, and start again"
    )


def _go_on(done: int, total: int, message: str) -> bool:
    del done, total, message
    return False
