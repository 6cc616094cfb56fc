"""What is compared: ids and names only, as the page may send them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from audit_app.errors import AuditError
from audit_app.map_cache import AUTO

MODES: Final = {
    "zs": "Zero-shot",
    "cls": "Own outputs",
    "lp": "Linear probe",
    "ft": "Fine-tune",
}
VIEWS: Final = {
    "modes": "Modes",
    "grid": "All findings",
    "layers": "Layers",
    "pair": "Side by side",
    "words": "Own words",
}
MAX_NAME: Final = 300


@dataclass(frozen=True, slots=True)
class Side:
    """One half of a pair: a model in one mode; "" leaves the choice to the program."""

    model: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How the panel shows the selection.

    Attributes:
        view: A key of ``VIEWS``.
        mode: Of the layer view; "" for the first that is ready.
        layer: Where maps are read; ``auto`` for the model's own.
        left: Of the pair.
        right: Of the pair.
        serial: Counts the page's choices, so that it can tell a late answer from the newest.
    """

    view: str = "modes"
    mode: str = ""
    layer: str = AUTO
    left: Side = Side()
    right: Side = Side()
    serial: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """One reading, one finding, one model, one method, and how it is looked at."""

    image_id: str
    reader: str
    finding: str
    model: str
    method: str
    look: Look = field(default_factory=Look)


def parse_look(data: Mapping[str, object], before: Look) -> Look:
    """The look that the page asks for; what it does not name stays as it was.

    Raises:
        AuditError: If a value is no text, or there is no such view or mode.
    """
    look = Look(
        view=_text(data, "view", before.view),
        mode=_text(data, "mode", before.mode),
        layer=_text(data, "layer", before.layer) or AUTO,
        left=_side(data, "left", before.left),
        right=_side(data, "right", before.right),
        serial=_serial(data, before),
    )
    if look.view not in VIEWS:
        raise AuditError(f"there is no view {look.view!r}; known: {', '.join(VIEWS)}")
    for mode in (look.mode, look.left.mode, look.right.mode):
        if mode and mode not in MODES:
            raise AuditError(f"there is no mode {mode!r}; known: {', '.join(MODES)}")
    return look


def is_outrun(data: Mapping[str, object], before: Look) -> bool:
    """Whether a newer choice was answered already: of a burst any may arrive late.

    A newer choice names all that was chosen before it and not yet answered, so nothing is lost.

    Raises:
        AuditError: If the number of the choice is none.
    """
    return _serial(data, before) < before.serial


def _serial(data: Mapping[str, object], before: Look) -> int:
    serial = data.get("serial", before.serial)
    if not isinstance(serial, int) or isinstance(serial, bool):
        raise AuditError(f"the page sent {serial!r} as number of its choice; reload the page")
    return serial


def _text(data: Mapping[str, object], name: str, before: str) -> str:
    value = data.get(name, before)
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise AuditError(f"the page sent an unusable {name}; reload the page")
    return value


def _side(data: Mapping[str, object], name: str, before: Side) -> Side:
    value = data.get(name)
    if value is None:
        return before
    if not isinstance(value, dict):
        raise AuditError(f"the page sent an unusable {name} half; reload the page")
    return Side(_text(value, "model", before.model), _text(value, "mode", before.mode))
