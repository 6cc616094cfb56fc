"""CheXlocalize: radiologists' contours on CheXpert's validation and test pictures.

``gt_annotations_val.json`` or ``gt_annotations_test.json`` holds, by picture
(``patient64541_study1_view1_frontal``), ``img_size`` [height, width] and for each finding a list of
contours, each a list of points [x, y] in original pixels. The pictures are CheXpert's own, in their
folders (``patient64541/study1/view1_frontal.jpg``) or under that id as their name. Each contour is
a region; those of one finding overlap at times, and agreement unites them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from annotations.errors import InvalidRegion, UnknownSource
from annotations.shapes import Shape, parse_rings
from annotations.sources.listing import (
    Remark,
    Skipped,
    Source,
    SourceBox,
    SourceImage,
    SourceItem,
    SourceReading,
    absent_picture,
    check_exists,
    find_file,
    list_images,
    relative_name,
)
from annotations.sources.tables import read_text

FILES: Final = ("gt_annotations_val.json", "gt_annotations_test.json")
SIZE: Final = "img_size"
ALIASES: Final[Mapping[str, str]] = {"airspace opacity": "Lung Opacity"}
_PATIENT: Final = re.compile(r"(patient\d+)_study\d+")
_PARTS: Final = 3  # patient, study, view


def load_chexlocalize(source: Path) -> Iterator[SourceItem]:
    """The pictures that the file names, each with its contours as one reading, then the others.

    Raises:
        UnknownSource: If no such file is there.
    """
    source = check_exists(source)
    file = find_file(source, FILES, "the CheXlocalize import")
    root = source if source.is_dir() else source.parent
    content = _parse(file)
    if source.is_dir():
        yield from _others_beside(file)
    entries = list(list_images(root, [file]))
    yield from (entry for entry in entries if not isinstance(entry, Path))
    paths = [entry for entry in entries if isinstance(entry, Path)]
    pictures = {chexpert_id(path) or relative_name(path, root): path for path in paths}
    for key, said in content.items():
        path = pictures.get(key)
        if path is None:
            yield absent_picture(f"{file.name}, {key}", key, file.name)
        else:
            yield from _load_picture(path, key, said, file.name)
    others = (key for key in pictures if key not in content)
    yield from (_image(pictures[key], key, relative_name(pictures[key], root)) for key in others)


def _others_beside(file: Path) -> Iterator[Remark]:
    for name in FILES:
        if file.name != name and file.with_name(name).is_file():
            yield Remark(f"{name} beside {file.name} was not read; give the file itself")


def chexpert_id(path: Path) -> str:
    """What CheXlocalize calls a picture: patient, study and view; "" for another picture."""
    for key in (path.stem, "_".join([*path.parts[-_PARTS:-1], path.stem])):
        if _PATIENT.match(key):
            return key
    return ""


def _parse(file: Path) -> dict[str, dict[str, Any]]:
    try:
        content = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise UnknownSource(f"{file.name} is no JSON: {error}") from None
    if not isinstance(content, dict) or not content:
        raise UnknownSource(f"{file.name} is no object of pictures; expected CheXlocalize's file")
    wrong = next((key for key, said in content.items() if not _is_entry(said)), None)
    if wrong is not None:
        raise UnknownSource(
            f"{file.name} has no '{SIZE}' [height, width] of '{wrong}'; expected the annotations "
            "(gt_annotations_...), not the segmentations"
        )
    return content


def _is_entry(said: object) -> bool:
    size = said.get(SIZE) if isinstance(said, dict) else None
    return (
        isinstance(size, list)
        and len(size) == 2
        and all(isinstance(one, int) and one > 0 for one in size)
    )


def _load_picture(path: Path, key: str, said: Mapping[str, Any], file: str) -> Iterator[SourceItem]:
    boxes = []
    for finding, contours in said.items():
        if finding == SIZE:
            continue
        for position, contour in enumerate(contours if isinstance(contours, list) else [contours]):
            where = f"{file}, {key}, {finding} {position + 1}"
            try:
                shape = Shape("polygon", parse_rings([contour]))
            except InvalidRegion as error:
                yield Skipped(where, str(error))
                continue
            boxes.append(SourceBox(finding, shape.extent, where=where, shape=shape))
    height, width = said[SIZE]
    where = f"{file}, {key}"
    # Without contours the file says nothing: it marks ten findings, not that there is none.
    readings = (SourceReading(boxes=tuple(boxes), where=where),) if boxes else ()
    yield _image(path, key, where, readings, (height, width))


def _image(
    path: Path,
    key: str,
    where: str,
    readings: tuple[SourceReading, ...] = (),
    annotated_size: tuple[int, int] | None = None,
) -> SourceImage:
    patient = _PATIENT.match(key)
    return SourceImage(
        path=path,
        name=f"{key}{path.suffix}" if patient else path.name,
        where=where,
        patient=f"chexpert:{patient.group(1)}" if patient else None,
        study=f"chexpert:{patient.group(0)}" if patient else None,
        readings=readings,
        annotated_size=annotated_size,
    )


SOURCE: Final = Source(
    kind="chexlocalize",
    load=load_chexlocalize,
    aliases=ALIASES,
    description="CheXlocalize: gt_annotations_val.json or _test.json and CheXpert's pictures",
)
