"""What every data source yields: pictures with what was said about them, and what was left out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from annotations.cases import FIRST
from annotations.errors import UnknownSource
from annotations.imaging.files import DICOM_SUFFIXES, RASTER_SUFFIXES, is_image_file
from annotations.records import Certainty, ReaderKind
from annotations.shapes import Shape

IMAGE_SUFFIXES: Final = RASTER_SUFFIXES | DICOM_SUFFIXES
DICOMDIR: Final = "DICOMDIR"
_WORKSPACE_MARK: Final = "workspace.toml"


@dataclass(frozen=True, slots=True)
class SourceBox:
    """One box as a data source gives it: its own term, corners in original pixels."""

    term: str
    corners: tuple[float, float, float, float]  # x_min, y_min, x_max, y_max
    certainty: Certainty = "definite"
    where: str = ""  # row or object, for messages
    note: str = ""
    region_id: str = ""  # kept when the source has one, else made by the importer
    shape: Shape | None = None  # an outline; the box that is kept is then its bounding box


@dataclass(frozen=True, slots=True)
class SourceReading:
    """One committed statement of one reader on one picture."""

    reader: str = ""  # "" = the reader that the import names
    boxes: tuple[SourceBox, ...] = ()
    no_finding: bool = False
    kind: ReaderKind = "imported"
    blinded: bool = True
    where: str = ""
    occasion: int = FIRST  # cases.OCCASIONS
    independent: bool = True


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One picture of a data source."""

    path: Path
    name: str
    where: str  # row or file, for messages
    patient: str | None = None  # with the source's own prefix; None = not known
    study: str | None = None
    view: str = ""
    history: str = ""
    report: str = ""
    labels: Mapping[str, bool] = field(default_factory=dict)
    split: str = ""  # train, validation, test or nothing
    subset: str = ""  # a named selection that the picture belongs to
    readings: tuple[SourceReading, ...] = ()  # of one reader in the order of their commits
    annotated_size: tuple[int, int] | None = None  # (H, W) that the boxes were drawn on
    origin: str = ""  # where another workspace had it from; "" = the path itself
    sha256: str = ""  # of the file that was annotated; "" = not known


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that the source names and that was not imported."""

    where: str
    reason: str
    group: str = ""  # many of the same kind are said in one line under this name


@dataclass(frozen=True, slots=True)
class Remark:
    """One sentence for the report that is about no single row."""

    text: str


SourceItem = SourceImage | Skipped | Remark


@dataclass(frozen=True, slots=True)
class Source:
    """One row of the table SOURCES."""

    kind: str
    load: Callable[[Path], Iterator[SourceItem]]
    aliases: Mapping[str, str]
    description: str
    label_source: str = ""  # name under which its image labels are stored


def walk_files(
    root: Path, note_unreadable: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """All files below a folder in a fixed order, without those of any workspace in it.

    Args:
        root: The folder.
        note_unreadable: Called for each folder that cannot be looked into.
    """
    for folder, subfolders, names in os.walk(root, onerror=note_unreadable):
        if _WORKSPACE_MARK in names:
            subfolders.clear()
            continue
        subfolders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def list_images(root: Path, apart: Collection[Path] = ()) -> Iterator[Path | Skipped | Remark]:
    """The image files below a folder, hidden ones as skipped, the rest counted in a remark.

    Args:
        root: The folder.
        apart: Files that the source reads otherwise, its tables for instance.
    """
    known = frozenset(apart)
    left_alone: Counter[str] = Counter()
    unreadable: list[OSError] = []
    for path in walk_files(root, unreadable.append):
        hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
        if hidden and path.suffix.lower() in IMAGE_SUFFIXES:
            yield Skipped(relative_name(path, root), "hidden file; rename it if it is a radiograph")
        elif not hidden and path.name.upper() != DICOMDIR and is_image_file(path):
            yield path
        elif path not in known:
            left_alone["hidden" if hidden else path.suffix.lower() or "no suffix"] += 1
    for error in unreadable:
        name = relative_name(Path(error.filename), root)
        yield Skipped(name, f"folder cannot be read: {error.strerror}; check its rights")
    if left_alone:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in left_alone.most_common(8))
        total = left_alone.total()
        yield Remark(f"{total:,} other file{'s' * (total != 1)} left alone ({kinds})")


def relative_name(path: Path, root: Path) -> str:
    """The path below the root with forward slashes, or the bare name for a file elsewhere."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name


