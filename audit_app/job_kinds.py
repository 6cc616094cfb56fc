"""What the worker can do: one function per kind of job, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from annotations.records import Job
from annotations.store import Store
from annotations.workspace import Workspace

if TYPE_CHECKING:
    from model_store.runtime import ModelRuntime

# A job's own imports stand inside its function: an import of images must not load torch.


@dataclass(frozen=True, slots=True)
class JobContext:
    """One job on its workspace; ``report(done, total, message)`` is true when it should stop."""

    workspace: Workspace
    store: Store
    job: Job
    report: Callable[[int, int, str], bool]

    def text(self, name: str) -> str:
        """A parameter that is a string; "" when it was not given."""
        return str(self.job.params.get(name) or "")

    def texts(self, name: str) -> list[str]:
        """A parameter that is a list of strings."""
        values = self.job.params.get(name) or []
        if not isinstance(values, list):
            raise TypeError(f"parameter {name} of job {self.job.job_id} is no list")
        return [str(value) for value in values]


@cache
def runtime_of(root: Path) -> ModelRuntime:
    """The loaded models of one workspace, kept for the life of the worker."""
    from annotations.workspace import open_workspace
    from audit_app.models import make_runtime

    workspace = open_workspace(root)
    return make_runtime(workspace, Store.open(workspace))


def run_explain(context: JobContext) -> dict[str, object]:
    """The maps of one image in some modes, into the cache that open pages read."""
    from audit_app.explanations import Wanted, explain_image

    modes = context.texts("modes")
    runtime = runtime_of(context.workspace.root)
    failures: dict[str, str] = {}
    for done, mode in enumerate(modes):
        wanted = Wanted(
            context.text("image_id"), context.text("model"), mode, context.text("method")
        )
        reason = explain_image(context.workspace, context.store, runtime, wanted)
        if reason:
            failures[mode] = reason
        if context.report(done + 1, len(modes), f"maps of {mode}"):
            break
    return {"failures": failures}


def run_audit(context: JobContext) -> dict[str, object]:
    """An audit of the committed readings."""
    from audit_app.audit_job import run_audit_job

    runtime = runtime_of(context.workspace.root)
    return run_audit_job(context.workspace, context.store, runtime, context.job, context.report)


def run_train(context: JobContext) -> dict[str, object]:
    """A linear probe or a fine-tune on the workspace's labels."""
    from audit_app.training import TrainingChoices, train_mode

    choices = TrainingChoices(
        model=context.text("model"),
        mode=context.text("mode"),
        labels=context.text("labels") or None,
    )
    result = train_mode(context.workspace, context.store, choices, progress=context.report)
    runtime_of.cache_clear()
    return {"lines": result.lines()}


def run_import(context: JobContext) -> dict[str, object]:
    """An import of pictures, boxes and labels."""
    from annotations.importing import import_source

    report = import_source(
        context.workspace,
        context.store,
        Path(context.text("source")),
        context.text("kind"),
        reader=context.text("reader") or "imported",
        copy=bool(context.job.params.get("copy")),
        progress=context.report,
    )
    return {"lines": report.lines()}


def run_add_model(context: JobContext) -> dict[str, object]:
    """A model for the catalogue, from a local folder or a hub."""
    from audit_app.models import add_model

    path = context.text("path")
    entry = add_model(
        context.workspace,
        context.store,
        context.text("name"),
        path=Path(path) if path else None,
        hub=context.text("hub") or None,
    )
    return {"lines": [f"Added {entry.name}, weights {entry.weights_sha256[:12]}"]}


JOB_KINDS: Final[dict[str, Callable[[JobContext], dict[str, object]]]] = {
    "explain": run_explain,
    "audit": run_audit,
    "train": run_train,
    "import": run_import,
    "add model": run_add_model,
}
INTERACTIVE_KINDS: Final = ("explain",)
