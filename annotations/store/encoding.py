"""How values become text: UTC times, canonical JSON and its hash."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import SupportsIndex, cast

from annotations.errors import StoreError


def now() -> str:
    """The present moment as ISO 8601 in UTC with microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def canonical_json(value: object) -> str:
    """JSON with sorted keys, no spaces and no NaN: equal values give equal text."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_of(value: object) -> str:
    """SHA-256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def plain(value: object, where: str) -> object:
    """``value`` as JSON types only; numpy scalars become Python numbers, tuples become lists.

    Raises:
        StoreError: With the place and the type, when something has no JSON form.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return _plain_scalar(value)
    if isinstance(value, Mapping):
        return {_key(key, where): plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    item = getattr(value, "item", None)
    if callable(item) and getattr(value, "shape", None) == ():
        return plain(item(), where)
    raise StoreError(
        f"{where} is of type {type(value).__name__}; expected text, numbers, lists or mappings"
    )


def dump_object(value: Mapping[str, object], where: str) -> str:
    """JSON text of a mapping that may hold NaN (written as Python does)."""
    return json.dumps(plain(value, where), ensure_ascii=False)


def load_object(text: str) -> dict[str, object]:
    """The mapping that ``dump_object`` or ``canonical_json`` wrote."""
    return cast(dict[str, object], json.loads(text))


def _plain_scalar(value: str | bool | int | float | None) -> object:
    # A numpy float64 is a float, but prints unlike one in some versions.
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return int(cast(SupportsIndex, value))
    return value


def _key(key: object, where: str) -> str:
    if not isinstance(key, str):
        raise StoreError(f"{where} has the key {key!r}; expected text keys")
    return key


def strict_details(details: Mapping[str, object]) -> str:
    """Canonical JSON of a log row's details.

    Raises:
        StoreError: If a value has no JSON form or is not a finite number.
    """
    value = plain(details, "details")
    _refuse_non_finite(value, "details")
    return canonical_json(value)


def _refuse_non_finite(value: object, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise StoreError(f"{where} is {value}; the log takes finite numbers only")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_non_finite(item, f"{where}.{key}")
    if isinstance(value, list):
        for item in value:
            _refuse_non_finite(item, where)
