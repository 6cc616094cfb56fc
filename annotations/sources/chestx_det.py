"""ChestX-Det: ``ChestX_Det_train.json`` and ``ChestX_Det_test.json`` with boxes and polygons.

Each entry holds ``file_name`` and, in parallel lists, ``syms`` (findings), ``boxes`` [x1, y1, x2,
y2] and ``polygons`` (points [x, y]). Corners and points are taken as positions in the picture; a
polygon that is no outline leaves its box, and the report says so. An entry with empty lists makes
no reading: it says that none of 13 findings is seen, not that there is none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from annotations.errors import InvalidRegion, UnknownSource
from annotations.shapes import Shape, parse_rings
from annotations.sources.boxes import BoxRows, match_pictures
from annotations.sources.coco_annotations import is_number
from annotations.sources.listing import (
    Remark,
    Skipped,
    Source,
    SourceBox,
    SourceItem,
    check_exists,
    picture_key,
    walk_files,
)
from annotations.sources.nih_chestxray14 import ALIASES as NIH_ALIASES
from annotations.sources.tables import RowError, read_text

FILES: Final = ("chestx_det_train.json", "chestx_det_test.json", "train.json", "test.json")
ALIASES: Final[Mapping[str, str]] = {
    "effusion": NIH_ALIASES["effusion"],
    "mass": NIH_ALIASES["mass"],
    "nodule": NIH_ALIASES["nodule"],
    "diffuse nodule": "Lung Lesion",
    "pleural thickening": NIH_ALIASES["pleural thickening"],
}


def load_chestx_det(source: Path) -> Iterator[SourceItem]:
    """The pictures that the files name, each with its regions as one reading, then the others.

    Raises:
        UnknownSource: If no such file is there.
    """
    source = check_exists(source)
    files = [source] if source.is_file() else _find_files(source)
    gathered = _Gathered()
    for file in files:
        yield from gathered.add_file(file)
    yield from gathered.remarks()
    root = source if source.is_dir() else source.parent
    yield from match_pictures(gathered.rows, root, files)


def _find_files(root: Path) -> list[Path]:
    found = [path for path in walk_files(root) if path.name.lower() in FILES]
    if not found:
        raise UnknownSource(
            f"no ChestX_Det_train.json or ChestX_Det_test.json in {root}; give the file or its "
            "folder"
        )
    return found


@dataclass(slots=True)
class _Gathered:
    """The regions of all files so far, by picture."""

    rows: BoxRows = field(default_factory=BoxRows)
    lost: Counter[str] = field(default_factory=Counter)

    def add_file(self, file: Path) -> Iterator[Skipped]:
        """Keep the regions of one file and give what cannot be used."""
        for position, entry in enumerate(_parse(file), start=1):
            where = f"{file.name}, entry {position}"
            try:
                self._add_entry(entry, where)
            except RowError as error:
                yield Skipped(where, str(error))

    def _add_entry(self, entry: object, where: str) -> None:
        picture, syms, boxes, polygons = _lists_of(entry)
        regions = [
            self._region(sym, box, polygon, f"{where}, region {number}")
            for number, (sym, box, polygon) in enumerate(
                zip(syms, boxes, polygons, strict=True), start=1
            )
        ]
        for region in regions:
            self.rows.add_box(picture, "", region)

    def _region(self, term: object, box: object, polygon: object, where: str) -> SourceBox:
        if not isinstance(term, str) or not term.strip():
            raise RowError(f"finding {term!r} in syms is no text")
        if not isinstance(box, list) or len(box) != 4 or not all(is_number(one) for one in box):
            raise RowError(f"box {box!r} is not [x1, y1, x2, y2]")
        x_min, y_min, x_max, y_max = (float(one) for one in box)
        shape = None
        if polygon is not None:
            try:
                shape = Shape("polygon", parse_rings([polygon]))
            except InvalidRegion as error:
                self.lost[str(error)] += 1
        return SourceBox(term, (x_min, y_min, x_max, y_max), where=where, shape=shape)

    def remarks(self) -> Iterator[Remark]:
        """One sentence per reason for which polygons were not used."""
        for reason, count in self.lost.items():
            many = "polygon" if count == 1 else "polygons"
            yield Remark(f"{count:,} {many} not used, only the box: {reason}")


def _parse(file: Path) -> list[Any]:
    try:
        content = json.loads(read_text(file))
    except (ValueError, RecursionError) as error:
        raise UnknownSource(f"{file.name} is no JSON: {error}") from None
    entries: list[Any] = content if isinstance(content, list) else []
    if not entries or not isinstance(entries[0], dict) or "syms" not in entries[0]:
        raise UnknownSource(f"{file.name} is no list of entries with file_name and syms")
    return entries


def _lists_of(entry: object) -> tuple[str, list[Any], list[Any], list[Any]]:
    """Picture, findings, boxes and polygons of an entry; ChestX-Det10 has no polygons."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        raise RowError("no file_name; expected an object with file_name, syms, boxes and polygons")
    syms, boxes = entry.get("syms"), entry.get("boxes")
    if not isinstance(syms, list) or not isinstance(boxes, list):
        raise RowError("syms or boxes is no list")
    polygons = entry.get("polygons", [None] * len(syms))
    if not isinstance(polygons, list) or not len(syms) == len(boxes) == len(polygons):
        raise RowError(
            f"{len(syms)} syms, {len(boxes)} boxes and "
            f"{len(polygons) if isinstance(polygons, list) else 'no list of'} polygons; expected "
            "one of each per region"
        )
    return picture_key(entry["file_name"]), syms, boxes, polygons


SOURCE: Final = Source(
    kind="chestx-det",
    load=load_chestx_det,
    aliases=ALIASES,
    description="ChestX-Det: ChestX_Det_train.json or _test.json with polygons, and its pictures",
)
