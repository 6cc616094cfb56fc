"""What an audit says in plain words: its first line, then one sentence for each mode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from audit_app.comparison.selection import MODES
from audit_app.metrics.bootstrap import TOO_FEW
from audit_app.reports.summary import MACRO, POOLED
from audit_app.survey_folder import title_of_method

Line = Mapping[str, object]
NO_NUMBERS: Final = "No map could be scored: the tables say for each row why."
NO_INFORMATION: Final = "carry no demonstrated information"
OVERALL: Final = (MACRO, POOLED)
CONTROL_WORDS: Final = {
    "randomcam": "a random map",
    "random-weights": "the same network with random weights",
    "wrong-finding": "the map of a wrong finding",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one model, mode and method shows over all findings.

    Attributes:
        line: Of summary.csv: the macro, or all regions where only these have an interval.
        controls: Of control_summary.csv, of the same rows.
    """

    line: Line
    controls: tuple[Line, ...]

    @property
    def name(self) -> str:
        """Mode, method and model."""
        return f"{self.mode}, {self.method} of {self.line['model']}"

    @property
    def mode(self) -> str:
        """In words."""
        return MODES.get(str(self.line["mode"]), str(self.line["mode"]))

    @property
    def method(self) -> str:
        """In words."""
        return title_of_method(str(self.line["method"]))

    @property
    def reason(self) -> str:
        """Why the maps show nothing; "" where they do."""
        low, high, chance = (self.line[name] for name in ("hit_low", "hit_high", "chance_hit"))
        if self.line["hit"] is None:
            return "no row could be scored"
        if not isinstance(low, float | int) or not isinstance(high, float | int):
            return no_interval(self.line)
        if isinstance(chance, float | int) and low <= chance:
            place = "lies below" if high < chance else "holds"
            return f"the interval {place} chance, {share(chance)}"
        reached = [one for one in self.controls if one["overlaps"] is True]
        if reached:
            return f"the interval overlaps that of {_with_hits(reached)}"
        better = [one for one in self.controls if self._is_better(one)]
        return f"the interval lies below that of {_with_hits(better)}" if better else ""

    @property
    def claim(self) -> str:
        """What the maps do better than, where they show something."""
        if not self.controls:
            return "more often than chance does; no control was compared with them"
        unsaid = [control_words(one) for one in self.controls if one["overlaps"] is None]
        if unsaid:
            return f"more often than chance does; {' and '.join(unsaid)} gave no interval"
        return "more often than chance and the controls do"

    def _is_better(self, control: Line) -> bool:
        if control["overlaps"] is not False:  # without both intervals neither is known to be better
            return False
        return cast(float, control["hit"]) > cast(float, self.line["hit"])


def first_lines(summary: Mapping[str, object]) -> list[str]:
    """The sentences about a finished audit, the most important one first.

    Args:
        summary: What the run keeps: ``summary``, ``control_summary``, ``left_out``, ``warnings``.

    Returns:
        The first says whether the maps carry information; then one per model, mode and method
        with its interval, chance, controls and human ceiling; then what was left out or is wrong.
    """
    verdicts = verdicts_of(summary)
    scored = [one for one in verdicts if one.line["hit"] is not None]
    lines = [lead(scored)] if scored else [NO_NUMBERS]
    lines += [describe(one) for one in scored]
    return lines + list(_remarks(summary, scored))


def verdicts_of(summary: Mapping[str, object]) -> list[Verdict]:
    """One verdict for each model, mode and method, in the order of the summary."""
    lines, controls = _lines(summary, "summary"), _lines(summary, "control_summary")
    keys = dict.fromkeys(_key(line) for line in lines)
    found = []
    for key in keys:
        overall = [line for line in lines if _key(line) == key and line["finding"] in OVERALL]
        if overall:
            line = headline(overall)
            own = [
                one for one in controls if _key(one) == key and one["finding"] == line["finding"]
            ]
            found.append(Verdict(line, tuple(own)))
    return found


def headline(overall: Sequence[Line]) -> Line:
    """The macro where it has an interval, else all regions where these have, else the macro."""
    ordered = sorted(overall, key=lambda line: OVERALL.index(str(line["finding"])))
    return next((line for line in ordered if line["hit_low"] is not None), ordered[0])


def lead(verdicts: Sequence[Verdict]) -> str:
    """The first line: what shows nothing stands first, since it must not be overlooked."""
    by_reason: dict[str, list[Verdict]] = {}
    for one in verdicts:
        by_reason.setdefault(one.reason, []).append(one)
    told = by_reason.pop("", [])
    parts = [
        f"The maps of {_together(group)} {NO_INFORMATION}: {reason}. {_hits(group)}"
        for reason, group in by_reason.items()
    ]
    by_claim: dict[str, list[Verdict]] = {}
    for one in told:
        by_claim.setdefault(one.claim, []).append(one)
    parts += [
        f"The maps of {_together(group)} point to the readers' regions {claim}. {_hits(group)}"
        for claim, group in by_claim.items()
    ]
    return " ".join(parts)


