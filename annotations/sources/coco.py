"""COCO object detection: boxes ``[x, y, width, height]`` with categories.

The source is one JSON file or a folder with one or more (Roboflow writes one per split); a picture
is looked for at ``file_name`` beside its JSON, then by name anywhere below.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from annotations.errors import UnknownSource
from annotations.sources.boxes import corners_of, is_no_finding
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
ALIASES: Final[Mapping[str, str]] = {
    **NIH_ALIASES,
    **VINDR_ALIASES,
    "lung mass": "Lung Lesion",
    "lung nodule": "Lung Lesion",
    "opacity": "Lung Opacity",
    "pleural effusions": "Pleural Effusion",
    "support device": "Support Devices",
}

Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CocoFile:
    """One JSON file, checked to hold the three lists."""

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]


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
    pictures = index_pictures(root)
    yield from pictures.remarks()
    used: set[Path] = set()
    for file in files:
        for item in _load_file(file, pictures):
            if not isinstance(item, SourceImage):
                yield item
            elif item.path in used:
                yield Skipped(
                    item.where,
                    "picture is listed twice; import each JSON file on its own, with --reader",
                )
            else:
                used.add(item.path)
                yield item
    for path in pictures.by_key.values():
        if path not in used:
            yield _image(path, relative_name(path, root))


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
    return CocoFile(path, *(content[part] for part in PARTS))


def _find_coco(root: Path) -> tuple[list[CocoFile], list[Remark]]:
    files: list[CocoFile] = []
    remarks: list[Remark] = []
    for path in walk_files(root):
        if path.suffix.lower() == ".json" and not path.name.startswith("."):
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
        _key(entry.get("id")): str(entry.get("name", ""))
        for entry in file.categories
        if isinstance(entry, dict)
    }
    known = {_key(entry.get("id")) for entry in file.images if isinstance(entry, dict)}
    boxes: dict[str, list[SourceBox]] = {}
    nothing: set[str] = set()
    for position, entry in enumerate(file.annotations, start=1):
        where = f"{name}, annotation {position}"
        try:
            box = _parse_box(entry, names, where)
            if _key(entry.get("image_id")) not in known:
                raise RowError(f"image_id {entry.get('image_id')!r} is not among the images")
        except RowError as error:
            yield Skipped(where, str(error))
            continue
        if box is None:
            nothing.add(_key(entry["image_id"]))
        else:
            boxes.setdefault(_key(entry["image_id"]), []).append(box)
    for position, entry in enumerate(file.images, start=1):
        yield _parse_image(entry, f"{name}, image {position}", file, pictures, (boxes, nothing))


def _parse_image(
    entry: object,
    where: str,
    file: CocoFile,
    pictures: PictureIndex,
    said: tuple[dict[str, list[SourceBox]], set[str]],
) -> SourceItem:
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        return Skipped(where, "no file_name; expected an object with id and file_name")
    path = _find_picture(file.path.parent, entry["file_name"], pictures)
    if path is None:
        return absent_picture(where, entry["file_name"], file.path.name)
    boxes, nothing = said
    key = _key(entry.get("id"))
    found = tuple(boxes.get(key, ()))
    readings = (
        (SourceReading(boxes=found, no_finding=not found, where=where),)
        if found or key in nothing
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


def _parse_box(entry: object, names: Mapping[str, str], where: str) -> SourceBox | None:
    """The box of one annotation; None for one of a category "No Finding"."""
    if not isinstance(entry, dict):
        raise RowError("not an object; expected image_id, category_id and bbox")
    term = names.get(_key(entry.get("category_id")), "")
    if not term:
        raise RowError(f"category_id {entry.get('category_id')!r} is not among the categories")
    if is_no_finding(term):
        return None
    values = entry.get("bbox")
    if not isinstance(values, list) or len(values) != 4 or not all(_is_number(v) for v in values):
        raise RowError(f"bbox {values!r} is not [x, y, width, height]")
    return SourceBox(term, corners_of([float(value) for value in values]), where=where)


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _size_of(entry: Entry) -> tuple[int, int] | None:
    height, width = entry.get("height"), entry.get("width")
    if isinstance(height, int) and isinstance(width, int) and height > 0 and width > 0:
        return (height, width)
    return None


def _key(value: object) -> str:
    """Ids are numbers in most files and strings in some; 1, 1.0 and "1" mean the same image."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


SOURCE: Final = Source(
    kind="coco",
    load=load_coco,
    aliases=ALIASES,
    description="COCO boxes: a JSON file with images, annotations and categories, and its pictures",
)
