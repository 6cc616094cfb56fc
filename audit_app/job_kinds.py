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
    from audit_app.explanations import Explainer
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

    def records(self, name: str) -> list[dict[str, str]]:
        """A parameter that is a list of objects with texts."""
        values = self.job.params.get(name) or []
        if not isinstance(values, list) or not all(isinstance(one, dict) for one in values):
            raise TypeError(f"parameter {name} of job {self.job.job_id} is no list of objects")
        return [{str(key): str(value) for key, value in one.items()} for one in values]


@cache
def runtime_of(root: Path) -> ModelRuntime:
    """The loaded models of one workspace, kept for the life of the worker."""
    from annotations.workspace import open_workspace
    from audit_app.models import make_runtime

    workspace = open_workspace(root)
    return make_runtime(workspace, Store.open(workspace))


def run_explain(context: JobContext) -> dict[str, object]:
    """The maps of one image in some modes, into the cache that open pages read."""
    from audit_app.explanations import Wanted

    many = [Wanted(context.text("image_id"), **one) for one in context.records("wanted")]
    return {"failures": explainer_of(context).explain_all(many, context.report)}


def run_layers(context: JobContext) -> dict[str, object]:
    """The maps of one image at every layer of one model."""
    from audit_app.explanations import Wanted

    names = ("image_id", "model", "mode", "method")
    wanted = Wanted(*(context.text(name) for name in names))
    return {"failures": explainer_of(context).explain_layers(wanted, context.report)}


def run_prompt(context: JobContext) -> dict[str, object]:
    """What free words about one image need: its basis maps, and the words' embeddings."""
    reason = explainer_of(context).prepare_prompt(
        context.text("image_id"),
        context.text("model"),
        context.text("method"),
        context.texts("texts"),
    )
    return {"reason": reason}


def explainer_of(context: JobContext) -> Explainer:
    """The workspace with its loaded models."""
    from audit_app.explanations import Explainer

    runtime = runtime_of(context.workspace.root)
    return Explainer(context.workspace, context.store, runtime)


def run_audit(context: JobContext) -> dict[str, object]:
    """An audit of the committed readings."""
    from audit_app.audit_job import run_audit_job

    runtime = runtime_of(context.workspace.root)
    return run_audit_job(context.workspace, context.store, runtime, context.job, context.report)


def run_survey(context: JobContext) -> dict[str, object]:
    """Every saliency method at every layer, on the committed regions."""
    from audit_app.survey import run_survey_job

    runtime = runtime_of(context.workspace.root)
    return run_survey_job(context.workspace, context.store, runtime, context.job, context.report)


def run_evaluate(context: JobContext) -> dict[str, object]:
    """A model in its three modes on one set of labels."""
    from audit_app.evaluator.job import run_evaluation_job

    runtime = runtime_of(context.workspace.root)
    return run_evaluation_job(
        context.workspace, context.store, runtime, context.job, context.report
    )


def run_train(context: JobContext) -> dict[str, object]:
    """A linear probe or a fine-tune on the workspace's labels."""
    from audit_app.training import TrainingChoices, train_mode

    choices = TrainingChoices(
        model=context.text("model"),
        mode=context.text("mode"),
        labels=context.text("labels") or None,
        preset=context.text("preset") or "study",
        changes=tuple(context.texts("changes")),
        device=context.text("device") or "auto",
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
    """A model for the catalogue: from a preset, a local folder, a hub, or one checkpoint."""
    from audit_app.hub import add_from_hub, is_hub_source
    from audit_app.models import add_checkpoint, add_model
    from model_store.local_checkpoints import ClassifierFiles

    name, path, hub = context.text("name"), context.text("path"), context.text("hub")
    architecture, labels = context.text("architecture"), context.texts("labels")
    if architecture or labels:
        files = ClassifierFiles(Path(path), architecture, labels)
        entry = add_checkpoint(context.workspace, context.store, name, files)
    elif is_hub_source(name, path, hub):
        fetched = add_from_hub(context.workspace, context.store, name, hub, context.report)
        if fetched is None:
            return {}
        entry = fetched
    else:
        chosen = Path(path) if path else None
        entry = add_model(context.workspace, context.store, name, path=chosen, hub=hub or None)
    return {"lines": [f"Added {entry.name}, weights {entry.weights_sha256[:12]}"]}


JOB_KINDS: Final[dict[str, Callable[[JobContext], dict[str, object]]]] = {
    "explain": run_explain,
    "layers": run_layers,
    "prompt": run_prompt,
    "audit": run_audit,
    "survey": run_survey,
    "evaluate": run_evaluate,
    "train": run_train,
    "import": run_import,
    "add model": run_add_model,
}
INTERACTIVE_KINDS: Final = ("explain", "layers", "prompt")
WORD_KINDS: Final = ("prompt",)  # whose parameters hold what somebody typed
