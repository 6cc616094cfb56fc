"""Short texts about phantoms for image-text training, and the tokenizer that reads them."""

from __future__ import annotations

import json
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from model_store.demo.phantom_style import DEMO_FINDINGS, NO_FINDING

CONTEXT_LENGTH: Final = 32
SPECIAL_TOKENS: Final = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PAD_ID, EOS_ID = 0, 3
PROMPT_TEMPLATE: Final = "there is {finding}"

PHRASES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "Cardiomegaly": ("cardiomegaly", "an enlarged heart", "an enlarged cardiac silhouette"),
        "Lung Lesion": ("lung lesion", "a lung lesion", "a lung nodule", "a lung mass"),
        "Consolidation": ("consolidation", "airspace consolidation"),
        "Atelectasis": ("atelectasis", "plate-like atelectasis"),
        "Pneumothorax": ("pneumothorax", "a pneumothorax"),
        "Pleural Effusion": ("pleural effusion", "a pleural effusion", "pleural fluid"),
        "Fracture": ("fracture", "a fracture", "a broken bone"),
        "Support Devices": ("support devices", "a support device", "a tube or line or pacemaker"),
    }
)
NORMAL: Final = (
    "there is no finding",
    "no finding",
    "normal chest radiograph",
    "no acute abnormality",
    "there is no abnormality",
)
POSITIVE: Final = ("there is {}", "there is {}", "{}", "{} is seen", "the radiograph shows {}")
NEGATIVE: Final = ("there is no {}", "no {}", "no evidence of {}")
# Words of the study's other findings and of plain prompts: known as words, though never trained.
EXTRA_WORDS: Final = (
    "enlarged cardiomediastinum lung opacity edema pneumonia pleural other this is a photo of an x "
    "ray image with and in on at the right left lower upper zone lungs are clear"
)


@dataclass(frozen=True)
class Caption:
    """A text and what must hold for it to be true of a film.

    Attributes:
        text: In lower case.
        present: Finding by index, with a side ("right", "left") or "" for any.
        absent: Findings by index that must not be there.
    """

    text: str
    present: tuple[tuple[int, str], ...] = ()
    absent: tuple[int, ...] = ()


def write_caption(dice: random.Random, shown: Sequence[int], sides: Mapping[int, str]) -> Caption:
    """One true text about a film with these findings."""
    everything = range(len(DEMO_FINDINGS))
    if not shown and dice.random() < 0.6:
        return Caption(dice.choice(NORMAL), (), tuple(everything))
    if not shown or dice.random() < 0.15:
        missing = dice.choice([index for index in everything if index not in shown])
        return Caption(dice.choice(NEGATIVE).format(_phrase(dice, missing)), (), (missing,))
    chosen = dice.sample(list(shown), 1 if dice.random() < 0.75 else min(2, len(shown)))
    parts, present = [], []
    for index in chosen:
        side = sides.get(index, "") if dice.random() < 0.25 else ""
        phrase = _phrase(dice, index)
        parts.append(f"{phrase} on the {side}" if side else phrase)
        present.append((index, side))
    return Caption(dice.choice(POSITIVE).format(" and ".join(parts)), tuple(present))


def _phrase(dice: random.Random, finding: int) -> str:
    return dice.choice(PHRASES[DEMO_FINDINGS[finding]])


def caption_truth(
    captions: Sequence[Caption], labels: NDArray[np.bool_], is_right: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Shape (films, captions): whether a caption holds for a film.

    Args:
        captions: C of them.
        labels: Shape (films, findings).
        is_right: Shape (films, findings): the finding lies on the patient's right.
    """
    truth = np.ones((len(labels), len(captions)), dtype=np.bool_)
    for column, caption in enumerate(captions):
        for index, side in caption.present:
            truth[:, column] &= labels[:, index]
            if side:
                truth[:, column] &= is_right[:, index] == (side == "right")
        for index in caption.absent:
            truth[:, column] &= ~labels[:, index]
    return truth


def build_vocabulary() -> tuple[str, ...]:
    """Special tokens, every word of the captions, then characters for whatever else is typed."""
    texts = [EXTRA_WORDS, *NORMAL, *DEMO_FINDINGS, NO_FINDING, PROMPT_TEMPLATE.format(finding="")]
    texts += [phrase for phrases in PHRASES.values() for phrase in phrases]
    texts += [text.format("") for text in (*POSITIVE, *NEGATIVE)]
    words = {word for text in texts for word in text.lower().replace("-", " - ").split()}
    characters = string.ascii_lowercase + string.digits + string.punctuation
    pieces = [*characters, *(f"##{each}" for each in string.ascii_lowercase + string.digits)]
    return (*SPECIAL_TOKENS, *sorted(words - set(pieces)), *pieces)


def save_tokenizer(folder: Path) -> None:
    """Write ``tokenizer.json`` and ``tokenizer_config.json``, which AutoTokenizer reads."""
    vocabulary = {token: index for index, token in enumerate(build_vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", EOS_ID), ("[CLS]", 2))
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": CONTEXT_LENGTH,
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
        "clean_up_tokenization_spaces": False,
    }
    text = json.dumps(settings, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
