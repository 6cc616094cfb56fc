"""The reading protocol of a workspace: what readers must say, and what they may see."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from annotations.errors import WorkspaceError
from annotations.findings import unknown_finding_message
from annotations.private_files import write_private
from annotations.store import Store
from annotations.store.orders import OrderPlan
from annotations.toml_files import read_toml

CertaintyRule = Literal["optional", "required"]
HeatmapRule = Literal["after commit", "never", "at once"]

CERTAINTY_RULES: Final[tuple[CertaintyRule, ...]] = ("optional", "required")
HEATMAP_RULES: Final[tuple[HeatmapRule, ...]] = ("after commit", "never", "at once")
LOG_KIND: Final = "protocol"
BY_HAND: Final = "workspace.toml"  # stands for who edited the file outside of the page
SMALLEST_PX: Final = 2
LARGEST_PX: Final = 1000
_TABLE: Final = "protocol"
_HEADER: Final = re.compile(r"^\s*\[", re.MULTILINE)
_COMMENTS: Final = {
    "findings": "those that readers may mark, in this order; [] for all of the workspace",
    "certainty": '"optional" (definite unless changed) or "required" (said for each box)',
    "smallest_box_px": "in original pixels; smaller boxes are refused",
    "heatmap": '"after commit", "never", or "at once" (readings then count as not blinded)',
    "earlier_readings": "whether readers see what others committed before they commit themselves",
    "random_order": "an own order for each reader, from the seed",
    "seed": "of order and repeats",
    "repeat_percent": "of the cases come a second time to the same reader",
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules of reading. The defaults are those of a workspace that says nothing."""

    findings: tuple[str, ...] = ()
    certainty: CertaintyRule = "optional"
    smallest_box_px: int = SMALLEST_PX
    heatmap: HeatmapRule = "after commit"
    earlier_readings: bool = False
    random_order: bool = False
    seed: int = 1
    repeat_percent: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a rule that is none.

        Raises:
            WorkspaceError: With the rule, what it is and what was expected.
        """
        _check_choice("certainty", self.certainty, CERTAINTY_RULES)
        _check_choice("heatmap", self.heatmap, HEATMAP_RULES)
        _check_number("smallest_box_px", self.smallest_box_px, SMALLEST_PX, LARGEST_PX)
        _check_number("seed", self.seed, 0, 2**31 - 1)
        _check_number("repeat_percent", self.repeat_percent, 0, 100, is_whole=False)

    @property
    def order(self) -> OrderPlan:
        """How worklists are made."""
        return OrderPlan(self.random_order, self.seed, float(self.repeat_percent))

    def as_values(self) -> dict[str, object]:
        """As JSON values, in the order of the file."""
        return {**asdict(self), "findings": list(self.findings)}


def parse_protocol(values: object, where: str) -> Protocol:
    """The protocol of a TOML table.

    Raises:
        WorkspaceError: If it is no table, has an unknown rule, or one of another type or range.
    """
    if not isinstance(values, Mapping):
        raise WorkspaceError(f"{where}: '{_TABLE}' is {values!r}; expected a table [{_TABLE}]")
    known = {one.name: getattr(Protocol(), one.name) for one in fields(Protocol)}
    given = dict(values)
    for name, value in given.items():
        if name not in known:
            raise WorkspaceError(
                f"{where}: [{_TABLE}] has the unknown rule '{name}'; known: {', '.join(known)}"
            )
        _check_type(name, value, known[name], where)
    if "findings" in given:
        given["findings"] = tuple(given["findings"])
    try:
        return Protocol(**given)
    except WorkspaceError as error:
        raise WorkspaceError(f"{where}: {error}") from None


def read_protocol(settings_file: Path) -> Protocol:
    """The protocol that workspace.toml says now.

    Raises:
        WorkspaceError: If the file cannot be read or says something else than a protocol.
    """
    try:
        state = settings_file.stat()
        return _read(settings_file, (state.st_mtime_ns, state.st_size, state.st_ino))
    except OSError as error:
        raise WorkspaceError(f"{settings_file} cannot be read: {error.strerror}") from error


def current_protocol(settings_file: Path, store: Store) -> Protocol:
    """The protocol in force; a change that was made outside of the page is put into the log.

    Raises:
        WorkspaceError: As ``read_protocol``, or if a finding of it is none of the workspace.
    """
    protocol = read_protocol(settings_file)
    logged = logged_protocol(store)
    if protocol != logged:
        _check_findings(protocol, store, str(settings_file))
        _log_change(store, logged, protocol, BY_HAND)
    return protocol


def logged_protocol(store: Store) -> Protocol:
    """The protocol that the log knows last; the default one before any change."""
    rows = store.log.about(LOG_KIND, LOG_KIND, limit=1)
    return parse_protocol(rows[0].details["after"], "the log") if rows else Protocol()


def change_protocol(settings_file: Path, store: Store, protocol: Protocol, actor: str) -> bool:
    """Whether anything changed; what did is written to workspace.toml and into the log.

    Raises:
        WorkspaceError: If a finding is none of the workspace, or the file cannot be written.
    """
    before = current_protocol(settings_file, store)
    protocol = replace(
        protocol, findings=_check_findings(protocol, store, "the protocol's findings")
    )
    if protocol == before:
        return False
    # The row is taken back when the file cannot be written: both or neither.
    with store.batch():
        _log_change(store, before, protocol, actor)
        _write(settings_file, protocol)
    return True


def to_toml(protocol: Protocol) -> str:
    """The table as it stands in workspace.toml."""
    lines = [f"[{_TABLE}]"]
    for name, value in protocol.as_values().items():
        lines.append(f"{name} = {_toml_value(value)}  # {_COMMENTS[name]}")
    return "\n".join(lines) + "\n"


def _log_change(store: Store, before: Protocol, after: Protocol, actor: str) -> None:
    details = {"before": before.as_values(), "after": after.as_values()}
    store.log.add(LOG_KIND, actor, LOG_KIND, details)


def _check_findings(protocol: Protocol, store: Store, where: str) -> tuple[str, ...]:
    known = store.findings()
    for name in protocol.findings:
        if name not in known:
            message = unknown_finding_message(name, known)
            raise WorkspaceError(f"{where}: {message}")
    twice = [name for name in protocol.findings if protocol.findings.count(name) > 1]
    if twice:
        raise WorkspaceError(f"{where}: the finding '{twice[0]}' stands twice; name each once")
    return protocol.findings


@lru_cache(maxsize=16)
def _read(settings_file: Path, _state: tuple[int, int, int]) -> Protocol:
    values = read_toml(settings_file)
    return parse_protocol(values.get(_TABLE, {}), str(settings_file))


def _write(settings_file: Path, protocol: Protocol) -> None:
    try:
        text = settings_file.read_text(encoding="utf-8")
        write_private(settings_file, replace_table(text, to_toml(protocol)))
    except OSError as error:
        raise WorkspaceError(
            f"{settings_file} cannot be written: {error.strerror}; check its rights and the free "
            "space"
        ) from error


def replace_table(text: str, table: str) -> str:
    """The file's text with this table in the place of the old one; all else stays as it is."""
    lines = text.splitlines(keepends=True)
    start = next(
        (i for i, line in enumerate(lines) if line.strip().startswith(f"[{_TABLE}]")), None
    )
    if start is None:
        return text.rstrip("\n") + "\n\n" + table
    following = (i for i in range(start + 1, len(lines)) if _HEADER.match(lines[i]))
    end = next(following, len(lines))
    return "".join([*lines[:start], table, *lines[end:]])


def _toml_value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(one) for one in value) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return repr(value)


def _check_choice(name: str, value: object, known: tuple[str, ...]) -> None:
    if value not in known:
        raise WorkspaceError(f"the rule '{name}' is {value!r}; expected one of {', '.join(known)}")


def _check_number(
    name: str, value: float, low: float, high: float, *, is_whole: bool = True
) -> None:
    is_number = isinstance(value, int) or (not is_whole and isinstance(value, float))
    if isinstance(value, bool) or not is_number or not low <= value <= high:
        kind = "a whole number" if is_whole else "a number"
        raise WorkspaceError(
            f"the rule '{name}' is {value!r}; expected {kind} from {low:g} to {high:g}"
        )


def _check_type(name: str, value: object, default: object, where: str) -> None:
    if isinstance(default, bool) and not isinstance(value, bool):
        raise WorkspaceError(f"{where}: the rule '{name}' is {value!r}; expected true or false")
    if name == "findings" and not (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    ):
        raise WorkspaceError(f"{where}: the rule '{name}' is {value!r}; expected a list of names")
