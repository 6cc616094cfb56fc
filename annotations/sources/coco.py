"""COCO object detection: boxes ``[x, y, width, height]`` with categories, and polygons.

A region whose ``segmentation`` is made of polygons keeps them as its outline (a rectangle is just
its box); of a run-length encoded one the box is kept, and the report says so. The source is one
JSON file or a folder with one or more (Roboflow writes one per split); a picture is looked for at
``file_name`` beside its JSON, then by name anywhere below.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from annotations.errors import UnknownSource
from annotations.sources.coco_annotations import Entry, id_key, parse_annotation, with_outline
from annotations.sources.coco_readings import OwnFile
from annotations.sources.listing import (
    PictureIndex,
    Remark,
    Skipped,
    Source,
    SourceBox,
    SourceImage,
    SourceItem,
    SourceReading,
    absent_picture,
    check_exists,
    index_pictures,
    relative_name,
    walk_files,
)
from annotations.sources.nih_chestxray14 import ALIASES as NIH_ALIASES
from annotations.sources.nih_chestxray14 import nih_patient
from annotations.sources.tables import RowError, read_text
from annotations.sources.vindr_cxr import ALIASES as VINDR_ALIASES

PARTS: Final = ("images", "annotations", "categories")
TWICE: Final = "picture is listed twice; import each JSON file on its own, with --reader"
OWN_PARTS: Final = ("earlier_annotations", "readings")  # of our own export
ALIASES: Final[Mapping[str, str]] = {
    **NIH_ALIASES,
    **VINDR_ALIASES,
    "lung mass": "Lung Lesion",
    "lung nodule": "Lung Lesion",
    "opacity": "Lung Opacity",
    "pleural effusions": "Pleural Effusion",
    "support device": "Support Devices",
}


@dataclass(frozen=True, slots=True)
class CocoFile:
    """One JSON file, checked to hold the three lists; ours holds two more."""

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]
    earlier: list[Any] = field(default_factory=list)
    readings: list[Any] | None = None


def load_coco(source: Path) -> Iterator[SourceItem]:
    """The pictures of each JSON file with their boxes as one reading.

    Raises:
        UnknownSource: If no COCO file is there.
    """
    source = check_exists(source)
    if source.is_file():
        files = [parse_coco(source)]
    else:
        files, remarks = _find_coco(source)
        yield from remarks
    root = source if source.is_dir() else source.parent
    looked_at = [source] if source.is_file() else [one for one in walk_files(root) if _is_json(one)]
    pictures = index_pictures(root, looked_at)
    yield from pictures.remarks()
    used: set[Path] = set()
    for file in files:
        for item in _load_file(file, pictures):
            if not isinstance(item, SourceImage):
                yield item
            elif item.path in used:
                yield Skipped(item.where, TWICE)
            else:
                used.add(item.path)
                yield item
    # An export of ours lists all that it is about.
    if all(file.readings is None for file in files):
        others = (path for path in pictures.by_key.values() if path not in used)
        yield from (_image(path, relative_name(path, root)) for path in others)


def parse_coco(path: Path) -> CocoFile:
    """The three lists of a COCO file.

    Raises:
        UnknownSource: If it is no JSON or lacks one of them; the message says which.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise UnknownSource(f"{path.name} is no JSON: {error}") from None
    missing = [
        part
        for part in PARTS
        if not (isinstance(content, dict) and isinstance(content.get(part), list))
    ]
    if missing:
        raise UnknownSource(
            f"{path.name} has no list {', '.join(missing)}; expected COCO with {', '.join(PARTS)}"
        )
    file = CocoFile(path, *(content[part] for part in PARTS))
    earlier, readings = (content.get(part) for part in OWN_PARTS)
    if isinstance(earlier, list) and isinstance(readings, list):
        return replace(file, earlier=earlier, readings=readings)
    return file


def _is_json(path: Path) -> bool:
    return path.suffix.lower() == ".json" and not path.name.startswith(".")


