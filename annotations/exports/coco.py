"""COCO object detection and segmentation: one JSON file that the data source ``coco`` reads back.

``bbox`` is [x, y, width, height] from the picture's top-left corner, which is our half-open box as
it is. ``segmentation`` holds the polygons of a region that has an outline (an ellipse as a polygon,
its axes in ``attributes``) and is empty for a box. ``annotations`` are the regions of the last
committed version of each reader, so that a training tool sees no region twice;
``earlier_annotations`` are those of the versions before. ``readings`` lists every version, also
those that say No Finding, with the ids of its annotations: it makes the file whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotations.exports.committed import ImageReadings, finding_names, list_readings
from annotations.exports.exporter import Exported, Exporter, unfinished_file
from annotations.exports.jsonl import image_value, reading_value
from annotations.records import CommittedReading, Region
from annotations.regions import outline_mask
from annotations.shapes import polygon_rings, shape_value
from annotations.store import Store

PROGRAM: Final = "Saliency Audit"
Entry = dict[str, object]


@dataclass(slots=True)
class _Content:
    """The lists of the file as they grow."""

    categories: dict[str, int]
    images: list[Entry] = field(default_factory=list)
    annotations: list[Entry] = field(default_factory=list)
    earlier: list[Entry] = field(default_factory=list)
    readings: list[Entry] = field(default_factory=list)

    def add(self, item: ImageReadings) -> None:
        """Keep one image with all its readings."""
        image_id = len(self.images) + 1
        self.images.append(_image(item, image_id))
        latest = item.latest()
        for reading in item.readings:
            is_latest = reading in latest
            ids = [self._add_region(item, reading, one, is_latest) for one in reading.regions]
            self.readings.append(
                {
                    "id": len(self.readings) + 1,
                    "image_id": image_id,
                    **reading_value(reading),
                    "is_latest": is_latest,
                    "annotation_ids": ids,
                }
            )

    def _add_region(
        self, item: ImageReadings, reading: CommittedReading, region: Region, is_latest: bool
    ) -> int:
        annotation_id = len(self.annotations) + len(self.earlier) + 1
        entry = {
            "id": annotation_id,
            "image_id": len(self.images),
            "category_id": self.categories[region.finding],
            **_place(region, item.image.size),
            "iscrowd": 0,
            "attributes": _attributes(reading, region),
        }
        (self.annotations if is_latest else self.earlier).append(entry)
        return annotation_id


def write_coco(store: Store, path: Path) -> Exported:
    """Write all committed readings as one COCO file."""
    names = finding_names(store)
    content = _Content({name: number for number, name in enumerate(names, start=1)})
    for item in list_readings(store):
        content.add(item)
    with unfinished_file(path) as unfinished:
        unfinished.write_text(
            json.dumps(_file(content), indent=1, ensure_ascii=False, allow_nan=False),
            encoding="utf-8",
        )
    return Exported(len(content.annotations) + len(content.earlier), "annotations")


def _file(content: _Content) -> Entry:
    return {
        "info": {
            "description": f"{PROGRAM}: committed readings",
            "version": "1.0",
            "coordinates": "original pixels; bbox is x, y, width, height",
        },
        "images": content.images,
        "categories": [
            {"id": number, "name": name, "supercategory": "finding"}
            for name, number in content.categories.items()
        ],
        "annotations": content.annotations,
        "earlier_annotations": content.earlier,
        "readings": content.readings,
    }


def _image(item: ImageReadings, image_id: int) -> Entry:
    values = image_value(item.image)
    return {"id": image_id, "file_name": values.pop("name"), **values}


def _place(region: Region, size: tuple[int, int]) -> Entry:
    x_min, y_min, x_max, y_max = region.box.corners
    shape = region.shape
    segmentation: Sequence[Sequence[float]] = []
    area = region.box.area_px
    if shape is not None:
        segmentation = [[v for point in ring for v in point] for ring in polygon_rings(shape)]
        area = int(outline_mask([shape], size).sum())
    return {
        "bbox": [x_min, y_min, x_max - x_min, y_max - y_min],
        "area": area,
        "segmentation": segmentation,
    }


def _attributes(reading: CommittedReading, region: Region) -> Entry:
    """What COCO has no field for; ``ellipse`` only where the outline is one."""
    ellipse = region.shape if region.shape and region.shape.kind == "ellipse" else None
    return {
        "reader": reading.reader,
        "commit_number": reading.commit_number,
        "certainty": region.certainty,
        "note": region.note,
        "region_id": region.region_id,
        **({} if ellipse is None else {"ellipse": shape_value(ellipse)["rings"]}),
    }


EXPORTER: Final = Exporter(
    kind="coco",
    write=write_coco,
    description="COCO boxes and polygons with reader and certainty; can be imported again",
    suffix=".json",
)
