"""What the Evaluate tab's form says, and the job that it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from annotations.records import Job
from audit_app.errors import AuditError
from audit_app.evaluator.choices import PRESETS, EvaluationChoices, is_file_name
from audit_app.evaluator.job import JOB_KIND
from audit_app.jobs import submit_job
from audit_app.services import Services
from audit_app.session import AccessRefused, Visitor

OWN_SPLIT: Final = "own"


@dataclass(frozen=True, slots=True)
class EvaluationForm:
    """What the form's fields hold, in the order of ``EvaluateTab.form``."""

    model: str | None
    labels: str | None
    split: str | None
    uncertain: str
    epochs: str
    modes: Sequence[str]
    presets: Sequence[str]

    def params(self) -> dict[str, object]:
        """Parameters of a job.

        Raises:
            AuditError: If something was not chosen, or is out of range.
        """
        if not self.model:
            raise AuditError("no model was chosen; add one in the tab Data & models")
        if not self.modes:
            raise AuditError(f"no mode of {self.model} was chosen; tick at least one")
        if not self.presets:
            raise AuditError("no preset was chosen; tick study, recommended or both")
        epochs = self.epochs.strip()
        if epochs and not epochs.isdecimal():
            raise AuditError(f"epochs are '{epochs}'; expected a whole number, or nothing")
        split = (self.split or "").strip()
        params: dict[str, object] = {
            "model": self.model,
            "labels": (self.labels or "").strip() or None,
            "split": None if split in ("", OWN_SPLIT) else split,
            "uncertain": self.uncertain,
            "epochs": int(epochs) if epochs else None,
            "modes": list(self.modes),
            "presets": [name for name in PRESETS if name in self.presets],
        }
        EvaluationChoices.from_dict(params)
        return params


def begin_evaluation(services: Services, visitor: Visitor, form: EvaluationForm) -> Job:
    """Put an evaluation into the queue.

    Raises:
        AuditError: If something was not chosen, or is out of range.
        AccessRefused: If a file of this machine is named by somebody who is no admin.
    """
    params = form.params()
    files = [value for name in ("labels", "split") if is_file_name(value := str(params[name]))]
    if files and visitor.role != "admin":
        raise AccessRefused(
            f"'{files[0]}' is a file of this machine, and only an admin may name one; choose "
            "labels and a split of the workspace"
        )
    return submit_job(services.workspace, services.store, JOB_KIND, params, owner=visitor.name)
