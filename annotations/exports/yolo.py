"""YOLO detection: a folder with one text file per picture and reader.

A line is ``class x_centre y_centre width height``, all but the class as shares of the picture's
width and height (Ultralytics' form of YOLO labels). With ten decimals the whole-pixel corners come
back exactly on any radiograph. Files lie in ``READER/labels``; one without lines says No Finding.
``data.yaml`` names the classes and ``regions.csv`` holds reader, certainty and version of each
line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from annotations.exports.committed import finding_names
from annotations.exports.exporter import Exported, Exporter, unfinished_folder
from annotations.exports.sidecar import (
    PlacedReading,
    Sidecar,
    outlines_left_out,
    place_latest,
    superseded,
)
from annotations.findings import NO_FINDING
from annotations.regions import Box, Size
from annotations.store import Store

CLASSES: Final = "data.yaml"


def write_yolo(store: Store, path: Path) -> Exported:
    """Write the last committed version of every reading into the new folder ``path``."""
    names = [name for name in finding_names(store) if name != NO_FINDING]
    classes = {name: number for number, name in enumerate(names)}
    sidecar, n_files, n_outlines = Sidecar(), 0, 0
    with unfinished_folder(path) as folder:
        for placed in place_latest(store, "labels", ".txt"):
            _write_labels(folder, placed, classes)
            sidecar.add(placed)
            n_files += 1
            n_outlines += sum(region.shape is not None for region in placed.reading.regions)
        (folder / CLASSES).write_text(class_list(names), encoding="utf-8")
        sidecar.write(folder)
    return Exported(n_files, "label files", superseded(store) + outlines_left_out(n_outlines))


def class_list(names: Sequence[str]) -> str:
    """The classes as YAML, each with its number."""
    # A JSON string is a YAML string.
    lines = [f"  {number}: {json.dumps(name)}" for number, name in enumerate(names)]
    return "\n".join([f"nc: {len(names)}", "names:", *lines]) + "\n"


def yolo_numbers(box: Box, size: Size) -> tuple[float, float, float, float]:
    """x_centre, y_centre, width and height of a box as shares of a picture of ``size`` (H, W)."""
    height, width = size
    return (
        (box.x_min + box.x_max) / 2 / width,
        (box.y_min + box.y_max) / 2 / height,
        (box.x_max - box.x_min) / width,
        (box.y_max - box.y_min) / height,
    )


def _write_labels(folder: Path, placed: PlacedReading, classes: Mapping[str, int]) -> None:
    target = folder / placed.path
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for region in placed.reading.regions:
        numbers = yolo_numbers(region.box, placed.image.size)
        lines.append(f"{classes[region.finding]} " + " ".join(f"{one:.10f}" for one in numbers))
    target.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


EXPORTER: Final = Exporter(
    kind="yolo",
    write=write_yolo,
    description="YOLO label files in a folder per reader, the last version of each reading",
    suffix="",
)
