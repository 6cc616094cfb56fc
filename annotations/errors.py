"""The errors of this package. Each message says what was given, what was expected, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from annotations.records import Reading


class AnnotationError(Exception):
    """Anything that this package refuses; the message is a sentence for the user."""


class UnknownFinding(AnnotationError):
    """A term that is neither a finding of the workspace nor an alias of one."""


class InvalidRegion(AnnotationError):
    """A box that is inverted, empty, outside the picture or not a number."""


class UnreadableImage(AnnotationError):
    """A file that is no radiograph that can be read; the message gives the reason."""


class UnknownSource(AnnotationError):
    """A data source whose layout was not found at the given place."""


class UnknownRecord(AnnotationError):
    """An id that the store does not hold."""


class ReadingLocked(AnnotationError):
    """An edit to a committed reading, or an action that must wait for the commit."""


class CaseHidden(AnnotationError):
    """A reading that its own reader may not see now: the same picture is to be read once more."""


class DamagedWorkspace(AnnotationError):
    """A workspace whose database, triggers, log chain or files are not as they were written."""


class WorkspaceError(AnnotationError):
    """A folder that is no workspace, or one that this version cannot open."""


class StoreError(AnnotationError):
    """A write or a question that the store refuses; the message says why."""


class IncompleteReading(AnnotationError):
    """A commit of a reading that says nothing: no region and no explicit No Finding."""


class StaleEdit(AnnotationError):
    """An edit made on an outdated version; ``current`` is the reading as it stands now."""

    def __init__(self, message: str, current: Reading) -> None:
        super().__init__(message)
        self.current = current


class ExportRefused(AnnotationError):
    """An export whose format is unknown, or whose file cannot be written."""
