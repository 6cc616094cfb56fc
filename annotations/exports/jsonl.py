"""One JSON object per line and committed version, with everything that is known of it.

Each line holds ``image`` (name, path, origin, sha256, height, width, view, patient, study),
``reading`` (reader, reader_kind, reading_id, commit_number, committed_at, blinded, imported,
no_finding, content_sha256, occasion, independent, active_ms) and ``regions``: region_id, finding,
certainty, box (x_min, y_min, x_max, y_max: integers, original pixels, half-open), note and shape
(null, or kind and rings of a polygon or ellipse in original pixels). ``patient`` and ``study`` are
the workspace's keyed hashes. ``active_ms`` is the time on task: milliseconds at work on the case
until this commit, without pauses; null where it was not measured.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from annotations.cases import OCCASIONS
from annotations.exports.committed import list_readings
from annotations.exports.exporter import Exported, Exporter, unfinished_file
from annotations.records import CommittedReading, ImageRecord, Region
from annotations.shapes import shape_value
from annotations.store import Store


def write_jsonl(store: Store, path: Path) -> Exported:
    """Write every committed version of every reading, one object per line, UTF-8."""
    n_lines = 0
    with unfinished_file(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
        for item in list_readings(store, tuple(OCCASIONS)):
            for reading in item.readings:
                times = store.readings.time_on_task(reading.reading_id)
                active_ms = times.get(reading.commit_number)
                line = {
                    "image": image_value(item.image),
                    "reading": {**reading_value(reading), "active_ms": active_ms},
                    "parents": [
                        {"reading_id": one.reading_id, "commit_number": one.commit_number}
                        for one in store.adjudications.parents_of(reading.reading_id)
                    ],
                    "regions": [region_value(region) for region in reading.regions],
                }
                # ASCII, because a line separator within a text would cut a line in two.
                file.write(json.dumps(line, allow_nan=False) + "\n")
                n_lines += 1
    return Exported(n_lines, "readings")


def image_value(image: ImageRecord) -> dict[str, object]:
    """The picture as JSON values."""
    return {
        "name": image.name,
        "path": image.path,
        "origin": image.origin,
        "sha256": image.sha256,
        "height": image.height,
        "width": image.width,
        "view": image.view,
        "patient": image.patient_hash,
        "study": image.study_hash,
    }


def reading_value(reading: CommittedReading) -> dict[str, object]:
    """Who said it, when, and in which version, as JSON values."""
    return {
        "reader": reading.reader,
        "reader_kind": reading.reader_kind,
        "reading_id": reading.reading_id,
        "commit_number": reading.commit_number,
        "committed_at": reading.committed_at,
        "blinded": reading.blinded,
        "imported": reading.imported,
        "no_finding": reading.no_finding,
        "content_sha256": reading.content_sha256,
        "occasion": OCCASIONS[reading.occasion],
        "independent": reading.independent,
    }


def region_value(region: Region) -> dict[str, object]:
    """One region as JSON values."""
    return {
        "region_id": region.region_id,
        "finding": region.finding,
        "certainty": region.certainty,
        "box": list(region.box.corners),
        "note": region.note,
        "shape": None if region.shape is None else shape_value(region.shape),
    }


EXPORTER: Final = Exporter(
    kind="jsonl",
    write=write_jsonl,
    description="every version of every reading, one JSON object per line",
    suffix=".jsonl",
)
