"""What the page needs of a picture, made once and kept in the workspace's cache.

One folder per image: ``pixels.gz`` (raw values, C order, little endian), ``preview.jpg`` and
``display.json``. The folder can be deleted at any time; it is made again from the file.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from isal import igzip
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.imaging import file_sha256, load_radiograph
from annotations.imaging.display import display_picture
from annotations.imaging.radiograph import Radiograph, pixel_sha256
from annotations.records import ImageRecord
from annotations.workspace import Workspace
from audit_app.viewer.presets import page_presets

FORMAT: Final = 1  # count up when anything in the folder changes its meaning
CACHE_BYTES: Final = 2 << 30
PREVIEW_EDGE_PX: Final = 1024
PREVIEW_BYTES: Final = 100_000
PREVIEW_QUALITIES: Final = (85, 70, 55, 40, 25)
_FAST_GZIP: Final = 1

# One decode at a time for one image, whichever thread asks; a few locks serve all images.
_LOCKS: Final = tuple(threading.Lock() for _ in range(16))


@dataclass(frozen=True, slots=True)
class CachedPicture:
    """The cached files of one image."""

    folder: Path

    @property
    def pixels(self) -> Path:
        """Raw pixels, gzip."""
        return self.folder / "pixels.gz"

    @property
    def preview(self) -> Path:
        """JPEG of the default display, under 100 kB."""
        return self.folder / "preview.jpg"

    @property
    def description(self) -> Path:
        """How to display the pixels, and which file they came from."""
        return self.folder / "display.json"

    def display(self) -> dict[str, Any]:
        """bits, photometric, value_scale, value_offset, presets, default_preset."""
        content: dict[str, Any] = json.loads(self.description.read_text(encoding="utf-8"))
        display: dict[str, Any] = content["display"]
        return display


def cached_picture(workspace: Workspace, image: ImageRecord) -> CachedPicture:
    """The cached files of an image, made when they are absent.

    Raises:
        UnreadableImage: If the image's file is gone, was changed since the import, or now gives
            other pixels.
    """
    root = workspace.cache / "viewer"
    cached = CachedPicture(root / picture_key(image))
    stamp = _stamp(image)
    with _LOCKS[hash(cached.folder) % len(_LOCKS)]:
        if _stored_stamp(cached) == stamp:
            os.utime(cached.folder)
            return cached
        # The file's content decides: only what was decoded in isolation at the import is decoded
        # here, in this process.
        _check_unchanged(image)
        if _stored_stamp(cached) is None:
            _build(cached, image, stamp)
            _trim(root, keep=cached.folder)
        else:
            _restamp(cached, stamp)
    return cached


def preview_jpeg(picture: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """A JPEG of the displayed picture, its long edge at most 1024 px, under 100 kB."""
    small = Image.fromarray(picture)
    small.thumbnail((PREVIEW_EDGE_PX, PREVIEW_EDGE_PX), Image.Resampling.BOX)
    for quality in PREVIEW_QUALITIES:
        buffer = io.BytesIO()
        small.save(buffer, "JPEG", quality=quality)
        if buffer.tell() < PREVIEW_BYTES:
            return buffer.getvalue()
    small.thumbnail((PREVIEW_EDGE_PX // 2, PREVIEW_EDGE_PX // 2), Image.Resampling.BOX)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=PREVIEW_QUALITIES[-1])
    return buffer.getvalue()


def picture_key(image: ImageRecord) -> str:
    """The name of an image's folder below ``cache/viewer``."""
    return hashlib.sha256(f"{FORMAT}:{image.sha256}:{image.pixel_sha256}".encode()).hexdigest()[:40]


def _stamp(image: ImageRecord) -> list[int | str]:
    """What shows cheaply that the file is the one that was looked at last."""
    try:
        status = Path(image.path).stat()
    except OSError as error:
        raise _unreadable(image, error) from error
    return [image.path, status.st_size, status.st_mtime_ns]


def _unreadable(image: ImageRecord, error: OSError) -> UnreadableImage:
    """The refusal as it goes to the page, where nobody learns how the folders are named."""
    return UnreadableImage(
        f"the file of image '{image.name}' cannot be read ({error.strerror}); put it back where it "
        "was at the import: 'launch.py check W' names the place"
    )


def _stored_stamp(cached: CachedPicture) -> list[int | str] | None:
    try:
        content = json.loads(cached.description.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    stamp: list[int | str] = content["file"]
    return stamp


def _check_unchanged(image: ImageRecord) -> None:
    try:
        found = file_sha256(Path(image.path))
    except OSError as error:
        raise _unreadable(image, error) from error
    if found != image.sha256:
        raise UnreadableImage(
            f"the file of image '{image.name}' changed since it was imported "
            f"(SHA-256 {image.sha256[:12]}... then, {found[:12]}... now); its readings belong to "
            "the old picture: restore the file, or import the new one under another name"
        )


def _build(cached: CachedPicture, image: ImageRecord, stamp: list[int | str]) -> None:
    radiograph = load_radiograph(Path(image.path))
    if pixel_sha256(radiograph) != image.pixel_sha256:
        raise UnreadableImage(
            f"the file of image '{image.name}' is the imported one, but it is decoded to other "
            "pixels now; use the decoder versions of the import, or import it again into "
            "a new workspace"
        )
    partial = cached.folder.with_name(f"{cached.folder.name}.{uuid.uuid4().hex}.partial")
    partial.mkdir(parents=True, mode=0o700)
    made = CachedPicture(partial)
    # By a library: zlib takes twenty times as long for the same size, and a reader waits for it.
    made.pixels.write_bytes(igzip.compress(raw_bytes(radiograph), _FAST_GZIP, mtime=0))
    made.preview.write_bytes(preview_jpeg(display_picture(radiograph)))
    _write_description(made, display_of(radiograph), stamp)
    shutil.rmtree(cached.folder, ignore_errors=True)
    try:
        partial.rename(cached.folder)
    except OSError:  # another process was faster; its files say the same
        shutil.rmtree(partial, ignore_errors=True)


def raw_bytes(radiograph: Radiograph) -> bytes:
    """The pixels as the page reads them: C order, little endian."""
    pixels = radiograph.pixels
    return np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("<")).tobytes()


def display_of(radiograph: Radiograph) -> dict[str, Any]:
    """How the page displays the pixels."""
    shown, first = page_presets(radiograph)
    return {
        "bits": radiograph.bits,
        "photometric": radiograph.photometric,
        "value_scale": float(radiograph.value_scale),
        "value_offset": float(radiograph.value_offset),
        "presets": shown,
        "default_preset": first,
    }


def _write_description(
    cached: CachedPicture, display: dict[str, Any], stamp: list[int | str]
) -> None:
    partial = cached.description.with_suffix(f".{uuid.uuid4().hex}")
    partial.write_text(json.dumps({"file": stamp, "display": display}), encoding="utf-8")
    partial.replace(cached.description)


def _restamp(cached: CachedPicture, stamp: list[int | str]) -> None:
    """Note that a touched or moved file is still the imported one."""
    _write_description(cached, cached.display(), stamp)


def _trim(root: Path, *, keep: Path) -> None:
    """Delete what was used longest ago until the cache is within its bounds."""
    folders = sorted((path for path in root.iterdir() if path.is_dir()), key=_used_at)
    sizes = {folder: _size(folder) for folder in folders}
    total = sum(sizes.values())
    for folder in folders:
        if total <= CACHE_BYTES:
            return
        if folder != keep:
            shutil.rmtree(folder, ignore_errors=True)
            total -= sizes[folder]


def _used_at(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except OSError:
        return 0
