from __future__ import annotations

import json
from dataclasses import replace

import pytest

from model_store.entries import PRESETS, ModelEntry
from model_store.errors import InvalidEntry
from model_store.prompts import STUDY_PROMPTS, PromptSet, split_texts

PROMPTS = PromptSet(
    template="film of {finding}",
    lower=True,
    synonyms={"Edema": ("Lung Water", "Edema")},
    texts={"No Finding": ("clear lungs", "a normal chest")},
    negative_template="no {finding}",
    negative_texts={"No Finding": ("disease",)},
)
ENTRY = ModelEntry(name="mine", location="local-dir:/somewhere", prompts=PROMPTS)


def test_a_finding_and_its_synonyms_go_through_the_template_each_once() -> None:
    assert PROMPTS.prompts_for("Edema") == ("film of edema", "film of lung water")
    assert PROMPTS.prompts_for("Fracture") == ("film of fracture",)


def test_full_texts_stand_instead_of_template_and_synonyms() -> None:
    assert PROMPTS.prompts_for("No Finding") == ("clear lungs", "a normal chest")


def test_negative_prompts_come_from_their_own_template_or_text_or_not_at_all() -> None:
    assert PROMPTS.negatives_for("Edema") == ("no edema", "no lung water")
    assert PROMPTS.negatives_for("No Finding") == ("disease",)
    assert PromptSet().negatives_for("Edema") == ()
    only_one = PromptSet(negative_texts={"Edema": ("dry lungs",)})
    assert (only_one.negatives_for("Edema"), only_one.negatives_for("Fracture")) == (
        ("dry lungs",),
        (),
    )


@pytest.mark.parametrize(
    ("prompts", "kind"),
    [
        (PromptSet(), "cosine"),
        (STUDY_PROMPTS, "dot"),
        (PROMPTS, "cosine difference"),
        (PromptSet(score="dot", negative_texts={"Edema": ("dry",)}), "dot difference"),
    ],
)
def test_the_kind_of_score_says_whether_pairs_are_compared(prompts: PromptSet, kind: str) -> None:
    assert prompts.score_kind == kind


def test_the_study_asks_with_bare_names() -> None:
    assert STUDY_PROMPTS.prompts_for("Pleural Effusion") == ("Pleural Effusion",)


def test_an_edit_is_the_next_version_and_keeps_all_that_were_before() -> None:
    second = ENTRY.with_prompts(STUDY_PROMPTS, "2030-01-01T00:00:00+00:00")
    third = second.with_prompts(replace(PROMPTS, template="{finding} seen"), "2030-01-02T00:00")

    assert [each.version for each in third.all_prompts] == [1, 2, 3]
    assert third.prompt_version(1) == PROMPTS
    assert third.prompt_version(2).score == "dot"
    assert third.prompts.edited_at == "2030-01-02T00:00"
    assert third.with_prompts(third.prompt_version(1), "x").prompts.has_content_of(PROMPTS)
    assert ModelEntry.from_dict(json.loads(json.dumps(third.to_dict()))) == third
    with pytest.raises(InvalidEntry, match="has no prompts of version 9; known: 1, 2, 3"):
        third.prompt_version(9)


def test_saving_the_same_prompts_again_makes_no_version() -> None:
    assert ENTRY.with_prompts(replace(PROMPTS, version=7, edited_at="later"), "now") == ENTRY


def test_an_entry_that_was_saved_before_there_were_versions_is_read() -> None:
    values = {
        "name": "old",
        "location": "local-dir:/somewhere",
        "prompt_template": "there is {finding}",
        "prompt_lower": True,
        "prompts": {"Edema": ["wet lung"]},
        "precision": "fp32",
    }
    entry = ModelEntry.from_dict(values)
    assert entry.prompts == PromptSet("there is {finding}", True, texts={"Edema": ("wet lung",)})


def test_biomedclip_asks_with_the_template_of_its_authors() -> None:
    assert PRESETS["biomedclip"].prompts_for("Edema") == ("this is a photo of edema",)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"template": "film"}, "prompt template 'film' given; it must hold {finding}"),
        ({"negative_template": "no"}, "negative template 'no' given; it must hold"),
        ({"score": "softmax"}, "prompt score 'softmax' given; expected cosine or dot"),
        ({"version": 0}, "prompt version 0 given; versions begin at 1"),
        ({"synonyms": {"Edema": (" ",)}}, r"synonyms \[' '\] given for Edema; expected"),
    ],
)
def test_prompts_that_give_no_text_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidEntry, match=words):
        PromptSet(**values)  # type: ignore[arg-type]


def test_texts_are_separated_by_semicolons() -> None:
    assert split_texts(" wet lung;; lung, oedema ; wet lung") == ("wet lung", "lung, oedema")
