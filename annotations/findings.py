"""The vocabulary: which findings exist, and what other data sets call them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from annotations.errors import UnknownFinding

NO_FINDING: Final = "No Finding"

# The order is that of the study (arXiv 2506.14136); it decides ties in its distances.
STUDY_FINDINGS: Final[tuple[str, ...]] = (
    "Enlarged Cardiomediastinum",
    "Cardiomegaly",
    "Lung Opacity",
    "Lung Lesion",
    "Edema",
    "Consolidation",
    "Pneumonia",
    "Atelectasis",
    "Pneumothorax",
    "Pleural Effusion",
    "Pleural Other",
    "Fracture",
    "Support Devices",
    NO_FINDING,
)

DOMAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "Cardiovascular": STUDY_FINDINGS[:2],
    "Pulmonary": STUDY_FINDINGS[2:11],
    "Skeletal": ("Fracture",),
    "Device": ("Support Devices",),
}


def normalise_term(term: str) -> str:
    """The term in lower case with single spaces, as the keys of alias tables are written."""
    return " ".join(term.replace("_", " ").lower().split())


def resolve_finding(
    term: str, known: Sequence[str], aliases: Mapping[str, str] | None = None
) -> str | None:
    """The finding that a data source's term stands for, or None when nothing stands for it.

    A finding of this very name wins over an alias; an alias of a finding that is not known is none.

    Args:
        term: As it stands in the source; case and spaces do not matter.
        known: The findings of the workspace.
        aliases: The source's alias table, keys as ``normalise_term`` gives them.
    """
    key = normalise_term(term)
    by_key = {normalise_term(name): name for name in known}
    alias = (aliases or {}).get(key, "")
    return by_key.get(key) or by_key.get(normalise_term(alias))


def check_finding(term: str, known: Sequence[str]) -> str:
    """The known finding with this name.

    Raises:
        UnknownFinding: With the known names and the nearest one.
    """
    found = resolve_finding(term, known)
    if found is not None:
        return found
    raise UnknownFinding(unknown_finding_message(term, known))


def unknown_finding_message(term: str, known: Iterable[str]) -> str:
    """One sentence: the term, the known findings, and the nearest of them."""
    names = list(known)
    by_key = {normalise_term(name): name for name in names}
    close = difflib.get_close_matches(normalise_term(term), list(by_key), n=1)
    hint = f"; did you mean '{by_key[close[0]]}'?" if close else ""
    return f"unknown finding '{term}'; known: {', '.join(names)}{hint}"
