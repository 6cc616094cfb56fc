"""The checklists of an audit, filled with what its provenance knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from audit_app.reports.checklist_items import CHECKLISTS

NOT_RECORDED: Final = "not recorded"
Provenance = Mapping[str, Any]


def checklists(provenance: Mapping[str, object]) -> dict[str, dict[str, dict[str, str]]]:
    """By checklist and item number: what the item asks for, and the answer.

    Args:
        provenance: As it stands in provenance.json.

    Returns:
        ``{"CLAIM 2024": {"1": {"item": ..., "answer": ...}, ...}, ...}``; an answer is "not
        recorded" where neither the workspace nor the run knows it.
    """
    facts = {**FIXED, **{name: fact(provenance) for name, fact in FACTS.items()}}
    return {
        name: {
            number: {"item": topic, "answer": facts.get(key) or NOT_RECORDED}
            for number, (topic, key) in items.items()
        }
        for name, items in CHECKLISTS.items()
    }


def count_answered(
    filled: Mapping[str, Mapping[str, Mapping[str, str]]],
) -> dict[str, tuple[int, int]]:
    """Of each checklist how many items have an answer, and how many there are."""
    return {
        name: (sum(item["answer"] != NOT_RECORDED for item in items.values()), len(items))
        for name, items in filled.items()
    }


FIXED: Final[Mapping[str, str]] = {
    "goal": "evaluation: agreement of saliency maps with readers' regions",
    "summary": "first lines of report.html and report.pdf",
    "eligibility": "every image of the workspace with a committed reading that marks a finding",
    "deidentification": (
        "no file of the audit holds a name or a path; patients are keyed hashes; DICOM headers are "
        "reduced to an allow-list"
    ),
    "annotation": "rectangles (or imported outlines) drawn on the original pixels in the panel",
    "variability": "readers.csv: between readers and of each reader with earlier readings",
    "explainability": "the subject of the audit: saliency maps against regions, with controls",
    "ensembling": "none",
    "results": "summary.csv, with patient-cluster intervals",
    "failures": "report.html: the worst disagreements; agreement.csv: every row",
    "slices": "slices.csv: reader, view, source, certainty, size of the region, model's answer",
    "predictors": "the picture's pixels alone; no clinical variable enters the model",
    "no_assessor": "not applicable: no person assesses a predictor",
    "no_updating": "not applicable: the audit changes no model",
    "imbalance": "findings weigh equally in the macro; per-finding numbers beside it",
    "checklists": "CLAIM 2024, TRIPOD+AI and METRICS, in provenance.json",
    "interval": "none: the reader's region is drawn on the same picture",
    "no_segmentation": "not applicable: regions are drawn by readers",
    "no_features": "not applicable: no hand-crafted features",
    "no_calibration": "not applicable to places; the evaluator calibrates scores",
    "uniparametric": "one radiograph at a time",
    "human": "human ceiling: agreement between readers on the same images (readers.csv)",
    "baselines": "chance, picture centre, mean map of other patients, and the controls",
}


def _technology(facts: Provenance) -> str:
    return f"saliency maps ({_joined(_choice(facts, 'methods'))}) of {_models(facts)}"


def _models(facts: Provenance) -> str:
    further = _choice(facts, "further_models") or []
    return _joined([_choice(facts, "model"), *further])


def _sources(facts: Provenance) -> str:
    if facts.get("synthetic"):
        return f"workspace '{facts.get('workspace', '')}': synthetic pictures"
    return f"workspace '{facts.get('workspace', '')}'; column source of agreement.csv"


def _preprocessing(facts: Provenance) -> str:
    given = facts.get("preprocessing")
    return _joined(given) if isinstance(given, Sequence) else ""


def _subset(facts: Provenance) -> str:
    findings = _choice(facts, "findings") or facts.get("findings")
    readers = _choice(facts, "readers")
    who = _joined(readers) if readers else "all readers"
    return f"findings: {_joined(findings)}; readings of {who}" if findings else ""


def _missing(facts: Provenance) -> str:
    counts = _mapping(facts, "counts").get("rows_by_status")
    if not isinstance(counts, Mapping):
        return ""
    said = ", ".join(f"{status} {count}" for status, count in counts.items())
    return f"counted by status, not imputed: {said}"


def _reference(facts: Provenance) -> str:
    kind = _choice(facts, "reference") or "readers"
    rule = _mapping(facts, "definitions").get("readings")
    words = {
        "readers": "each reader's committed regions",
        "consensus": "pixels in more than half of the readers' masks",
        "adjudicated": "adjudicated regions",
    }
    said = words.get(str(kind), str(kind))
    return f"{said}; {rule}" if rule else said


def _readers(facts: Provenance) -> str:
    n_readings = _mapping(facts, "counts").get("readings")
    return (
        f"{n_readings} committed readings; names and kinds in agreement.csv" if n_readings else ""
    )


def _blinding(facts: Provenance) -> str:
    if _choice(facts, "latest"):
        return "last commit of each reading; column blinded says which were blinded to the maps"
    return "readers were blinded to the maps: first blinded commit of each reading"


def _model(facts: Provenance) -> str:
    return f"{_models(facts)}; model_entry and maps of provenance.json"


def _software(facts: Provenance) -> str:
    versions = _mapping(facts, "versions")
    return ", ".join(
        f"{name} {value}" for name, value in versions.items() if isinstance(value, str)
    )


def _weights(facts: Provenance) -> str:
    hashes = _mapping(facts, "weights") or _mapping(_mapping(facts, "hashes"), "weights_sha256")
    said = ", ".join(f"{key} {_joined(value)}" for key, value in hashes.items())
    return f"SHA-256 of the weights: {said}" if said else ""


def _training(facts: Provenance) -> str:
    if not _mapping(facts, "model_entry"):
        return ""
    return "by the audited model's makers or in this workspace: model_entry of provenance.json"


def _metrics(facts: Provenance) -> str:
    threshold = _choice(facts, "threshold")
    at = f" at threshold {threshold}" if threshold is not None else ""
    return f"pointing game (hit), IoU{at}, energy in the region, each beside chance"


def _uncertainty(facts: Provenance) -> str:
    interval = _mapping(facts, "definitions").get("interval")
    seed = _mapping(facts, "seeds").get("bootstrap")
    return f"{interval}; seed {seed}; Holm over findings and pairs" if interval else ""


def _robustness(facts: Provenance) -> str:
    controls = _choice(facts, "controls")
    if not controls:
        return ""
    fill = _choice(facts, "reliance")
    return f"controls: {_joined(controls)}" + (f"; reliance test by {fill}" if fill else "")


def _counts(facts: Provenance) -> str:
    counts = _mapping(facts, "counts")
    names = ("patients", "images", "readings", "rows")
    return ", ".join(f"{counts[name]} {name}" for name in names if name in counts)


def _protocol(facts: Provenance) -> str:
    command = facts.get("command")
    return f"definitions and command of provenance.json: {command}" if command else ""


def _availability(facts: Provenance) -> str:
    del facts
    return "saliency-audit; versions in provenance.json; 'launch.py verify' recomputes every row"


def _prompts(facts: Provenance) -> str:
    return "text prompts of provenance.json (prompts)" if facts.get("prompts") else ""


def _output(facts: Provenance) -> str:
    modes = _choice(facts, "modes")
    return f"a map and a score for each finding; modes {_joined(modes)}" if modes else ""


FACTS: Final[Mapping[str, Callable[[Provenance], str]]] = {
    "technology": _technology,
    "sources": _sources,
    "preprocessing": _preprocessing,
    "subset": _subset,
    "missing": _missing,
    "reference": _reference,
    "readers": _readers,
    "blinding": _blinding,
    "model": _model,
    "software": _software,
    "weights": _weights,
    "training": _training,
    "metrics": _metrics,
    "uncertainty": _uncertainty,
    "robustness": _robustness,
    "counts": _counts,
    "protocol": _protocol,
    "availability": _availability,
    "prompts": _prompts,
    "output": _output,
}


def _choice(facts: Provenance, name: str) -> Any:
    return _mapping(facts, "choices").get(name)


def _mapping(facts: Provenance, name: str) -> Mapping[str, Any]:
    found = facts.get(name)
    return found if isinstance(found, Mapping) else {}


def _joined(values: object) -> str:
    if isinstance(values, str) or not isinstance(values, Sequence):
        return str(values)
    return ", ".join(str(value) for value in values)
