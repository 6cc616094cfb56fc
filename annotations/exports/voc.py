"""Pascal VOC: a folder with one XML file per picture and reader.

Corners of ``bndbox`` are 1-based and inclusive: our half-open [x_min, x_max) becomes xmin = x_min +
1 and xmax = x_max. Files lie in ``READER/Annotations``; one without objects says No Finding.
Reader, version and certainty stand in elements of their own (``reading``, ``certainty``,
``region_id``), which VOC's readers pass over, and in ``regions.csv``.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Final

from annotations.exports.exporter import Exported, Exporter, unfinished_folder
from annotations.exports.sidecar import (
    PlacedReading,
    Sidecar,
    outlines_left_out,
    place_latest,
    superseded,
)
from annotations.records import Region
from annotations.regions import Box
from annotations.store import Store

# XML 1.0 has no way to write these.
_FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_voc(store: Store, path: Path) -> Exported:
    """Write the last committed version of every reading into the new folder ``path``."""
    sidecar, n_files, n_outlines = Sidecar(), 0, 0
    with unfinished_folder(path) as folder:
        for placed in place_latest(store, "Annotations", ".xml"):
            target = folder / placed.path
            target.parent.mkdir(parents=True, exist_ok=True)
            tree = ET.ElementTree(_annotation(placed))
            ET.indent(tree)
            tree.write(target, encoding="utf-8", xml_declaration=True)
            sidecar.add(placed)
            n_files += 1
            n_outlines += sum(region.shape is not None for region in placed.reading.regions)
        sidecar.write(folder)
    return Exported(n_files, "XML files", superseded(store) + outlines_left_out(n_outlines))


def voc_corners(box: Box) -> dict[str, int]:
    """The corners as VOC counts them: from 1, the last pixel included."""
    return {"xmin": box.x_min + 1, "ymin": box.y_min + 1, "xmax": box.x_max, "ymax": box.y_max}


def _annotation(placed: PlacedReading) -> ET.Element:
    image, reading = placed.image, placed.reading
    root = ET.Element("annotation")
    path = Path(image.path)
    _add(root, "folder", path.parent.name)
    _add(root, "filename", path.name)
    _add(root, "path", image.path)
    _add(_add(root, "source"), "database", image.source)
    size = _add(root, "size")
    for name, value in (("width", image.width), ("height", image.height), ("depth", 1)):
        _add(size, name, value)
    _add(root, "segmented", 0)
    said = _add(root, "reading")
    _add(said, "reader", reading.reader)
    _add(said, "reading_id", reading.reading_id)
    _add(said, "version", reading.commit_number)
    _add(said, "committed_at", reading.committed_at)
    _add(said, "blinded", int(reading.blinded))
    _add(said, "no_finding", int(reading.no_finding))
    for region in reading.regions:
        _add_object(root, region)
    return root


def _add_object(root: ET.Element, region: Region) -> None:
    entry = _add(root, "object")
    _add(entry, "name", region.finding)
    _add(entry, "pose", "Unspecified")
    _add(entry, "truncated", 0)
    _add(entry, "difficult", 0)
    _add(entry, "certainty", region.certainty)
    _add(entry, "region_id", region.region_id)
    corners = _add(entry, "bndbox")
    for name, value in voc_corners(region.box).items():
        _add(corners, name, value)


def _add(parent: ET.Element, name: str, value: str | int | None = None) -> ET.Element:
    child = ET.SubElement(parent, name)
    if value is not None:
        child.text = _FORBIDDEN.sub("\ufffd", str(value))
    return child


EXPORTER: Final = Exporter(
    kind="voc",
    write=write_voc,
    description="Pascal VOC XML files in a folder per reader, the last version of each reading",
    suffix="",
)
