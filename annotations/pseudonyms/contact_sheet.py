"""Sheets of small pictures for a person to look through, thin letters kept visible."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from annotations.pseudonyms.burned_in import Line, extreme_pool

COLUMNS, ROWS = 4, 3
CELL: Final = (470, 480)  # width, height
MARGIN: Final = 10
TITLE: Final = 44
CAPTION: Final = 30
BACKGROUND, INK, ALARM = (17, 24, 32), (226, 232, 240), (255, 96, 96)


class ContactSheets:
    """A series of PNG sheets, written as they fill; a context manager."""

    def __init__(self, folder: Path, stem: str, title: str) -> None:
        self._folder = folder
        self._stem = stem
        self._title = title
        self._number = 0
        self._on_sheet = 0
        self._sheet = _empty_sheet(title)

    def __enter__(self) -> ContactSheets:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def n_sheets(self) -> int:
        """How many sheets were written."""
        return self._number

    def add(
        self, picture: NDArray[np.uint8], name: str, remark: str, lines: Sequence[Line] = ()
    ) -> tuple[str, int]:
        """The sheet's file name and the picture's place on it, counted from 1.

        Args:
            picture: Shape (H, W), the greys as a reader sees them.
            name: Opaque; stands below the picture.
            remark: Why it must be looked at first; "" when there is no reason.
            lines: Framed in the picture.
        """
        column, row = self._on_sheet % COLUMNS, self._on_sheet // COLUMNS
        corner = (
            MARGIN + column * (CELL[0] + MARGIN),
            TITLE + row * (CELL[1] + MARGIN),
        )
        self._sheet.paste(_Cell(picture, name, remark, tuple(lines)).image(), corner)
        self._on_sheet += 1
        place = (self._name(self._number + 1), self._on_sheet)
        if self._on_sheet == COLUMNS * ROWS:
            self._write()
        return place

    def close(self) -> None:
        """Write the last sheet, if anything is on it."""
        if self._on_sheet:
            self._write()

    def _name(self, number: int) -> str:
        return f"{self._stem}-{number:04d}.png"

    def _write(self) -> None:
        self._number += 1
        n_rows = -(-self._on_sheet // COLUMNS)
        used = (0, 0, self._sheet.width, TITLE + n_rows * (CELL[1] + MARGIN))
        self._sheet.crop(used).save(self._folder / self._name(self._number))
        self._on_sheet = 0
        self._sheet = _empty_sheet(self._title)


@dataclass(frozen=True, eq=False)
class _Cell:
    """One small picture with its caption."""

    picture: NDArray[np.uint8]
    name: str
    remark: str
    lines: tuple[Line, ...]

    def image(self) -> Image.Image:
        """The cell as it stands on the sheet, framed where something looks like text."""
        cell = Image.new("RGB", CELL, BACKGROUND)
        draw = ImageDraw.Draw(cell)
        width, height = CELL[0], CELL[1] - CAPTION
        scale = min(width / self.picture.shape[1], height / self.picture.shape[0])
        small = self._small(scale)
        left, top = (width - small.width) // 2, (height - small.height) // 2
        cell.paste(small, (left, top))
        for line in self.lines:
            x_min, y_min, x_max, y_max = (round(one * scale) for one in line.corners)
            frame = (left + x_min - 4, top + y_min - 4, left + x_max + 4, top + y_max + 4)
            draw.rectangle(frame, outline=ALARM, width=2)
        if self.remark:
            draw.rectangle((0, 0, width - 1, height - 1), outline=ALARM, width=3)
        draw.text((2, height + 3), self.name[:20], INK, font=_font(18))
        draw.text((width - 2, height + 3), self.remark, ALARM, font=_font(18), anchor="ra")
        return cell

    def _small(self, scale: float) -> Image.Image:
        height, width = self.picture.shape
        pooled = Image.fromarray(extreme_pool(self.picture, max(1, int(1 / scale))))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return pooled.resize(size, Image.Resampling.LANCZOS).convert("RGB")


def _empty_sheet(title: str) -> Image.Image:
    size = (
        MARGIN + COLUMNS * (CELL[0] + MARGIN),
        TITLE + ROWS * (CELL[1] + MARGIN),
    )
    sheet = Image.new("RGB", size, BACKGROUND)
    ImageDraw.Draw(sheet).text((MARGIN, 8), title, INK, font=_font(24))
    return sheet


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