def _find_coco(root: Path) -> tuple[list[CocoFile], list[Remark]]:
    files: list[CocoFile] = []
    remarks: list[Remark] = []
    for path in walk_files(root):
        if _is_json(path):
            try:
                files.append(parse_coco(path))
            except UnknownSource as error:
                remarks.append(Remark(f"left alone: {error}"))
    if not files:
        reasons = f" ({remarks[0].text})" if remarks else ""
        raise UnknownSource(f"no COCO file (.json) in {root}{reasons}; give the file or its folder")
    return files, remarks


def _load_file(file: CocoFile, pictures: PictureIndex) -> Iterator[SourceItem]:
    name = file.path.name
    names = {
        id_key(entry.get("id")): str(entry.get("name", ""))
        for entry in file.categories
        if isinstance(entry, dict)
    }
    if file.readings is not None:
        regions = [*file.annotations, *file.earlier]
        yield from OwnFile(file.path, file.images, regions, file.readings, names).load()
        return
    said = _Said({}, set())
    yield from _gather(file, names, said)
    for position, entry in enumerate(file.images, start=1):
        yield _parse_image(entry, f"{name}, image {position}", file, pictures, said)


@dataclass(frozen=True, slots=True)
class _Said:
    """What the annotations say, by image id."""

    boxes: dict[str, list[SourceBox]]
    nothing: set[str]  # images with an annotation of the category "No Finding"


def _gather(file: CocoFile, names: Mapping[str, str], said: _Said) -> Iterator[SourceItem]:
    """Fill ``said`` and give what could not be used."""
    known = {id_key(entry.get("id")) for entry in file.images if isinstance(entry, dict)}
    lost: Counter[str] = Counter()
    for position, entry in enumerate(file.annotations, start=1):
        where = f"{file.path.name}, annotation {position}"
        try:
            box = parse_annotation(entry, names, where)
            if id_key(entry.get("image_id")) not in known:
                raise RowError(f"image_id {entry.get('image_id')!r} is not among the images")
        except RowError as error:
            yield Skipped(where, str(error))
            continue
        key = id_key(entry["image_id"])
        if box is None:
            said.nothing.add(key)
        else:
            outlined, reason = with_outline(box, entry)
            lost.update([reason] if reason else [])
            said.boxes.setdefault(key, []).append(outlined)
    for reason, count in lost.items():
        many = "outline" if count == 1 else "outlines"
        yield Remark(f"{count:,} {many} in {file.path.name} not used, only the box: {reason}")


def _parse_image(
    entry: object,
    where: str,
    file: CocoFile,
    pictures: PictureIndex,
    said: _Said,
) -> SourceItem:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        return Skipped(where, "no file_name; expected an object with id and file_name")
    path = _find_picture(file.path.parent, entry["file_name"], pictures)
    if path is None:
        return absent_picture(where, entry["file_name"], file.path.name)
    key = id_key(entry.get("id"))
    found = tuple(said.boxes.get(key, ()))
    readings = (
        (SourceReading(boxes=found, no_finding=not found, where=where),)
        if found or key in said.nothing
        else ()
    )
    return _image(path, where, readings, _size_of(entry))


def _image(
    path: Path,
    where: str,
    readings: tuple[SourceReading, ...] = (),
    annotated_size: tuple[int, int] | None = None,
) -> SourceImage:
    return SourceImage(
        path=path,
        name=path.name,
        where=where,
        patient=nih_patient(path.name),
        readings=readings,
        annotated_size=annotated_size,
    )


def _find_picture(folder: Path, file_name: str, pictures: PictureIndex) -> Path | None:
    relative = Path(file_name.replace("\\", "/"))
    # A COCO file may come from anywhere: it may only name pictures beside or below itself.
    if not relative.is_absolute() and ".." not in relative.parts:
        beside = folder / relative
        if beside.is_file():
            return beside
    return pictures.find(file_name)


def _size_of(entry: Entry) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return (height, width)
    return None


SOURCE: Final = Source(
    kind="coco",
    load=load_coco,
    aliases=ALIASES,
    description="COCO boxes and polygons: a JSON file and the pictures that it names",
)
