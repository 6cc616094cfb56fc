"""What an evaluation is asked to do."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Final, Literal, get_args

from audit_app.errors import AuditError
from audit_app.metrics.bootstrap import DEFAULT_REPLICATES

PresetName = Literal["study", "recommended"]
UncertainRule = Literal["not positive", "positive", "leave out"]

MODES: Final = ("zs", "cls", "lp", "ft")
THREE_MODES: Final = ("zs", "lp", "ft")
PRESETS: Final[tuple[PresetName, ...]] = get_args(PresetName)
UNCERTAIN_RULES: Final[tuple[UncertainRule, ...]] = get_args(UncertainRule)
BOTH: Final = "both"
STUDY_SPLIT: Final = "study"
DEFAULT_SEED: Final = 42
DEFAULT_PERMUTATIONS: Final = 1000
DEFAULT_NULL_DRAWS: Final = 200


@dataclass(frozen=True, slots=True)
class EvaluationChoices:
    """What is evaluated, on which labels, and how.

    Attributes:
        model: Name of a model entry of the workspace.
        presets: ``study`` (as in the published table), ``recommended``, or both.
        labels: A label source of the workspace, or the path of a CSV
            ``path,patient,split,<findings...>``; None: the only source there is.
        uncertain: What 2 and -1 in a CSV stand for.
        modes: Of ``MODES``; of a classifier ``zs`` stands for its own outputs.
        split: ``study``, the path of a CSV ``path,split``, or a seed for a split by patient; None:
            the labels' own split, else the study's rule.
        epochs: At most, for probe (study preset) and fine-tune; None: the study's ten.
        seed: Of training, bootstrap, permutations and null.
        replicates: Of each bootstrap.
        permutations: Of the pair formula's p-value.
        null_draws: Of the null on random scores.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        owner: Who asked for it.
    """

    model: str
    presets: tuple[str, ...] = PRESETS
    labels: str | None = None
    uncertain: str = "not positive"
    modes: tuple[str, ...] = THREE_MODES
    split: str | None = None
    epochs: int | None = None
    seed: int = DEFAULT_SEED
    replicates: int = DEFAULT_REPLICATES
    permutations: int = DEFAULT_PERMUTATIONS
    null_draws: int = DEFAULT_NULL_DRAWS
    device: str = "auto"
    owner: str = "local reader"

    def __post_init__(self) -> None:
        """Refuse what no evaluation can be made of."""
        _check_subset("modes", self.modes, MODES)
        _check_subset("presets", self.presets, PRESETS)
        if self.uncertain not in UNCERTAIN_RULES:
            raise AuditError(
                f"the rule for uncertain labels is {self.uncertain!r}; "
                f"expected {' or '.join(UNCERTAIN_RULES)}"
            )
        for name in ("epochs", "replicates", "permutations", "null_draws"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise AuditError(f"{name} is {value}; expected at least 1")

    def to_dict(self) -> dict[str, object]:
        """As JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> EvaluationChoices:
        """The choices that ``to_dict`` wrote.

        Raises:
            AuditError: If a name is unknown, or a value is out of range.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(values) - known)
        if unknown or "model" not in values:
            raise AuditError(
                f"choices of an evaluation hold {sorted(values)}; expected model and any of "
                f"{', '.join(sorted(known - {'model'}))}"
            )
        given = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
        return cls(**given)  # type: ignore[arg-type] # JSON; the names were checked above

    def command(self) -> str:
        """The command line that does the same; folders and files stand as words, not as paths."""
        preset = self.presets[0] if len(self.presets) == 1 else BOTH
        words = ["launch.py", "evaluate", "WORKSPACE", "--model", self.model, "--preset", preset]
        words += ["--modes", ",".join(self.modes)]
        if self.labels is not None:
            words += ["--labels", "FILE" if is_file_name(self.labels) else self.labels]
        if self.split is not None:
            words += ["--split", "FILE" if is_file_name(self.split) else self.split]
        if self.uncertain != "not positive":
            words += ["--uncertain", self.uncertain]
        if self.epochs is not None:
            words += ["--epochs", str(self.epochs)]
        return shlex.join([*words, "--seed", str(self.seed), "--out", "DIR"])


def presets_of(word: str) -> tuple[str, ...]:
    """The presets that the command line's word stands for; ``both`` for all."""
    return PRESETS if word == BOTH else (word,)


def is_file_name(text: str) -> bool:
    """Whether the text names a table on the disk rather than something of the workspace."""
    return text.lower().endswith((".csv", ".tsv", ".txt"))


def _check_subset(name: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    unknown = [one for one in given if one not in known]
    if unknown or not given:
        raise AuditError(f"{name} are {list(given)}; choose one or more of {list(known)}")
    if len(set(given)) != len(given):
        raise AuditError(f"{name} are {list(given)}; give each of them once")
