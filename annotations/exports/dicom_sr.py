"""DICOM structured reports (TID 1500) for readings of DICOM pictures: one file per version.

Each region is a planar ROI (TID 1410): finding as a code, certainty as SNOMED's "Finding context",
its outline as SCOORD. SCOORD counts as we do, from the top-left corner of the top-left pixel
(PS3.3, C.18.6.1.2), so corners go over as they are (in single precision). A reading of No Finding
is a group without a region. The observer is the reader; instance number and predecessors tell the
version. Series and instance UIDs follow from the reading, so that a second export is the same.

Of the patient a report holds the workspace's keyed hash as ID, and study, series and picture by
UID, which a report must name; no name, birth or study date, sex or accession number, and no notes,
which are free text. Its own date and time are those of the commit (UTC).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotations.errors import ExportRefused
from annotations.exports.committed import ImageReadings, Names, list_readings, picture_stem
from annotations.exports.exporter import Exported, Exporter, unfinished_folder
from annotations.exports.sr_source import read_source
from annotations.records import CommittedReading
from annotations.store import Store

if TYPE_CHECKING:
    from pydicom.dataset import Dataset


def write_dicom_sr(store: Store, path: Path) -> Exported:
    """Write a report for each committed version on a DICOM picture into the new folder ``path``.

    Raises:
        ExportRefused: If there is none.
    """
    run = _Run(Names())
    with unfinished_folder(path) as folder:
        for item in list_readings(store):
            run.write(item, folder)
        if not run.n_written:
            reasons = "; ".join(run.remarks()) or "nothing is committed yet"
            raise ExportRefused(
                f"no committed reading of a DICOM picture ({reasons}); use another format"
            )
    return Exported(run.n_written, "reports", tuple(run.remarks()))


@dataclass(slots=True)
class _Run:
    """One export as it goes on."""

    names: Names
    n_written: int = 0
    left_out: Counter[str] = field(default_factory=Counter)

    def write(self, item: ImageReadings, folder: Path) -> None:
        """Write every version of every reader on one picture, or count why not."""
        # highdicom takes 1 s to load, and the page lists the formats without needing it.
        from annotations.exports.sr_report import build_report

        source = read_source(item.image)
        if isinstance(source, str):
            self.left_out[source] += 1
            return
        earlier: dict[str, list[Dataset]] = {}
        for reading in item.readings:
            before = earlier.setdefault(reading.reading_id, [])
            report = build_report(source, reading, before)
            report.save_as(folder / self._name(item, reading), enforce_file_format=True)
            before.append(report)
            self.n_written += 1

    def _name(self, item: ImageReadings, reading: CommittedReading) -> str:
        wanted = f"{picture_stem(item.image)}-{reading.reader}"
        stem = self.names.of(reading.reading_id, wanted)
        return f"{stem}-v{reading.commit_number}.dcm"

    def remarks(self) -> Iterator[str]:
        """One sentence per reason for which pictures have no report."""
        for reason, count in self.left_out.items():
            pictures = "picture" if count == 1 else "pictures"
            yield f"{count} read {pictures} left out: {reason}"


EXPORTER: Final = Exporter(
    kind="dicom-sr",
    write=write_dicom_sr,
    description="DICOM structured reports (TID 1500) of readings of DICOM pictures",
    suffix="",
)
