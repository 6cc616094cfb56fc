"""Free words: a text's map and score from the basis maps of an image, in the page's own process."""

from __future__ import annotations

import time
import unicodedata
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from annotations.records import ImageRecord, Job
from annotations.workspace import Workspace
from audit_app.comparison.captions import short
from audit_app.comparison.maps import is_active, is_image_text
from audit_app.comparison.panes import Scene
from audit_app.comparison.rights import open_reading
from audit_app.comparison.selection import Selection
from audit_app.errors import AuditError
from audit_app.jobs import submit_job
from audit_app.map_cache import CachedMaps, basis_file, read_text_embedding, text_file
from audit_app.models import load_entry
from audit_app.services import Services
from audit_app.session import Visitor
from model_store.prompt_basis import LINEAR_METHODS, PromptBasis, prompt_maps, read_basis
from model_store.saliency import SALIENCY_METHODS

MAX_TEXT: Final = 300
WAIT_S: Final = 1.5
LOOK_AGAIN_S: Final = 0.02
LOOKED_THROUGH: Final = 50


@dataclass(frozen=True)
class Question:
    """One text about one image, beside one reading."""

    selection: Selection
    text: str


def clean_text(text: object) -> str:
    """The words as they are asked: one line, no invisible signs.

    Raises:
        AuditError: If there are none, or too many.
    """
    if not isinstance(text, str):
        raise AuditError("type the words whose map you want to see")
    words = " ".join("".join(_plain(sign) for sign in text).split())
    if not words:
        raise AuditError("type the words whose map you want to see")
    if len(words) > MAX_TEXT:
        raise AuditError(
            f"the text has {len(words)} signs; the longest that is asked has {MAX_TEXT}: shorten it"
        )
    return words


def answer_words(services: Services, visitor: Visitor, question: Question) -> dict[str, Any]:
    """The map of these words with its score among the findings', or that it is being prepared.

    Waits a moment for the worker: the map should follow as one types.

    Raises:
        AuditError: If this model or method cannot be asked, or the worker says why it cannot.
        AnnotationError: If the visitor may not see maps of this image.
    """
    selection = question.selection
    reading = open_reading(services, visitor, selection.image_id, selection.reader)
    image = services.store.images.get(selection.image_id)
    scene = Scene(services, selection, reading, image, None)
    if not is_image_text(services, selection.model):
        raise AuditError(f"{selection.model} has no text side; choose an image-text model")
    if selection.method not in LINEAR_METHODS:
        raise AuditError(
            f"there are no maps of free words by {selection.method!r}; "
            f"known: {', '.join(LINEAR_METHODS)}"
        )
    entry = services.store.models.get(selection.model)
    kept = _Kept(services.workspace, entry, image, selection.method)
    prompts = prompts_of_findings(services, selection.model)
    answer = _answer(scene, kept, question.text, prompts)
    if answer is None:
        texts = [question.text, *(text for texts in prompts.values() for text in texts)]
        _prepare(scene, visitor, list(dict.fromkeys(texts)))
        answer = _answer(scene, kept, question.text, prompts)
    return answer or {"is_waiting": True, "text": question.text}


def prompts_of_findings(services: Services, model: str) -> dict[str, tuple[str, ...]]:
    """The texts that stand for each finding of this workspace."""
    prompts = load_entry(services.store, model).prompts
    return {finding: prompts.prompts_for(finding) for finding in services.store.findings()}


@dataclass(frozen=True)
class _Kept:
    """What the worker left in the cache about one image and one model."""

    workspace: Workspace
    entry: dict[str, object]
    image: ImageRecord
    method: str

    def basis(self) -> PromptBasis | None:
        """The basis maps of the image."""
        return read_basis(basis_file(self.workspace, self.image, self.entry, self.method))

    def embedding(self, texts: tuple[str, ...]) -> NDArray[np.float32] | None:
        """The embedding of length 1 that stands for some texts: the mean of theirs."""
        rows = [read_text_embedding(text_file(self.workspace, self.entry, text)) for text in texts]
        kept = [row for row in rows if row is not None]
        if len(kept) < len(rows):
            return None
        mean = np.mean(kept, axis=0)
        vector: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
        return vector


def _answer(
    scene: Scene, kept: _Kept, text: str, prompts: dict[str, tuple[str, ...]]
) -> dict[str, Any] | None:
    """Pane of the words and the scores of all findings; None when something is not kept yet."""
    vectors = [kept.embedding(texts) for texts in ((text,), *prompts.values())]
    known = [vector for vector in vectors if vector is not None]
    basis = kept.basis() if len(known) == len(vectors) else None
    if basis is None:
        return None
    values, scores = prompt_maps(basis, np.stack(known))
    maps = CachedMaps(
        maps=values[:1],
        scores=scores[:1],
        findings=(text,),
        geometry=basis.geometry,
        provenance={"score": "cosine", "layer": basis.layer},
    )
    pane = scene.full_pane(maps, text, f'"{text}"', caption=_caption(scene, basis, text))
    ranking = [
        {"name": finding, "score": float(score)}
        for finding, score in zip(prompts, scores[1:], strict=True)
    ]
    return {
        "is_waiting": False,
        "text": text,
        "score": float(scores[0]),
        "pane": pane,
        "scores": ranking,
    }


def _caption(scene: Scene, basis: PromptBasis, text: str) -> list[str]:
    height, width = basis.input_size
    _, rows, columns = basis.basis.shape
    title = SALIENCY_METHODS[basis.method].title
    return [
        f'"{text}": {scene.selection.model}, zero-shot, {title} from basis maps.',
        f"Layer {basis.layer}, grid {rows} x {columns}; input {height} x {width}.",
        f"Weights {short(basis.weights_sha256)}. Beside the reader's regions of "
        f"{scene.selection.finding}.",
    ]


def _prepare(scene: Scene, visitor: Visitor, texts: list[str]) -> None:
    """Ask the worker and wait a moment.

    Raises:
        AuditError: If it says why it cannot.
    """
    services = scene.services
    params: dict[str, object] = {
        "image_id": scene.image.image_id,
        "model": scene.selection.model,
        "method": scene.selection.method,
        "texts": texts,
    }
    job: Job | None = _same_job(services, params) or submit_job(
        services.workspace, services.store, "prompt", params, owner=visitor.name
    )
    until = time.monotonic() + WAIT_S
    while job is not None and is_active(job) and time.monotonic() < until:
        time.sleep(LOOK_AGAIN_S)
        job = services.store.jobs.find(job.job_id)
    if job is None:  # answered and forgotten, with the words
        return
    reason = str(job.result.get("reason") or "") or (job.message if job.status == "failed" else "")
    if reason:
        raise AuditError(reason)


def _same_job(services: Services, params: dict[str, object]) -> Job | None:
    """The job that answers the same question already; a page asks again while it waits."""
    for job in services.store.jobs.recent(limit=LOOKED_THROUGH, kinds=["prompt"]):
        if is_active(job) and job.params == params:
            return job
    return None


def _plain(sign: str) -> str:
    return " " if unicodedata.category(sign).startswith(("C", "Z")) else sign
