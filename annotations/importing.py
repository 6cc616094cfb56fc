"""From a data source into the workspace: pictures, readings, labels, and a report of all of it."""

from __future__ import annotations

import contextlib
import difflib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from annotations.errors import AnnotationError, UnknownSource, UnreadableImage
from annotations.import_pictures import Picture, PictureReader
from annotations.import_readings import ReadingWriter
from annotations.import_report import ImportedPicture, ImportReport
from annotations.sources import SOURCES
from annotations.sources.listing import Remark, Skipped, Source, SourceImage
from annotations.store import Store
from annotations.texts import valid_text
from annotations.workspace import Workspace
from annotations.workspace_lock import hold_import

__all__ = ["ImportReport", "ImportedPicture", "import_source"]

Progress = Callable[[int, int, str], bool]
# Decoded before the transaction starts; small enough that other writers wait for milliseconds.
_BATCH: Final = 64


def import_source(  # noqa: PLR0913 - who and how are two words each, not one record
    workspace: Workspace,
    store: Store,
    source: Path,
    kind: str,
    *,
    reader: str = "imported",
    copy: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Import a data source; the report also lies in the workspace's exports as CSV.

    Importing the same again changes nothing. A bad row or file is skipped with its reason.

    Args:
        workspace: Where to.
        store: Its store.
        source: File or folder.
        kind: Key of the table ``SOURCES``.
        reader: Name for readings of a source that names no reader.
        copy: Copy the files into the workspace instead of referring to them.
        progress: Called with (done, total, name) per picture; True asks to stop.

    Raises:
        UnknownSource: If the kind is unknown or nothing of it is there.
        WorkspaceError: While the workspace is shared through a public link.
        StoreError: If nothing more can be written (disk full, locked). What was written before is
            kept, with a report and a log row as far as those can still be written.
    """
    if not reader.strip():
        raise UnknownSource("the reader's name is empty; give the name of who drew the boxes")
    run = _Import(workspace, store, find_source(kind), reader.strip(), progress)
    lock = hold_import(workspace.root)
    try:
        return _run(run, source, copy=copy)
    finally:
        lock.release()


def _run(run: _Import, source: Path, *, copy: bool) -> ImportReport:
    workspace, store, kind = run.workspace, run.store, run.source.kind
    started = time.perf_counter()
    try:
        with PictureReader(workspace, store, kind, copy=copy) as pictures:
            run.load(source)
            run.import_all(pictures)
    except BaseException as error:
        run.stop(error)
        if run.has_changed:
            # Each on its own: what stopped the import may stop one of them, too.
            report = run.report(time.perf_counter() - started)
            with contextlib.suppress(OSError):
                report.write_csv(_report_path(workspace, kind))
            with contextlib.suppress(AnnotationError):
                run.log(source, report)
        raise
    report = run.report(time.perf_counter() - started)
    if run.has_changed:
        run.log(source, report)
    report.write_csv(_report_path(workspace, kind))
    return report


def find_source(kind: str) -> Source:
    """The data source of this kind.

    Raises:
        UnknownSource: With the known kinds and the nearest one.
    """
    if kind in SOURCES:
        return SOURCES[kind]
    close = difflib.get_close_matches(kind.lower(), list(SOURCES), n=1)
    hint = f"; did you mean '{close[0]}'?" if close else ""
    raise UnknownSource(f"unknown kind of source '{kind}'; known: {', '.join(SOURCES)}{hint}")


@dataclass(slots=True)
class _Import:
    """One import as it goes on."""

    workspace: Workspace
    store: Store
    source: Source
    reader: str
    progress: Progress | None
    items: list[SourceImage] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    pictures: list[ImportedPicture] = field(default_factory=list)
    writer: ReadingWriter = field(init=False)
    is_cancelled: bool = False

    def __post_init__(self) -> None:
        self.writer = ReadingWriter(
            self.store, self.workspace.settings.findings, self.source, self.reader
        )

    @property
    def has_changed(self) -> bool:
        """Whether the store is another than before."""
        return self.writer.has_changed or any(one.is_new for one in self.pictures)

    def load(self, source: Path) -> None:
        """List the source, without decoding anything."""
        for item in self.source.load(source):
            if isinstance(item, SourceImage):
                self.items.append(item)
            elif isinstance(item, Skipped):
                self.skipped.append(item)
            elif isinstance(item, Remark):
                self.remarks.append(item.text)

    def import_all(self, pictures: PictureReader) -> None:
        """Read and write all pictures, some at a time."""
        batch: list[Picture] = []
        for done, item in enumerate(self.items):
            if self._is_stopped(done, valid_text(item.name)):
                self.is_cancelled = True
                break
            try:
                batch.append(pictures.read(item))
            except (UnreadableImage, OSError) as error:
                self.skipped.append(Skipped(item.where, _reason(error)))
            if len(batch) == _BATCH:
                self._write(batch)
                batch = []
        self._write(batch)
        if not self.is_cancelled:
            self._is_stopped(len(self.items), "")

    def _is_stopped(self, done: int, name: str) -> bool:
        return self.progress is not None and self.progress(done, len(self.items), name)

    def _write(self, batch: Sequence[Picture]) -> None:
        """Store some pictures with what is said about them; all of it counts, or nothing."""
        before = self.writer.counts()
        pictures: list[ImportedPicture] = []
        skipped: list[Skipped] = []
        try:
            with self.store.batch():
                for picture in batch:
                    record, is_new = picture.stored(self.store)
                    where = picture.item.where
                    pictures.append(ImportedPicture(where, record.name, is_new=is_new))
                    skipped.extend(self.writer.write(picture.item, record))
        except BaseException:
            self.writer.set_back(before)
            raise
        self.pictures += pictures
        self.skipped += skipped

    def stop(self, error: BaseException) -> None:
        """Note why the import ended before its end."""
        if isinstance(error, KeyboardInterrupt):
            self.is_cancelled = True
            return
        # The text of an unexpected error is for nobody's report.
        reason = str(error) if isinstance(error, AnnotationError) else type(error).__name__
        self.remarks.append(f"stopped before the end: {reason}; import again to go on")

    def log(self, source: Path, report: ImportReport) -> None:
        """One row of the log for the whole import."""
        self.store.log.add("import", self.reader, valid_text(str(source)), _log_details(report))

    def report(self, elapsed_s: float) -> ImportReport:
        """What was done."""
        return ImportReport(
            kind=self.source.kind,
            pictures=tuple(self.pictures),
            skipped=tuple(self.skipped),
            n_readings=self.writer.n_readings,
            n_regions=self.writer.n_regions,
            mapped=dict(self.writer.mapped),
            unmapped=dict(self.writer.unmapped),
            label_source=self.source.label_source if self.writer.n_labelled else "",
            n_labelled=self.writer.n_labelled,
            remarks=(*self.remarks, *self.writer.remarks()),
            is_cancelled=self.is_cancelled,
            elapsed_s=elapsed_s,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return str(error)


def _report_path(workspace: Workspace, kind: str) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return next(_names(workspace.exports, f"import-{kind}-{stamp}"))


def _names(folder: Path, stem: str) -> Iterator[Path]:
    number = 1
    while True:
        path = folder / (f"{stem}.csv" if number == 1 else f"{stem}-{number}.csv")
        if not path.exists():
            yield path
        number += 1


def _log_details(report: ImportReport) -> dict[str, object]:
    return {
        "kind": report.kind,
        "new": report.n_new,
        "unchanged": report.n_unchanged,
        "skipped": len(report.skipped),
        "readings": report.n_readings,
        "regions": report.n_regions,
        "labels": report.label_source,
    }
