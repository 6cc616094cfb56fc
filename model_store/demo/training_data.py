"""Sets of phantoms as training arrays, rendered in processes of their own."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model_store.demo.phantom_canvas import Size
from model_store.demo.phantom_style import DEMO_FINDINGS, Style
from model_store.demo.phantoms import Phantom, render_phantom

Picture = NDArray[np.uint8]
Progress = Callable[[int, int], None]

INPUT_SIZE: Final = 96
CHUNK: Final = 50


@dataclass(frozen=True, eq=False)
class PhantomSet:
    """Pictures on the models' grid with what they show.

    Attributes:
        pictures: Shape (N, 96, 96), uint8, the display picture.
        labels: Shape (N, findings) in the order of ``DEMO_FINDINGS``.
        is_right: Shape (N, findings): drawn on the patient's right.
    """

    pictures: Picture
    labels: NDArray[np.bool_]
    is_right: NDArray[np.bool_]

    @property
    def targets(self) -> NDArray[np.float32]:
        """Shape (N, findings + 1): the labels, then No Finding."""
        none = ~self.labels.any(axis=1, keepdims=True)
        return np.concatenate([self.labels, none], axis=1).astype(np.float32)


def window_pixels(pixels: NDArray[np.uint16]) -> Picture:
    """The display picture: the 0.5th to the 99.5th percentile on 0 to 255."""
    low, high = np.percentile(pixels, [0.5, 99.5])
    shown = np.clip((pixels - low) / max(high - low, 1), 0, 1)
    return np.asarray(np.round(shown * 255), dtype=np.uint8)


def label_row(phantom: Phantom) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which findings a phantom shows, and which of them lie on the patient's right."""
    width = phantom.pixels.shape[1]
    shown = np.array([name in phantom.boxes for name in DEMO_FINDINGS])
    right = np.zeros(len(DEMO_FINDINGS), dtype=np.bool_)
    for index, name in enumerate(DEMO_FINDINGS):
        if shown[index]:
            x_min, _, x_max, _ = phantom.boxes[name][0]
            right[index] = (x_min + x_max) / 2 < width / 2
    return shown, right


def shrink_picture(picture: Picture) -> Picture:
    """Shortest edge to the models' grid, then the centre: open_clip's transform."""
    height, width = picture.shape
    if (height, width) == (INPUT_SIZE, INPUT_SIZE):
        return picture
    scale = INPUT_SIZE / min(height, width)
    resized = max(INPUT_SIZE, int(width * scale)), max(INPUT_SIZE, int(height * scale))
    small = np.asarray(Image.fromarray(picture).resize(resized, Image.Resampling.BICUBIC))
    top = round((small.shape[0] - INPUT_SIZE) / 2)
    left = round((small.shape[1] - INPUT_SIZE) / 2)
    return small[top : top + INPUT_SIZE, left : left + INPUT_SIZE]


def _render_chunk(seeds: range, style: Style, size: Size) -> PhantomSet:
    pictures, rows = [], []
    for seed in seeds:
        phantom = render_phantom(seed, size=size, style=style)
        pictures.append(shrink_picture(window_pixels(phantom.pixels)))
        rows.append(label_row(phantom))
    labels, right = (np.stack(column) for column in zip(*rows, strict=True))
    return PhantomSet(np.stack(pictures), labels, right)


def render_set(
    first_seed: int,
    count: int,
    style: Style,
    size: Size,
    *,
    processes: int = 2,
    progress: Progress | None = None,
) -> PhantomSet:
    """The phantoms ``first_seed .. first_seed + count`` as arrays; the processes do not matter.

    Args:
        first_seed: Of the first.
        count: At least 1.
        style: Which hospital.
        size: (H, W) of the rendering, before it is brought to the models' grid.
        processes: 1 renders here.
        progress: Called with done and total.
    """
    starts = range(first_seed, first_seed + count, CHUNK)
    chunks = [range(start, min(start + CHUNK, first_seed + count)) for start in starts]
    render = partial(_render_chunk, style=style, size=size)
    parts: list[PhantomSet] = []
    for part in _map_chunks(render, chunks, processes):
        parts.append(part)
        if progress is not None:
            progress(sum(len(each.pictures) for each in parts), count)
    return PhantomSet(
        np.concatenate([part.pictures for part in parts]),
        np.concatenate([part.labels for part in parts]),
        np.concatenate([part.is_right for part in parts]),
    )


def _map_chunks(
    render: Callable[[range], PhantomSet], chunks: list[range], processes: int
) -> Iterator[PhantomSet]:
    """The chunks in their order; the processes end with the iterator."""
    if processes <= 1:
        yield from map(render, chunks)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(render, chunks)
