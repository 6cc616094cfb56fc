"""A folder of radiographs, or one radiograph, without any annotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from annotations.errors import UnknownSource
from annotations.sources.listing import (
    Source,
    SourceImage,
    SourceItem,
    check_exists,
    list_images,
    relative_name,
)
from annotations.sources.nih_chestxray14 import nih_patient


def load_folder(source: Path) -> Iterator[SourceItem]:
    """The pictures below the folder in the order of their paths, or the one file.

    Raises:
        UnknownSource: If nothing there looks like a picture.
    """
    source = check_exists(source)
    root = source if source.is_dir() else source.parent
    n_pictures = 0
    for entry in list_images(source) if source.is_dir() else (source,):
        if isinstance(entry, Path):
            n_pictures += 1
            name = relative_name(entry, root)
            yield SourceImage(path=entry, name=name, where=name, patient=nih_patient(entry.name))
        else:
            yield entry
    if n_pictures == 0:
        raise UnknownSource(
            f"no radiograph in {source}; expected PNG, JPEG, TIFF or DICOM files at or below it"
        )


SOURCE: Final = Source(
    kind="folder",
    load=load_folder,
    aliases={},
    description="a folder of PNG, JPEG, TIFF and DICOM pictures, with all its subfolders",
)
