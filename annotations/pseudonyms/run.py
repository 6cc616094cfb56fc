"""All pictures of a workspace as copies that name nobody, each compared with its original."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError, StoreError, UnreadableImage
from annotations.imaging import IsolatedLoader, Radiograph, file_sha256, pixel_sha256
from annotations.imaging.display import display_picture
from annotations.imaging.magic import is_dicom
from annotations.pseudonyms.burned_in import text_lines
from annotations.pseudonyms.contact_sheet import ContactSheets
from annotations.pseudonyms.dicom import pseudonymise_dicom
from annotations.pseudonyms.raster import pseudonymise_raster
from annotations.records import ImageRecord
from annotations.store import Store
from annotations.workspace import Workspace

Progress = Callable[[int, int, str], bool]
LIST_NAME: Final = "pseudonymised.csv"
COLUMNS: Final = ("file", "patient", "look_first", "sheet", "place")
PICTURES: Final = "pictures"
BURNED_IN: Final = {
    "burned_in_annotation": "header: text burned in",
    "secondary_capture": "secondary capture",
}
LOOKS_LIKE_TEXT: Final = "looks like text"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One picture without a copy, and why."""

    image_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class PseudonymReport:
    """What was written.

    Attributes:
        folder: Where.
        n_written: Copies.
        n_look_first: Copies that may have text burned into the picture.
        n_sheets: Contact sheets.
        left_out: Pictures without a copy.
        is_cancelled: Whether it was stopped before its end.
    """

    folder: Path
    n_written: int
    n_look_first: int
    n_sheets: int
    left_out: tuple[LeftOut, ...]
    is_cancelled: bool = False

    def lines(self) -> list[str]:
        """What a person must know, in sentences."""
        lines = [f"Wrote {self.n_written:,} pictures to {self.folder / PICTURES}."]
        if self.n_look_first:
            lines.append(
                f"{self.n_look_first:,} of them may have text burned in: look at the sheets "
                "look-first-*.png."
            )
        if self.n_sheets:
            lines.append(
                f"No program can promise that no picture shows a name: look through all "
                f"{self.n_sheets:,} contact sheets before you share anything."
            )
        lines += [f"Left out {one.image_id}: {one.reason}" for one in self.left_out]
        if self.is_cancelled:
            lines.append("Stopped before the end.")
        return lines


def pseudonymise(
    workspace: Workspace, store: Store, out: Path, *, progress: Progress | None = None
) -> PseudonymReport:
    """Write a copy of every picture without anything that names a patient or a place.

    Patients and UIDs become keyed pseudonyms: the same in each run of this workspace, useless
    without its key. Names of files become opaque ids. A copy whose pixels differ is not kept.

    Args:
        workspace: Whose pictures, and whose key.
        store: Its store.
        out: A new or empty folder.
        progress: Called with (done, total, "") per picture; True asks to stop.

    Raises:
        StoreError: If the folder is not empty or cannot be written.
    """
    try:
        out.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise StoreError(f"{out} is not empty; give a new or an empty folder")
        (out / PICTURES).mkdir(mode=0o700)
        with ExitStack() as stack:
            run = _Run(workspace, out, stack)
            return run.all(store.images.all(), progress)
    except OSError as error:
        raise StoreError(
            f"the pictures cannot be written to {out}: {error.strerror or error}; check its rights "
            "and the free space"
        ) from error


class _Run:
    def __init__(self, workspace: Workspace, out: Path, stack: ExitStack) -> None:
        self._hash = workspace.patient_hash
        self._out = out
        self._loader = stack.enter_context(IsolatedLoader())
        self._first = stack.enter_context(
            ContactSheets(out, "look-first", "Look at these first: they may show a name")
        )
        self._others = stack.enter_context(
            ContactSheets(out, "others", "Does any letter here name a patient?")
        )
        file = stack.enter_context((out / LIST_NAME).open("x", encoding="utf-8", newline=""))
        self._list = csv.writer(file)
        self._list.writerow(COLUMNS)
        self._n_written = self._n_first = 0
        self._left_out: list[LeftOut] = []

    def all(self, images: list[ImageRecord], progress: Progress | None) -> PseudonymReport:
        """Each picture in turn; one that fails is left out with its reason."""
        is_cancelled = False
        for done, image in enumerate(images):
            if progress is not None and progress(done, len(images), ""):
                is_cancelled = True
                break
            try:
                self._one(image)
            except AnnotationError as error:
                self._left_out.append(LeftOut(image.image_id, str(error)))
        self._first.close()
        self._others.close()
        return PseudonymReport(
            self._out,
            self._n_written,
            self._n_first,
            self._first.n_sheets + self._others.n_sheets,
            tuple(self._left_out),
            is_cancelled,
        )

    def _one(self, image: ImageRecord) -> None:
        source = Path(image.path)
        _check_unchanged(source, image)
        radiograph = self._loader.load(source)
        patient = self._hash("pseudonym", image.patient_hash) if image.patient_hash else ""
        copy = self._out / PICTURES / f"{image.image_id}{_suffix(source)}"
        try:
            self._write(source, copy, radiograph, patient)
            if pixel_sha256(self._loader.load(copy)) != image.pixel_sha256:
                raise UnreadableImage("its copy does not have the same pixels; report this")
        except BaseException:
            copy.unlink(missing_ok=True)
            raise
        self._show(copy.name, image, radiograph, patient)

    def _write(self, source: Path, copy: Path, radiograph: Radiograph, patient: str) -> None:
        if is_dicom_source(source):
            try:
                pseudonymise_dicom(source, copy, self._hash, patient=patient)
            except (AnnotationError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - one file; its values must not be quoted
                raise UnreadableImage(
                    f"its header cannot be pseudonymised ({type(error).__name__})"
                ) from None
        else:
            pseudonymise_raster(source, copy, radiograph)
        copy.chmod(0o600)

    def _show(self, name: str, image: ImageRecord, radiograph: Radiograph, patient: str) -> None:
        picture = display_picture(radiograph)
        lines = text_lines(picture)
        remarks = [said for flag, said in BURNED_IN.items() if flag in image.flags]
        remark = "; ".join(remarks + ([LOOKS_LIKE_TEXT] if lines else []))
        sheets = self._first if remark else self._others
        sheet, place = sheets.add(picture, name, remark, lines)
        self._list.writerow((name, patient, remark, sheet, place))
        self._n_written += 1
        self._n_first += bool(remark)


def is_dicom_source(path: Path) -> bool:
    """Whether the loader reads the file as DICOM: by its magic word, or for want of a picture's."""
    if is_dicom(path):
        return True
    with path.open("rb") as file:
        head = file.read(8)
    return not head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"II", b"MM"))


def _suffix(path: Path) -> str:
    return ".dcm" if is_dicom_source(path) else path.suffix.lower()


def _check_unchanged(source: Path, image: ImageRecord) -> None:
    try:
        found = file_sha256(source)
    except FileNotFoundError:
        raise UnreadableImage("its file is missing; restore it") from None
    if found != image.sha256:
        raise UnreadableImage("its file changed since the import; restore it")
