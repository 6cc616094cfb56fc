"""The picture half of an import: hash, compare with what is stored, decode, copy in."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from annotations.errors import UnreadableImage
from annotations.image_entries import describe_image
from annotations.imaging import IsolatedLoader, Radiograph, file_sha256
from annotations.records import ImageRecord, NewImage
from annotations.sources.listing import SourceImage
from annotations.store import Store
from annotations.texts import is_valid_text
from annotations.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture ready to be stored, or one that is stored already."""

    item: SourceImage
    entry: NewImage | ImageRecord

    def stored(self, store: Store) -> tuple[ImageRecord, bool]:
        """The stored picture, and whether it is new."""
        if isinstance(self.entry, ImageRecord):
            return self.entry, False
        return store.images.add(self.entry)


class PictureReader:
    """Reads the pictures of one import; each is decoded in another process."""

    def __init__(self, workspace: Workspace, store: Store, kind: str, *, copy: bool) -> None:
        self._workspace = workspace
        self._store = store
        self._kind = kind
        self._copy = copy
        self._loader = IsolatedLoader()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._loader.close()

    def read(self, item: SourceImage) -> Picture:
        """The picture, decoded when the store does not hold it yet.

        Raises:
            UnreadableImage: If it is no radiograph, or not the file that was meant.
            OSError: If the file cannot be opened or copied.
        """
        _check_name(item)
        sha256 = file_sha256(item.path)
        if item.sha256 and item.sha256 != sha256:
            raise UnreadableImage(
                f"{item.path} is not the file that was annotated (SHA-256 {item.sha256[:12]}... "
                f"expected, {sha256[:12]}... found); restore it"
            )
        known = self._known(item)
        if known is None:
            return Picture(item, self._decode(item, sha256))
        if known.sha256 != sha256:
            raise UnreadableImage(
                f"{item.path} changed since it was imported on {known.added_at[:10]}; restore it, "
                "or import the new picture under another name"
            )
        return Picture(item, known)

    def _known(self, item: SourceImage) -> ImageRecord | None:
        images = self._store.images
        elsewhere = images.by_origin(item.origin) if item.origin else None
        if elsewhere is not None and elsewhere.sha256 == item.sha256:
            return elsewhere
        return images.by_origin(str(item.path))

    def _decode(self, item: SourceImage, sha256: str) -> NewImage:
        radiograph = self._loader.load(item.path)
        entry = describe_image(item.path, radiograph, source=self._kind, sha256=sha256)
        patient, study = self._hashes(item, radiograph)
        return replace(
            entry,
            path=str(self._copied(item.path, sha256)) if self._copy else entry.path,
            name=item.name,
            view=item.view or entry.view,
            patient_hash=patient,
            study_hash=study,
            history=item.history,
            report=item.report,
        )

    def _hashes(self, item: SourceImage, radiograph: Radiograph) -> tuple[str, str]:
        """Keyed hashes of patient and study: the source's word first, then the file's header."""
        identity = radiograph.identity
        patient = item.patient if item.patient is not None else identity.patient_id
        study = item.study if item.study is not None else identity.study_uid
        hash_of = self._workspace.patient_hash
        return (
            hash_of("patient", patient) if patient else "",
            hash_of("study", study) if study else "",
        )

    def _copied(self, path: Path, sha256: str) -> Path:
        copied = self._workspace.images / f"{sha256}{path.suffix.lower()}"
        if not copied.exists():
            unfinished = copied.with_name(copied.name + ".part")
            shutil.copyfile(path, unfinished)
            unfinished.chmod(0o600)
            if file_sha256(unfinished) != sha256:
                unfinished.unlink()
                raise UnreadableImage(f"{path} changed while it was copied; import it again")
            unfinished.replace(copied)
        return copied


def _check_name(item: SourceImage) -> None:
    """Names come as the file system has them, which need not be valid text."""
    for text in (str(item.path), item.name):
        if not is_valid_text(text):
            raise UnreadableImage(
                f"the file name {text!r} is no valid UTF-8; rename the file and import it again"
            )
