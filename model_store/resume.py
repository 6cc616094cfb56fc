"""The state of an unfinished training on disk: one safetensors file, replaced after each epoch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from model_store.checkpoints import write_safetensors
from model_store.errors import TrainingFailed
from model_store.optimise import State
from model_store.training import Ticker

FORMAT: Final = "saliency-audit-resume-1"
KEPT: Final = "the epochs that were finished are kept: start the same training again to go on"


class ResumeFile:
    """The state of one training.

    Args:
        path: Of the file; absent before the first epoch is finished.
        training: What makes it this training, as JSON values: settings, weights, data, device. A
            file of another training is left alone until the first epoch of this one replaces it.
        ticker: Told what a cancelled training leaves.
    """

    def __init__(self, path: Path, training: Mapping[str, Any], ticker: Ticker) -> None:
        self.path = path
        self._training = json.dumps(dict(training), sort_keys=True)
        self._ticker = ticker

    def load(self) -> State | None:
        """The state of an earlier start of this training; None when there is none to go on from."""
        for unfinished in self.path.parent.glob(f".{self.path.name}.*"):
            unfinished.unlink()  # a kill left it half written
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="np") as file:
                strings: dict[str, str] = file.metadata() or {}
            if strings.get("format") != FORMAT or strings.get("training") != self._training:
                return None
            state = State(load_file(self.path), json.loads(strings["facts"]))
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise TrainingFailed(
                f"{self.path} holds the state of an unfinished training, but cannot be read "
                f"({error}); remove it to start from the beginning"
            ) from None
        self._ticker.left = KEPT
        return state

    def save(self, state: State) -> None:
        """Keep this state instead of the one before."""
        # Some weights share memory, which the format does not hold.
        tensors = {
            name: value.detach().cpu().clone().contiguous() for name, value in state.tensors.items()
        }
        strings = {
            "format": FORMAT,
            "training": self._training,
            "facts": json.dumps(state.facts),
        }
        try:
            write_safetensors(self.path, tensors, strings)
        except (SafetensorError, OSError) as error:
            raise TrainingFailed(
                f"the state after epoch {state.facts['epoch']} cannot be written to {self.path} "
                f"({error}); free some space there, then start the same training again"
            ) from None
        self._ticker.left = KEPT

    def remove(self) -> None:
        """Nothing is left to go on from."""
        self.path.unlink(missing_ok=True)