def _together(group: Sequence[Verdict]) -> str:
    """The names of these, in short where they share model and method."""
    if len({(one.line["model"], one.line["method"]) for one in group}) > 1:
        return "; ".join(one.name for one in group)
    modes = ", ".join(one.mode for one in group)
    return f"{group[0].line['model']} ({modes}; {group[0].method})"


def _hits(group: Sequence[Verdict]) -> str:
    """Each one's hit rate with its interval where there is one, chance, and the controls."""
    hits = []
    for one in group:
        low, high = one.line["hit_low"], one.line["hit_high"]
        ends = f" ({share(low)} to {share(high)})" if low is not None else ""
        hits.append(f"{share(one.line['hit'])}{ends}")
    chances = dict.fromkeys(share(one.line["chance_hit"]) for one in group)
    by_mode = [{control_words(each): each["hit"] for each in one.controls} for one in group]
    # One that lacks a control says n/a, so that no number is taken for another one's.
    controls = "".join(
        f"; {words} {', '.join(share(hits_of.get(words)) for hits_of in by_mode)}"
        for words in dict.fromkeys(words for hits_of in by_mode for words in hits_of)
    )
    return f"Hits: {', '.join(hits)}; chance {' or '.join(chances)}{controls}."


def _with_hits(controls: Sequence[Line]) -> str:
    return " and ".join(f"{control_words(one)}, {share(one['hit'])}" for one in controls)


def describe(verdict: Verdict) -> str:
    """One model, mode and method: never a hit rate without interval, chance and controls."""
    line = verdict.line
    over = "mean over findings" if line["finding"] == MACRO else "all regions"
    parts = [
        f"{verdict.name}: the brightest point lies in the reader's region in {share(line['hit'])}"
        f" ({over}; {interval_words(line, 'hit')})",
        f"a random point would in {share(line['chance_hit'])}",
        *(f"{control_words(one)} in {share(one['hit'])}" for one in verdict.controls),
    ]
    if line.get("human_hit") is not None:
        parts.append(f"another reader in {share(line['human_hit'])}")
    counts = f"{line['n_scored']} maps of {line['n_patients']} {patients(line['n_patients'])}"
    if line["n_no_evidence"]:
        counts += f", {line['n_no_evidence']} of them empty"
    return f"{'; '.join(parts)}. {counts}."


def interval_words(line: Line, name: str) -> str:
    """The 95 % interval, or why there is none."""
    low, high = line.get(f"{name}_low"), line.get(f"{name}_high")
    if low is None or high is None:
        return no_interval(line)
    return f"95 % interval {share(low)} to {share(high)}"


def no_interval(line: Line) -> str:
    """Why there is no interval, without the count of replicates that some reasons begin with."""
    note = str(line.get("note") or "no interval")
    return TOO_FEW if note.endswith(TOO_FEW) else note


def control_words(control: Line) -> str:
    """The control in words."""
    return CONTROL_WORDS.get(str(control["control"]), str(control["control"]))


def patients(count: object) -> str:
    """One patient, several patients."""
    return "patient" if count == 1 else "patients"


def share(value: object) -> str:
    """A share from 0 to 1 as a percentage; n/a where nothing is defined."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "n/a"
    return f"{100 * value:.0f} %"


def _remarks(summary: Mapping[str, object], scored: Sequence[Verdict]) -> Iterator[str]:
    given = summary.get("left_out")
    named = given if isinstance(given, list) else []
    left_out = [str(one).removeprefix("control ") for one in named]
    if left_out:
        words = ", ".join(CONTROL_WORDS.get(one, one) for one in left_out)
        yield f"Left out by choice: {words}. Without it this audit says less."
    made = {str(control["control"]) for one in scored for control in one.controls}
    absent = [words for name, words in CONTROL_WORDS.items() if name not in {*made, *left_out}]
    if scored and absent:
        yield f"Not compared, for no row could have it: {', '.join(absent)}."
    warnings = summary.get("warnings")
    if isinstance(warnings, list):
        yield from (str(one) for one in warnings)


def _key(line: Line) -> tuple[str, str, str]:
    return str(line["model"]), str(line["mode"]), str(line["method"])


def _lines(summary: Mapping[str, object], name: str) -> list[Line]:
    lines = summary.get(name)
    return list(lines) if isinstance(lines, list) else []
