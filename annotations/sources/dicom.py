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
from annotations.imaging.files import RASTER_SUFFIXES
from annotations.sources.listing import (
    DICOMDIR,
    Remark,
    Skipped,
    Source,
    SourceImage,
    SourceItem,
    check_exists,
    list_images,
    relative_name,
    walk_files,
)

_TAGS: Final = ["StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber", "InstanceNumber"]
_MAX_DICOMDIR_BYTES: Final = 256_000_000
_UNREADABLE_LIST: Final = (
    "is no readable DICOMDIR: files that it lists and that are missing are not named; copy it again"
)


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
        UnknownSource: If no DICOM file is there, or the DICOMDIR that was given is damaged.
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
    if source.is_dir():
        yield from _list_folder(source)
    elif source.name.upper() == DICOMDIR:
        yield from files_of_dicomdir(source)
    else:
        yield source


def _list_folder(folder: Path) -> Iterator[Path | Skipped | Remark]:
    n_others = 0
    for entry in list_images(folder):
        if isinstance(entry, Path) and entry.suffix.lower() in RASTER_SUFFIXES:
            n_others += 1
        else:
            yield entry
    if n_others:
        pictures = "picture that is" if n_others == 1 else "pictures that are"
        yield Remark(f"{n_others:,} {pictures} no DICOM left alone; use 'folder' for such files")
    for path in walk_files(folder):
        if path.name.upper() == DICOMDIR:
            try:
                yield from files_of_dicomdir(path)
            except UnknownSource:
                yield Skipped(relative_name(path, folder), _UNREADABLE_LIST)


def files_of_dicomdir(path: Path) -> Iterator[Path | Skipped | Remark]:
    """The image files that a DICOMDIR lists, in its order; missing ones as skipped.

    Raises:
        UnknownSource: If it cannot be read as a DICOMDIR.
    """
    n_others = 0
    for number, entry in enumerate(_listed(path), start=1):
        if not entry.parts:
            continue
        if entry.kind != "IMAGE":
            n_others += 1
            continue
        found = _find_below(path.parent, entry.parts)
        if found is None:
            yield Skipped(
                f"{path.name}, record {number}",
                f"file {'/'.join(entry.parts)} is absent or outside the DICOMDIR's folder",
            )
        else:
            yield found
    if n_others:
        yield Remark(f"{n_others:,} objects of {path.name} that are no pictures left alone")


@dataclass(frozen=True, slots=True)
class _Listed:
    """One record of a DICOMDIR: its type, and where the file that it names lies."""

    kind: str
    parts: list[str]


def _listed(path: Path) -> list[_Listed]:
    """Every record; the message of a refusal holds no value of the file, which names patients."""
    reason = "it is deflated, which is refused"
    try:
        if path.stat().st_size > _MAX_DICOMDIR_BYTES:
            raise UnknownSource(f"{path} is larger than {_MAX_DICOMDIR_BYTES:,} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if read_file_meta_info(path).get("TransferSyntaxUID") != DeflatedExplicitVRLittleEndian:
                return [_entry(record) for record in pydicom.dcmread(path).DirectoryRecordSequence]
    except UnknownSource:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file raises almost anything; its type is kept
        reason = type(error).__name__
    raise UnknownSource(f"{path} is no readable DICOMDIR ({reason}); give the folder of the files")


def _entry(record: pydicom.Dataset) -> _Listed:
    file_id = record.get("ReferencedFileID") or []
    parts = file_id if isinstance(file_id, MultiValue | list) else [file_id]
    return _Listed(str(record.get("DirectoryRecordType", "")), [str(part) for part in parts])


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
