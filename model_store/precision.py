"""Whether bf16 autocast pays on this machine for this model: measured once, then written down.

Embeddings in bulk (probe, survey, evaluation) may be computed in bf16. Maps and the scores beside
them are always computed in fp32.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from model_store.checkpoints import current_time
from model_store.entries import Precision
from model_store.loading import LoadedModel
from model_store.scoring import Embedder

RECORD_NAME: Final = "precision.json"
BATCH: Final = 4
ROUNDS: Final = 3
# Below these, another run of the same check may come out differently.
LEAST_SPEEDUP: Final = 1.2
LEAST_COSINE: Final = 0.999
DTYPES: Final = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class PrecisionCheck:
    """What was chosen and why.

    Attributes:
        chosen: ``fp32`` or ``bf16``.
        reason: ``the entry says so``, or what was measured.
        speedup: Seconds in fp32 over seconds in bf16; None when nothing was measured.
        cosine: Least cosine between the embeddings in both; None when nothing was measured.
        machine: Processor, threads and torch.
        checked_at: ISO 8601.
    """

    chosen: Precision
    reason: str
    speedup: float | None = None
    cosine: float | None = None
    machine: str = ""
    checked_at: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The check as JSON values, for provenance."""
        return asdict(self)


def choose_precision(model: LoadedModel, record: Path | None = None) -> PrecisionCheck:
    """The precision of this model's embeddings on this machine.

    Args:
        model: Its entry names a precision, or ``auto``: then both are tried, once.
        record: File that keeps what was measured, so that the answer stays the same; None keeps
            nothing.
    """
    if model.entry.precision != "auto":
        return PrecisionCheck(model.entry.precision, "the entry says so")
    machine = describe_machine(model.device)
    known = _read(record)
    key = f"{model.weights_sha256} on {machine}"
    if key in known:
        return PrecisionCheck(**known[key])
    check = measure_precision(model, machine)
    if record is not None:
        _write(record, {**known, key: check.to_dict()})
    return check


def measure_precision(model: LoadedModel, machine: str) -> PrecisionCheck:
    """bf16 when it is clearly faster here and gives the same embeddings, else fp32."""
    tower = Embedder(cast("Any", model.network).visual)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(BATCH, 3, *model.input_size, generator=generator).to(model.device)
    plain, plain_s = _timed(tower, x, "fp32")
    fast, fast_s = _timed(tower, x, "bf16")
    speedup = round(plain_s / fast_s, 3)
    cosine = round(float(nn.functional.cosine_similarity(plain, fast, dim=-1).min()), 6)
    pays = speedup >= LEAST_SPEEDUP and cosine >= LEAST_COSINE
    return PrecisionCheck(
        chosen="bf16" if pays else "fp32",
        reason=f"bf16 was {speedup:.2f} x as fast with cosine {cosine:.5f}; it is taken from "
        f"{LEAST_SPEEDUP} x and {LEAST_COSINE}",
        speedup=speedup,
        cosine=cosine,
        machine=machine,
        checked_at=current_time(),
    )


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Within, matrix products run in this precision; ``fp32`` changes nothing."""
    if precision == "fp32":
        yield
        return
    with torch.autocast(device.type, dtype=DTYPES[precision]):
        yield


def describe_machine(device: torch.device) -> str:
    """What decides how fast a network runs, in one line."""
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
    else:
        name = f"{_processor()}, {torch.get_num_threads()} threads"
    return f"{device.type}: {name}, torch {torch.__version__}"


def _processor() -> str:
    """The processor's model where the system says it, else its kind."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _timed(tower: Embedder, x: Tensor, precision: str) -> tuple[Tensor, float]:
    """Embeddings as float32, and the seconds of the fastest of some rounds."""
    best = float("inf")
    with torch.no_grad(), autocast(x.device, precision):
        embedding = tower.embed(x)  # the first pass also prepares kernels
        for _ in range(ROUNDS):
            start = time.perf_counter()
            embedding = tower.embed(x)
            _wait(x.device)
            best = min(best, time.perf_counter() - start)
    return embedding.float(), best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _read(record: Path | None) -> dict[str, dict[str, Any]]:
    """What was measured before; a file that cannot be read counts as none, and is replaced."""
    if record is None:
        return {}
    try:
        known = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _write(record: Path, known: dict[str, dict[str, Any]]) -> None:
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = record.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(known, indent=1, sort_keys=True), encoding="utf-8")
    unfinished.replace(record)
