"""IU-Xray as the National Library of Medicine releases it: an XML per report, PNG or DICOM.

Layout of a report: ``<eCitation>`` with ``<uId id="CXR1"/>``, ``<AbstractText Label="FINDINGS">``
(also COMPARISON, INDICATION, IMPRESSION), ``<MeSH><major>...</major></MeSH>`` and
``<parentImage id="CXR1_1_IM-0001-3001">`` per picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from annotations.sources.listing import walk_files
from annotations.sources.tables import RowError

_MAX_BYTES: Final = 2_000_000
_ROOT: Final = b"<eCitation"
_NAME: Final = re.compile(r"CXR(\d+)_(?:\1_)?(.+)")


@dataclass(frozen=True, slots=True)
class Report:
    """One report: what it says and the names of its pictures."""

    uid: str
    where: str
    mesh: str  # terms joined by ;
    indication: str
    comparison: str
    findings: str
    impression: str
    pictures: tuple[str, ...] = ()


def kaggle_name(release_name: str) -> str:
    """The Kaggle name of a picture: ``CXR1_1_IM-0001-3001`` -> ``1_IM-0001-3001``.

    Some names repeat the report's number after the prefix, some do not.
    """
    found = _NAME.fullmatch(release_name)
    return f"{found.group(1)}_{found.group(2)}" if found else release_name


def find_reports(root: Path) -> list[Path]:
    """The XML reports below a folder, in the order of their numbers."""
    paths = [path for path in walk_files(root) if path.suffix.lower() == ".xml"]
    return sorted((path for path in paths if _is_report(path)), key=_order)


def parse_report(path: Path) -> Report:
    """What one XML report says.

    Raises:
        RowError: If it cannot be read or is no report; the message says what is missing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)  # whatever the file's size says
    except OSError as error:
        raise RowError(f"cannot be read: {error.strerror}; check the file") from None
    if len(data) > _MAX_BYTES or b"<!ENTITY" in data:
        raise RowError(f"larger than {_MAX_BYTES:,} bytes or with entities; not a report")
    try:
        root = ET.fromstring(data)
    except ET.ParseError as error:
        raise RowError(f"broken XML ({error})") from None
    uid_element = root.find("uId")
    uid = "" if uid_element is None else uid_element.get("id", "").removeprefix("CXR")
    if not uid:
        raise RowError('no <uId id="CXR...">; expected a report of the Indiana collection')
    texts = {
        element.get("Label", "").upper(): " ".join("".join(element.itertext()).split())
        for element in root.iter("AbstractText")
    }
    return Report(
        uid=uid,
        where=path.name,
        mesh=";".join((element.text or "").strip() for element in root.iterfind("MeSH/major")),
        indication=texts.get("INDICATION", ""),
        comparison=texts.get("COMPARISON", ""),
        findings=texts.get("FINDINGS", ""),
        impression=texts.get("IMPRESSION", ""),
        pictures=tuple(_picture_names(root)),
    )


def _picture_names(root: ET.Element) -> Iterator[str]:
    for element in root.iter("parentImage"):
        name = element.get("id", "")
        if name:
            yield name


def _is_report(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _ROOT in file.read(2048)
    except OSError:
        return True  # parse_report says why it cannot be read


def _order(path: Path) -> tuple[int, str]:
    return (int(path.stem), "") if path.stem.isdecimal() else (2**31, path.as_posix())