def picture_key(name: str) -> str:
    """The name without folders and image suffixes: ``a/1_IM-1.dcm.png`` -> ``1_IM-1``."""
    path = Path(name.replace("\\", "/"))
    while path.suffix.lower() in IMAGE_SUFFIXES:
        path = path.with_suffix("")
    return path.name


@dataclass(frozen=True, slots=True)
class PictureIndex:
    """Which picture files lie below a folder, by name without suffix."""

    by_key: Mapping[str, Path]
    n_repeated: int
    repeated_example: str
    left_out: tuple[Skipped | Remark, ...] = ()  # of what lies there

    def find(self, name: str) -> Path | None:
        """The picture that a source calls by this name, whatever its suffix and folder."""
        return self.by_key.get(picture_key(name))

    def remarks(self) -> Iterator[Skipped | Remark]:
        """What lies there and was left out, and a sentence when some pictures exist twice."""
        yield from self.left_out
        if self.n_repeated:
            how_many = f"{self.n_repeated:,} picture{'s' * (self.n_repeated != 1)}"
            yield Remark(
                f"more than one file for {how_many} (for instance {self.repeated_example}); "
                "the largest file of each was taken"
            )

    def unused(self, used: set[Path], root: Path, listed_in: str) -> Iterator[Skipped]:
        """The pictures that no row named."""
        for path in self.by_key.values():
            if path not in used:
                yield Skipped(
                    relative_name(path, root),
                    f"not listed in {listed_in}; use 'folder' to import it without a report",
                    f"pictures not listed in {listed_in}",
                )


def index_pictures(root: Path, apart: Collection[Path] = ()) -> PictureIndex:
    """The pictures below a folder; of several files with one key the largest counts.

    Args:
        root: The folder.
        apart: As for ``list_images``.
    """
    found: dict[str, list[Path]] = {}
    left_out: list[Skipped | Remark] = []
    for entry in list_images(root, apart):
        if isinstance(entry, Path):
            found.setdefault(picture_key(entry.name), []).append(entry)
        else:
            left_out.append(entry)
    repeated = [key for key, paths in found.items() if len(paths) > 1]
    by_key = {
        key: max(paths, key=_size_bytes) if len(paths) > 1 else paths[0]
        for key, paths in found.items()
    }
    example = repeated[0] if repeated else ""
    return PictureIndex(by_key, len(repeated), example, tuple(left_out))


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # a link to nothing; another file of that name is better
        return 0


def absent_picture(where: str, name: str, listed_in: str) -> Skipped:
    """The entry for a row whose picture file is not there."""
    reason = f"picture {name} is absent; put it below the folder and import again"
    return Skipped(where, reason, f"rows of {listed_in} name a picture that is absent")


def check_exists(source: Path) -> Path:
    """The absolute path of a source.

    Raises:
        UnknownSource: If nothing is there.
    """
    if not source.exists():
        raise UnknownSource(f"{source} does not exist; give a folder or file that can be read")
    return source.resolve()


def find_file(source: Path, names: tuple[str, ...], needed_for: str) -> Path:
    """The file itself when ``source`` is one, else the one below it with the first of these names.

    Raises:
        UnknownSource: If none is there; the message names what was looked for.
    """
    if source.is_file():
        return source
    rank = {name.lower(): position for position, name in enumerate(names)}
    found = [path for path in walk_files(source) if path.name.lower() in rank]
    if found:
        return min(found, key=lambda path: (rank[path.name.lower()], len(path.parts)))
    raise UnknownSource(
        f"no {' or '.join(names)} in {source}; {needed_for} needs it: give the file or its folder"
    )
