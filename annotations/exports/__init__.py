"""Formats in which readings leave the workspace: one module per format, all in ``EXPORTERS``."""

from __future__ import annotations

import difflib
from dataclasses import replace
from pathlib import Path
from typing import Final

from annotations.cases import ADJUDICATION, REPEAT
from annotations.errors import ExportRefused
from annotations.exports import coco, csv, dicom_sr, jsonl, voc, yolo
from annotations.exports.exporter import Exported, Exporter
from annotations.store import Store

__all__ = ["EXPORTERS", "Exported", "Exporter", "export_readings"]

COMPLETE: Final = ("csv", "jsonl")  # the formats that say on which occasion a reading was made
EXPORTERS: Final[dict[str, Exporter]] = {
    exporter.kind: exporter
    for exporter in (
        csv.EXPORTER,
        jsonl.EXPORTER,
        coco.EXPORTER,
        yolo.EXPORTER,
        voc.EXPORTER,
        dicom_sr.EXPORTER,
    )
}


def export_readings(store: Store, kind: str, out: Path) -> Exported:
    """Write the readings in the format ``kind`` and say how much was written.

    Args:
        store: Of the workspace.
        kind: Key of ``EXPORTERS``.
        out: The file; for a format of many files the folder, which must be new or empty.

    Raises:
        ExportRefused: If the format is unknown, there is nothing that it could hold, or the file
            cannot be written.
    """
    if kind not in EXPORTERS:
        close = difflib.get_close_matches(kind.lower(), list(EXPORTERS), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ExportRefused(f"unknown format '{kind}'; known: {', '.join(EXPORTERS)}{hint}")
    try:
        exported = EXPORTERS[kind].write(store, out)
    except OSError as error:
        raise ExportRefused(f"cannot write {out}: {error.strerror}; choose another place") from None
    return exported if kind in COMPLETE else _with_left_out(store, exported)


def _with_left_out(store: Store, exported: Exported) -> Exported:
    further = store.readings.committed(blinded_only=False, occasions=(REPEAT, ADJUDICATION))
    if not further:
        return exported
    remark = f"{len(further)} repeats and adjudications left out: csv and jsonl hold them"
    return replace(exported, remarks=(*exported.remarks, remark))
