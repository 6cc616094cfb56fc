"""Report and history of a phantom, in a radiologist's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import numpy as np

from model_store.demo.phantom_findings import Place

_SENTENCES: Final[Mapping[str, Callable[[Place], str]]] = MappingProxyType(
    {
        "Cardiomegaly": lambda _: "The cardiac silhouette is enlarged.",
        "Lung Lesion": lambda place: (
            f"There is a {place.detail} in the {place.side} {place.zone} zone."
        ),
        "Consolidation": lambda place: f"Consolidation in the {place.side} {place.zone} zone.",
        "Atelectasis": lambda place: f"Plate-like atelectasis at the {place.side} base.",
        "Pneumothorax": lambda place: (
            f"There is a {place.side} pneumothorax with a visible pleural line."
        ),
        "Pleural Effusion": lambda place: f"A {place.detail} {place.side} pleural effusion.",
        "Fracture": lambda place: f"Displaced fracture of the {place.side} {place.detail}.",
        "Support Devices": lambda place: f"A {place.detail} is in place.",
    }
)

_COMPLAINTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Cardiomegaly": ("shortness of breath on exertion", "swollen ankles, known hypertension"),
        "Lung Lesion": ("weight loss, smoker", "cough for two months"),
        "Consolidation": ("fever and productive cough", "fever, raised CRP"),
        "Atelectasis": ("day two after abdominal surgery", "shallow breathing after surgery"),
        "Pneumothorax": ("sudden chest pain and shortness of breath", "chest pain after a fall"),
        "Pleural Effusion": ("increasing shortness of breath", "heart failure, dull left base"),
        "Fracture": ("fall from a bicycle, painful chest", "road traffic accident"),
        "Support Devices": ("check of device position", "intensive care, daily film"),
    }
)
_NO_COMPLAINT: Final = (
    "pre-operative assessment",
    "dry cough",
    "routine examination",
    "positive tuberculin test",
    "chest pain, ECG normal",
)


def write_report(rng: np.random.Generator, places: Mapping[str, Sequence[Place]]) -> str:
    """Findings and impression; what is not there is said for heart, lungs and pleura."""
    sentences = [_SENTENCES[name](place) for name, seen in places.items() for place in seen]
    if "Cardiomegaly" not in places:
        sentences.append("Heart size is normal.")
    if not {"Lung Lesion", "Consolidation", "Atelectasis"} & set(places):
        sentences.append("The lungs are clear.")
    if not {"Pneumothorax", "Pleural Effusion"} & set(places):
        sentences.append(
            str(
                rng.choice(
                    (
                        "No pleural effusion or pneumothorax.",
                        "Costophrenic angles are sharp.",
                    )
                )
            )
        )
    impression = ", ".join(places) if places else "No acute abnormality"
    return f"FINDINGS: {' '.join(sentences)} IMPRESSION: {impression}."


def write_history(rng: np.random.Generator, findings: Sequence[str]) -> str:
    """Age, sex and a complaint that fits the first finding."""
    age = int(rng.integers(22, 90))
    sex = str(rng.choice(("woman", "man")))
    complaints = _COMPLAINTS[findings[0]] if findings else _NO_COMPLAINT
    return f"{age}-year-old {sex}: {rng.choice(complaints)}."
