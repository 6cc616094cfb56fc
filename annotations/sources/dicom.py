"""DICOM files of a folder or a DICOMDIR, study by study, in the order of series and instance."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.filereader import read_file_meta_info
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from annotations.errors import UnknownSource
from annotations.imaging.files import DICOM_SUFFIXES
from annotations.sources.listing import (
    DICOMDIR,
    Remark,
    Skipped,
    Source,
    SourceImage,
    SourceItem,
    check_exists,
    has_dicom_magic,
    has_no_suffix,
    list_images,
    relative_name,
    walk_files,
)

_TAGS: Final = ["StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"]
_MAX_DICOMDIR_BYTES: Final = 256_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file belongs; unreadable headers give an empty place, the decoder says why."""

    study: str = ""
    series_number: int = 0
    series: str = ""
    instance_number: int = 0


def load_dicom(source: Path) -> Iterator[SourceItem]:
    """The DICOM files of a folder, a DICOMDIR or one file.

    Args:
        source: A folder (its DICOMDIR, if any, only tells which files are missing), the DICOMDIR
            itself (only what it lists), or one file.

    Raises:
        UnknownSource: If no DICOM file is there, or the DICOMDIR is damaged.
    """
    source = check_exists(source)
    root = source if source.is_dir() else source.parent
    paths: dict[Path, None] = {}
    for entry in _list_files(source):
        if isinstance(entry, Path):
            paths[entry] = None
        else:
            yield entry
    if not paths:
        raise UnknownSource(f"no DICOM file in {source}; expected .dcm files or a DICOMDIR")
    for path in order_by_study(list(paths)):
        name = relative_name(path, root)
        yield SourceImage(path=path, name=name, where=name)


def _list_files(source: Path) -> Iterator[Path | Skipped | Remark]:
    if source.is_file():
        if source.name.upper() == DICOMDIR:
            yield from files_of_dicomdir(source)
        else:
            yield source
        return
    n_others = 0
    for entry in list_images(source):
        if isinstance(entry, Path) and not _is_dicom_name(entry):
            n_others += 1
        else:
            yield entry
    if n_others:
        pictures = "picture that is" if n_others == 1 else "pictures that are"
        yield Remark(f"{n_others:,} {pictures} no DICOM left alone; use 'folder' for such files")
    for path in walk_files(source):
        if path.name.upper() == DICOMDIR:
            yield from files_of_dicomdir(path)


def _is_dicom_name(path: Path) -> bool:
    return path.suffix.lower() in DICOM_SUFFIXES or (has_no_suffix(path) and has_dicom_magic(path))


def files_of_dicomdir(path: Path) -> Iterator[Path | Skipped | Remark]:
    """The image files that a DICOMDIR lists, in its order; missing ones as skipped.

    Raises:
        UnknownSource: If it cannot be read as a DICOMDIR.
    """
    n_others = 0
    for number, record in enumerate(_records(path), start=1):
        file_id = record.get("ReferencedFileID")
        if not file_id:
            continue
        if record.get("DirectoryRecordType") != "IMAGE":
            n_others += 1
            continue
        parts = (
            [str(part) for part in file_id] if isinstance(file_id, MultiValue) else [str(file_id)]
        )
        where = f"{path.name}, record {number}"
        found = _find_below(path.parent, parts)
        if found is None:
            yield Skipped(
                where, f"file {'/'.join(parts)} is absent or outside the DICOMDIR's folder"
            )
        else:
            yield found
    if n_others:
        yield Remark(f"{n_others:,} objects of {path.name} that are no pictures left alone")


def _records(path: Path) -> list[pydicom.Dataset]:
    reason = "it lists no records"
    try:
        if path.stat().st_size > _MAX_DICOMDIR_BYTES:
            raise UnknownSource(f"{path} is larger than {_MAX_DICOMDIR_BYTES:,} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if read_file_meta_info(path).get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
                return list(pydicom.dcmread(path).DirectoryRecordSequence)
            reason = "it is deflated, which is refused"
    except UnknownSource:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file raises almost anything; reason kept
        reason = f"{type(error).__name__}: {error}"
    raise UnknownSource(f"{path} is no readable DICOMDIR ({reason}); give the folder of the files")


def _find_below(folder: Path, parts: list[str]) -> Path | None:
    """The file at this path below the folder; media differ in the case of names."""
    current = folder
    for part in parts:
        if part in ("", ".", "..") or "/" in part or "\\" in part:
            return None
        exact = current / part
        if exact.exists():
            current = exact
            continue
        same = [entry for entry in _entries(current) if entry.name.lower() == part.lower()]
        if not same:
            return None
        current = same[0]
    return current if current.is_file() else None


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def order_by_study(paths: list[Path]) -> list[Path]:
    """The files with those of one study together, inside by series number and instance number.

    Studies come in the order of their first file; files without a readable header form one group.
    """
    places = {path: read_place(path) for path in paths}
    first: dict[str, int] = {}
    for position, path in enumerate(paths):
        first.setdefault(places[path].study, position)
    given = {path: position for position, path in enumerate(paths)}

    def key(path: Path) -> tuple[int, int, str, int, int]:
        place = places[path]
        return (
            first[place.study],
            place.series_number,
            place.series,
            place.instance_number,
            given[path],
        )

    return sorted(paths, key=key)


def read_place(path: Path) -> Place:
    """Study, series and instance in the header, without decoding anything."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A deflated file of 1 MB can take 2 GB once opened; the decoder refuses it by name.
            if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
                return Place()
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
        return Place(
            study=str(header.get("StudyInstanceUID", "")),
            series_number=_number(header.get("SeriesNumber")),
            series=str(header.get("SeriesInstanceUID", "")),
            instance_number=_number(header.get("InstanceNumber")),
        )
    except Exception:  # noqa: BLE001 - order only: the decoder reads the file again and says why
        return Place()


def _number(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        return 0


SOURCE: Final = Source(
    kind="dicom",
    load=load_dicom,
    aliases={},
    description="DICOM files of a folder or a DICOMDIR, series of one study kept together",
)
