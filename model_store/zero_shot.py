"""Zero-shot: the findings' prompts as text embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from model_store.errors import InvalidEntry, UnknownMethod
from model_store.loading import LoadedModel
from model_store.networks import Tokenizer
from model_store.scoring import TextScorer

TEXT_BATCH: Final = 8


def build_zero_shot(model: LoadedModel, findings: Sequence[str]) -> TextScorer:
    """The scorer that compares a picture with each finding's prompts."""
    prompts = model.entry.prompts
    return TextScorer(
        cast("Any", model.network).visual,
        text_vectors(model, findings),
        is_cosine=prompts.score == "cosine",
    )


def text_vectors(model: LoadedModel, findings: Sequence[str]) -> Tensor:
    """What the image embedding is multiplied with for each finding, (K, D).

    The ensemble of a finding's prompts, minus that of its negative prompts where it has some.

    Raises:
        InvalidEntry: If a prompt cannot be read by this model.
    """
    prompts = model.entry.prompts
    positive = [prompts.prompts_for(finding) for finding in findings]
    negative = [prompts.negatives_for(finding) for finding in findings]
    embed_texts(model, [text for texts in (*positive, *negative) for text in texts])
    vectors = []
    for texts, against in zip(positive, negative, strict=True):
        vector = _ensemble(model, texts)
        vectors.append(vector - _ensemble(model, against) if against else vector)
    return torch.stack(vectors)


def embed_texts(model: LoadedModel, texts: Sequence[str]) -> Tensor:
    """Un-normalised text embeddings (N, D), in the order of the texts; each is computed once.

    Raises:
        UnknownMethod: If the model is a classifier, which reads no text.
        InvalidEntry: If tokenizer and text tower do not fit each other, or a text is too long.
    """
    known = model.text_embeddings
    wanted = [text for text in dict.fromkeys(texts) if text not in known]
    for start in range(0, len(wanted), TEXT_BATCH):
        batch = wanted[start : start + TEXT_BATCH]
        known.update(zip(batch, _embed_batch(model, batch), strict=True))
    if not texts:
        return torch.empty(0, model.embedding_size, device=model.device)
    return torch.stack([known[text] for text in texts])


def _ensemble(model: LoadedModel, texts: Sequence[str]) -> Tensor:
    """One vector (D,) for several texts.

    For cosines the mean of the embeddings of length 1, scaled to length 1; for dot products the
    mean of the embeddings as they are.
    """
    embedded = embed_texts(model, texts)
    if model.entry.prompts.score == "dot":
        return embedded.mean(0)
    return nn.functional.normalize(nn.functional.normalize(embedded, dim=-1).mean(0), dim=-1)


def _embed_batch(model: LoadedModel, texts: list[str]) -> Tensor:
    tokenizer = _tokenizer(model)
    tokens = tokenizer(texts)
    _check_tokens(model, tokenizer, texts, tokens)
    with torch.no_grad():
        embedded: Tensor = cast("Any", model.network).encode_text(tokens.to(model.device))
    return embedded


def _tokenizer(model: LoadedModel) -> Tokenizer:
    if model.tokenizer is None:
        raise UnknownMethod(
            f"model '{model.entry.name}' is a classifier: it reads no text; "
            f"its modes are {', '.join(model.entry.modes)}"
        )
    return model.tokenizer


def _check_tokens(
    model: LoadedModel, tokenizer: Tokenizer, texts: list[str], tokens: Tensor
) -> None:
    """Nothing, unless a token lies outside the tower's vocabulary or no word was understood."""
    network = cast("Any", model.network)
    size = getattr(getattr(network, "text", network), "vocab_size", None)
    if size and int(tokens.max()) >= size:
        raise InvalidEntry(
            f"the tokenizer in {model.entry.folder} gives token {int(tokens.max())}, but the text "
            f"tower knows {size}; put the tokenizer files of this model into its folder"
        )
    for text in texts:
        _check_length(tokenizer, text, tokens.shape[1])
    _check_words(model, tokenizer, texts, tokens)


def _check_length(tokenizer: Tokenizer, text: str, n_read: int) -> None:
    """Nothing, unless the tokenizer cut this text off without a word."""
    inner = getattr(tokenizer, "tokenizer", None)
    if inner is not None:
        n_tokens = len(inner(text)["input_ids"])
    elif hasattr(tokenizer, "encode"):
        n_tokens = len(tokenizer.encode(text)) + 2  # open_clip's own adds a begin and an end
    else:
        return
    if n_tokens > n_read:
        raise InvalidEntry(
            f"the prompt {text[:60]!r}... has {n_tokens} tokens; the text tower reads {n_read}; "
            "write a shorter one"
        )


def _check_words(
    model: LoadedModel, tokenizer: Tokenizer, texts: list[str], tokens: Tensor
) -> None:
    """Nothing, unless none of a text's words is known."""
    inner = getattr(tokenizer, "tokenizer", None)
    unknown = getattr(inner, "unk_token_id", None)
    if inner is None or unknown is None:
        return
    special = set(inner.all_special_ids) - {unknown}
    for text, row in zip(texts, tokens.tolist(), strict=True):
        words = [token for token in row if token not in special]
        if not words or all(token == unknown for token in words):
            raise InvalidEntry(
                f"the tokenizer in {model.entry.folder} knows no word of the prompt {text!r}; "
                "its vocabulary is missing or belongs to another model"
            )
