"""Cases: what a reader opens. An image, and which of this reader's readings of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from annotations.errors import UnknownRecord

ADJUDICATION: Final = 0  # made from the readings of others, linked to them
FIRST: Final = 1
REPEAT: Final = 2  # the same image again, for the agreement of a reader with themselves
OCCASIONS: Final = {ADJUDICATION: "adjudication", FIRST: "reading", REPEAT: "repeat"}

_SEPARATOR: Final = "-"


@dataclass(frozen=True, slots=True)
class Case:
    """One image on one occasion."""

    image_id: str
    occasion: int = FIRST


def case_id_of(image_id: str, occasion: int) -> str:
    """The id of a case: that of its image, with the occasion behind it unless it is the first."""
    return image_id if occasion == FIRST else f"{image_id}{_SEPARATOR}{occasion}"


def parse_case(case_id: str) -> Case:
    """The case with this id. Whether the image exists is for the store to say.

    Raises:
        UnknownRecord: If there is no such occasion.
    """
    image_id, separator, number = case_id.partition(_SEPARATOR)
    if not separator:
        return Case(case_id)
    for occasion in (ADJUDICATION, REPEAT):
        if number == str(occasion):
            return Case(image_id, occasion)
    raise UnknownRecord(f"there is no image '{case_id}' in this workspace; reload the worklist")
