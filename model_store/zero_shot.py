"""Zero-shot: the findings' prompts as text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from model_store.errors import InvalidEntry
from model_store.loading import LoadedModel
from model_store.scoring import TextScorer

TEXT_BATCH: Final = 8


def build_zero_shot(model: LoadedModel, findings: Sequence[str]) -> TextScorer:
    """The scorer that compares a picture with each finding's prompt."""
    return TextScorer(cast("Any", model.network).visual, embed_findings(model, findings))


def embed_findings(model: LoadedModel, findings: Sequence[str]) -> Tensor:
    """One text embedding of length 1 per finding, (K, D).

    Several prompts of one finding are averaged as embeddings of length 1, then scaled to length 1.

    Raises:
        InvalidEntry: If tokenizer and text tower do not fit each other.
    """
    prompts = [model.entry.prompts_for(finding) for finding in findings]
    wanted = [text for texts in prompts for text in texts if text not in model.text_embeddings]
    for start in range(0, len(wanted), TEXT_BATCH):
        batch = list(dict.fromkeys(wanted[start : start + TEXT_BATCH]))
        model.text_embeddings.update(zip(batch, _embed_texts(model, batch), strict=True))
    means = [
        torch.stack([model.text_embeddings[text] for text in texts]).mean(0) for texts in prompts
    ]
    return nn.functional.normalize(torch.stack(means), dim=-1)


def _embed_texts(model: LoadedModel, texts: list[str]) -> Tensor:
    tokens = model.tokenizer(texts)
    _check_tokens(model, texts, tokens)
    with torch.no_grad():
        embedded = cast("Any", model.network).encode_text(tokens.to(model.device))
    return nn.functional.normalize(embedded, dim=-1)


def _check_tokens(model: LoadedModel, texts: list[str], tokens: Tensor) -> None:
    """Nothing, unless a token lies outside the tower's vocabulary or no word was understood."""
    network = cast("Any", model.network)
    size = getattr(getattr(network, "text", network), "vocab_size", None)
    if size and int(tokens.max()) >= size:
        raise InvalidEntry(
            f"the tokenizer in {model.entry.folder} gives token {int(tokens.max())}, but the text "
            f"tower knows {size}; put the tokenizer files of this model into its folder"
        )
    tokenizer = getattr(model.tokenizer, "tokenizer", None)
    unknown = getattr(tokenizer, "unk_token_id", None)
    if tokenizer is None or unknown is None:
        return
    special = set(tokenizer.all_special_ids) - {unknown}
    for text, row in zip(texts, tokens.tolist(), strict=True):
        words = [token for token in row if token not in special]
        if not words or all(token == unknown for token in words):
            raise InvalidEntry(
                f"the tokenizer in {model.entry.folder} knows no word of the prompt {text!r}; "
                "its vocabulary is missing or belongs to another model"
            )
