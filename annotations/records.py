"""What the store hands out: frozen records, no behaviour beyond reading themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from annotations.cases import FIRST, case_id_of
from annotations.regions import Box, Outline
from annotations.shapes import Shape

# "" only in drafts: not said yet, where the protocol wants it said for each box.
Certainty = Literal["definite", "probable", "possible", ""]
ReadingStatus = Literal["new", "draft", "committed", "revised"]
ReaderKind = Literal["person", "imported", "synthetic"]
Role = Literal["reader", "auditor", "admin"]
EditKind = Literal["put", "delete", "no_finding"]
DecisionKind = Literal["accept", "edit", "reject"]
JobStatus = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
FinalStatus = Literal["done", "failed", "cancelled"]

CERTAINTIES: tuple[Certainty, ...] = ("definite", "probable", "possible")


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image as an import offers it to the store."""

    path: str  # absolute; where the pixels are read from
    origin: str  # absolute; where it was imported from (the same, unless copied in)
    name: str  # what the worklist shows
    source: str  # key of the table SOURCES
    sha256: str  # of the file
    pixel_sha256: str  # of Radiograph.pixels, C order, little endian
    height: int
    width: int
    bits: int
    photometric: str
    modality: str
    view: str
    spacing_mm: tuple[float, float] | None  # (row, column)
    patient_hash: str
    study_hash: str
    flags: tuple[str, ...] = ()
    facts: dict[str, str] = field(default_factory=dict)  # allow-listed header fields
    history: str = ""  # indication / patient history shown beside the picture
    report: str = ""  # report text, where the source has one


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One stored image; ``image_id`` is opaque and the only id that leaves the program."""

    image_id: str
    path: str
    origin: str
    name: str
    source: str
    sha256: str
    pixel_sha256: str
    height: int
    width: int
    bits: int
    photometric: str
    modality: str
    view: str
    spacing_mm: tuple[float, float] | None
    patient_hash: str
    study_hash: str
    flags: tuple[str, ...]
    facts: dict[str, str]
    history: str
    report: str
    added_at: str

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in original pixels."""
        return (self.height, self.width)


@dataclass(frozen=True, slots=True)
class Reader:
    """The person (or the imported or synthetic stand-in) who reads."""

    name: str
    kind: ReaderKind


@dataclass(frozen=True, slots=True)
class Region:
    """One marked place: a finding, how sure, where."""

    region_id: str  # uuid, made where the region was drawn
    finding: str
    certainty: Certainty
    box: Box
    note: str = ""
    shape: Shape | None = None  # where the source drew an outline; ``box`` is its bounding box

    @property
    def outline(self) -> Outline:
        """What agreement is measured with: the shape where there is one, else the box."""
        return self.box if self.shape is None else self.shape


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's statement on one image, as it stands now (the working copy)."""

    reading_id: str  # uuid; "" while nothing was saved yet
    image_id: str
    reader: str
    status: ReadingStatus
    version: int  # counts edits; an edit names the version it was made on
    is_open: bool  # may be edited: a draft, or reopened after a commit
    no_finding: bool
    regions: tuple[Region, ...]
    commits: int  # how many committed versions exist
    revealed_at: str | None  # when the reader first saw a heatmap of this image
    updated_at: str | None
    imported: bool = False
    occasion: int = FIRST  # cases.OCCASIONS

    @property
    def case_id(self) -> str:
        """The id under which a reader opens it."""
        return case_id_of(self.image_id, self.occasion)


@dataclass(frozen=True, slots=True)
class CommittedReading:
    """One committed version of a reading; never changes."""

    reading_id: str
    image_id: str
    reader: str
    reader_kind: ReaderKind
    commit_number: int  # 1 for the first
    committed_at: str
    blinded: bool  # no heatmap of this image was seen before this commit
    imported: bool
    no_finding: bool
    regions: tuple[Region, ...]
    content_sha256: str  # of the canonical JSON of no_finding and regions
    occasion: int = FIRST  # cases.OCCASIONS
    independent: bool = True  # no other reading of this image was seen before this commit


@dataclass(frozen=True, slots=True)
class Edit:
    """One change from the panel. (client_id, sequence) is applied at most once."""

    client_id: str
    sequence: int
    image_id: str  # of the case: with the occasion behind it where it is not the first reading
    base_version: int
    kind: EditKind
    region: Region | None = None  # for "put": the whole region after the change
    region_id: str = ""  # for "delete"
    no_finding: bool = False  # for "no_finding"
    active_ms: int | None = None  # the reader's work since the edit before; None: not measured


@dataclass(frozen=True, slots=True)
class Decision:
    """What an adjudicator decided about one region of a parent."""

    parent_id: str  # reading_id of the parent
    region_id: str  # of the parent's region
    decision: DecisionKind
    result_id: str  # of the region that came of it, "" when rejected


@dataclass(frozen=True, slots=True)
class Adjudication:
    """A reading made from two others: the working copy, what it came from, what was decided."""

    reading: Reading
    parents: tuple[CommittedReading, ...]
    decisions: tuple[Decision, ...]

    @property
    def undecided(self) -> int:
        """How many of the parents' regions were not decided about."""
        return sum(len(parent.regions) for parent in self.parents) - len(self.decisions)


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One line of the worklist, for one reader."""

    image_id: str
    name: str
    source: str
    view: str
    status: ReadingStatus
    n_regions: int


@dataclass(frozen=True, slots=True)
class WorklistPage:
    """Some lines of the worklist and how many there are in all."""

    rows: tuple[WorklistRow, ...]
    n_matching: int
    n_images: int
    n_read: int  # committed or revised by this reader


@dataclass(frozen=True, slots=True)
class Job:
    """One row of the job table."""

    job_id: int
    kind: str
    params: dict[str, object]
    owner: str
    status: JobStatus
    done: int
    total: int
    message: str
    result: dict[str, object]
    created_at: str
    started_at: str | None
    finished_at: str | None
    cancel_requested: bool


@dataclass(frozen=True, slots=True)
class Account:
    """Who may sign in."""

    name: str
    role: Role
    password_hash: str
    disabled: bool
    created_at: str


@dataclass(frozen=True, slots=True)
class AuditRun:
    """One audit: its choices, and where its rows belong."""

    run_id: str
    created_at: str
    owner: str
    status: Literal["running", "done", "failed", "cancelled"]
    choices: dict[str, object]
    summary: dict[str, object]


@dataclass(frozen=True, slots=True)
class LogRow:
    """One row of the append-only log; ``hash`` covers all other fields."""

    seq: int
    at: str
    kind: str
    actor: str
    subject: str  # a reading_id for edits, else what the event was about
    image_id: str  # "" when the event belongs to no image
    client_id: str  # "" when the event is no edit of the panel
    sequence: int
    details: dict[str, object]
    previous_hash: str
    hash: str
