"""The published table of the study: shown beside ours, labelled, never mixed into our numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SOURCE: Final = (
    "arXiv 2506.14136, BiomedCLIP on IU-Xray; its zero-shot ratio is printed as 1.506, "
    "31.890 / 21.160 is 1.507"
)
LABELS: Final = "the study's own, unpublished"
# The columns of the study's table: our name, the title, and whether more is better.
COLUMNS: Final[Mapping[str, tuple[str, bool]]] = {
    "inter": ("Inter-class distance", True),
    "intra": ("Intra-class distance", False),
    "ratio": ("Ratio", True),
    "f1": ("F1", True),
    "exact_match": ("Exact match", True),
    "lrap": ("LRAP", True),
    "coverage_error": ("Coverage error", False),
    "minutes": ("Minutes", False),
}
PUBLISHED: Final[Mapping[str, Mapping[str, float | None]]] = {
    mode: dict(zip(COLUMNS, values, strict=True))
    for mode, values in {
        "zs": (31.890, 21.160, 1.506, 0.105, 0.000, 0.250, 7.70, None),
        "lp": (31.894, 21.160, 1.507, 0.183, 0.143, 0.741, 3.077, 6.10),
        "ft": (22.754, 12.756, 1.784, 0.235, 0.134, 0.779, 2.750, 15.47),
    }.items()
}
