"""The caption that a saved picture carries: where it comes from, and nothing about the patient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from annotations.records import CommittedReading, ImageRecord
from audit_app.map_cache import CachedMaps

SHORT_HASH: Final = 12
NOT_CLINICAL: Final = "Research use only; not for clinical decisions."
UNKNOWN: Final = "not recorded"


def map_caption(maps: CachedMaps, finding: str) -> list[str]:
    """Lines about one map: what made it, in words and hashes.

    Only named facts are taken: a model's location may name a folder of this computer.
    """
    facts = maps.provenance
    lines = [
        f"Layer {facts.get('layer', UNKNOWN)}, {_grid(facts)}; {_preprocessing(facts, maps)}; "
        f"precision {facts.get('precision', UNKNOWN)}.",
        f"Weights {short(facts.get('weights_sha256'))}, base {short(facts.get('base_weights_sha256'))}, "  # noqa: E501
        f"configuration {short(facts.get('config_sha256'))}.",
    ]
    prompts = facts.get("prompts")
    texts = prompts.get(finding) if isinstance(prompts, dict) else None
    if texts:
        lines.append("Prompt: " + "; ".join(f'"{text}"' for text in texts) + ".")
    versions = facts.get("versions")
    if isinstance(versions, dict) and versions:
        lines.append(", ".join(f"{name} {version}" for name, version in sorted(versions.items())))
    return lines


def picture_caption(image: ImageRecord, reading: CommittedReading) -> list[str]:
    """Lines about picture and reading: opaque ids and hashes only."""
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return [
        f"Picture {image.image_id}, pixels {short(image.pixel_sha256)}, "
        f"{image.width} x {image.height}; reading {reading.reading_id}, "
        f"commit {reading.commit_number}, content {short(reading.content_sha256)}.",
        f"Shown {now}. {NOT_CLINICAL}",
    ]


def short(value: object) -> str:
    """The beginning of a hash."""
    return str(value)[:SHORT_HASH] if value else UNKNOWN


def _grid(facts: Mapping[str, Any]) -> str:
    grid = facts.get("grid")
    if isinstance(grid, list | tuple) and len(grid) == 2:
        return f"grid {grid[0]} x {grid[1]}"
    return f"grid {UNKNOWN}"


def _preprocessing(facts: Mapping[str, Any], maps: CachedMaps) -> str:
    described = facts.get("preprocessing")
    kind = described.get("kind", UNKNOWN) if isinstance(described, dict) else described or UNKNOWN
    height, width = maps.geometry.input_size
    return f"preprocessing {kind} to {height} x {width}"
