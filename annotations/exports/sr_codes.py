"""What findings, certainties and documents are called in DICOM structured reports."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from annotations.findings import NO_FINDING, normalise_term
from annotations.records import Certainty

SCHEME: Final = "99SALIENCY"
SCHEME_NAME: Final = "Saliency Audit findings"
_MAX_MEANING: Final = 64
_MAX_CODE: Final = 16
_NAMESPACE: Final = uuid.UUID("0d3c5f3e-5a50-5d6f-8f64-6f0f2b3f7c55")


@dataclass(frozen=True, slots=True)
class SrCode:
    """A code, its scheme and its meaning (PS3.3, section 8.1)."""

    value: str
    scheme: str
    meaning: str


PLAIN_CHEST_XRAY: Final = SrCode("399208008", "SCT", "Plain chest X-ray")
FINDING_CONTEXT: Final = SrCode("408729009", "SCT", "Finding context")

# Where SNOMED CT or DICOM has the finding itself; the others keep a code of our own scheme, as
# a near one would say something else than the reader did.
_STANDARD: Final[Mapping[str, SrCode]] = {
    "Cardiomegaly": SrCode("8186001", "SCT", "Cardiomegaly"),
    "Lung Opacity": SrCode("112001", "DCM", "Opacity"),
    "Edema": SrCode("19242006", "SCT", "Pulmonary edema"),
    "Consolidation": SrCode("95436008", "SCT", "Lung consolidation"),
    "Pneumonia": SrCode("233604007", "SCT", "Pneumonia"),
    "Atelectasis": SrCode("46621007", "SCT", "Atelectasis"),
    "Pneumothorax": SrCode("36118008", "SCT", "Pneumothorax"),
    "Pleural Effusion": SrCode("60046008", "SCT", "Pleural effusion"),
    "Fracture": SrCode("125605004", "SCT", "Fracture of bone"),
}
_OWN: Final[Mapping[str, str]] = {
    "Enlarged Cardiomediastinum": "ENLARGED-CM",
    "Lung Lesion": "LUNG-LESION",
    "Pleural Other": "PLEURAL-OTHER",
    "Support Devices": "SUPPORT-DEVICES",
    NO_FINDING: "NO-FINDING",
}
# SNOMED CT's values of "Finding context".
CERTAINTY_CODES: Final[Mapping[Certainty, SrCode]] = {
    "definite": SrCode("410591008", "SCT", "Definitely present"),
    "probable": SrCode("410592001", "SCT", "Probably present"),
    "possible": SrCode("410590009", "SCT", "Known possible"),
}


def finding_code(finding: str) -> SrCode:
    """The code of a finding: a standard one, or one of our scheme with the finding's own name."""
    if finding in _STANDARD:
        return _STANDARD[finding]
    if finding in _OWN:
        return SrCode(_OWN[finding], SCHEME, finding)
    digest = hashlib.sha256(normalise_term(finding).encode()).hexdigest()
    return SrCode(f"X-{digest}"[:_MAX_CODE].upper(), SCHEME, finding[:_MAX_MEANING])


def uid_of(*parts: object) -> str:
    """A UID that follows from these parts, below 2.25 as PS3.5, annex B.2, has it."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, '|'.join(map(str, parts))).int}"
