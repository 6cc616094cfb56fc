"""The study's figure: its 15 pictures x findings x modes, with what readers marked on them."""

from __future__ import annotations

import io
import itertools
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from annotations.regions import Box
from audit_app.errors import AuditError
from audit_app.evaluator.fifteen import FifteenMaps
from audit_app.evaluator.heat_tile import lay_heat, shrink
from audit_app.evaluator.page import MODE_WORDS

Colour = tuple[int, int, int]
TILE: Final = 96
GAP: Final = 4
NAME_WIDTH: Final = 96
HEAD: Final = 92
BETWEEN: Final = 26
LEAST_ROWS: Final = 3  # of tiles: the big picture needs some height
GROUND: Final[Colour] = (13, 17, 23)
TEXT: Final[Colour] = (217, 224, 230)
QUIET: Final[Colour] = (139, 152, 165)
LABELLED: Final[Colour] = (255, 255, 255)
# Okabe-Ito, lightened as in the reading panel: one colour per reader.
READERS: Final[tuple[Colour, ...]] = (
    (86, 180, 233), (240, 228, 66), (47, 211, 160), (217, 154, 197), (165, 180, 255),
)  # fmt: skip
LEGEND: Final = (
    "Each map from its lowest (clear) to its highest value; dark: what the model did not see. "
    "White frame: the picture's label says this finding."
)


@dataclass(frozen=True, slots=True)
class MarkedBox:
    """One box of one reader, in original pixels."""

    reader: str
    finding: str
    box: Box


@dataclass(frozen=True, eq=False)
class FigurePicture:
    """One of the pictures as it is drawn.

    Attributes:
        pixels: Shape (H, W) uint8, the display picture.
        boxes: What readers marked.
        readers: Who read it, also those who marked nothing.
        locked: Why its maps may not be shown; "" when they may.
    """

    pixels: NDArray[np.uint8]
    boxes: tuple[MarkedBox, ...] = ()
    readers: tuple[str, ...] = ()
    locked: str = ""


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What all parts of the figure are drawn on and with."""

    maps: FifteenMaps
    image: Image.Image
    draw: ImageDraw.ImageDraw
    readers: Mapping[str, Colour]
    block: int  # height of one picture's rows

    @property
    def left(self) -> int:
        """Where the tiles begin."""
        return self.block + NAME_WIDTH


def draw_fifteen(maps: FifteenMaps, pictures: Mapping[str, FigurePicture]) -> Image.Image:
    """The figure: a row of tiles per picture and mode, a column per finding.

    Args:
        maps: Of all pictures.
        pictures: By image id; one that is not among them is left out.

    Raises:
        AuditError: If none of the pictures is there.
    """
    rows = [row for row, image_id in enumerate(maps.image_ids) if image_id in pictures]
    if not rows:
        raise AuditError("none of the 15 pictures can be drawn; put their files back")
    block = max(len(maps.modes), LEAST_ROWS) * (TILE + GAP) - GAP
    width = block + NAME_WIDTH + len(maps.findings) * (TILE + GAP)
    image = Image.new("RGB", (width, HEAD + len(rows) * (block + BETWEEN)), GROUND)
    draw = ImageDraw.Draw(image)
    sheet = _Sheet(maps, image, draw, _reader_colours(pictures.values()), block)
    _draw_head(sheet)
    for place, row in enumerate(rows):
        top = HEAD + place * (block + BETWEEN)
        shown = pictures[maps.image_ids[row]]
        _draw_reading(sheet, row, shown, top)
        if shown.locked:
            draw.text((sheet.left, top + block // 2), shown.locked, TEXT, _font(15), anchor="lm")
        else:
            _draw_maps(sheet, row, shown, top)
    return image


def cut_figure(image: Image.Image, n_pictures: int) -> list[Image.Image]:
    """The figure in strips of one picture each, so that paper breaks it between two of them."""
    height = (image.height - HEAD) // n_pictures
    edges = [0, *(HEAD + place * height for place in range(1, n_pictures)), image.height]
    return [image.crop((0, top, image.width, bottom)) for top, bottom in itertools.pairwise(edges)]


def encode_figure(image: Image.Image, kind: Literal["PNG", "JPEG"]) -> bytes:
    """The figure as a file; JPEG where it must be small."""
    file = io.BytesIO()
    if kind == "JPEG":
        image.save(file, kind, quality=82)
    else:
        image.save(file, kind)
    return file.getvalue()


def _reader_colours(pictures: Iterable[FigurePicture]) -> dict[str, Colour]:
    names = sorted({name for one in pictures for name in one.readers})
    return {name: READERS[place % len(READERS)] for place, name in enumerate(names)}


def _draw_head(sheet: _Sheet) -> None:
    """Who read, what the drawing means, and a title for each column."""
    sheet.draw.text((sheet.left, 6), LEGEND, QUIET, _font(12))
    x = sheet.left
    for name, colour in sheet.readers.items():
        sheet.draw.rectangle((x, 28, x + 11, 39), outline=colour, width=2)
        sheet.draw.text((x + 17, 26), name, TEXT, _font(12))
        x += 33 + round(sheet.draw.textlength(name, _font(12)))
    for column, finding in enumerate(sheet.maps.findings):
        middle = sheet.left + column * (TILE + GAP) + TILE // 2
        said = "\n".join(textwrap.wrap(finding, 15)[:2])
        sheet.draw.text(
            (middle, HEAD - 6), said, TEXT, _font(12), anchor="md", align="center", spacing=1
        )


def _draw_reading(sheet: _Sheet, row: int, shown: FigurePicture, top: int) -> None:
    """The picture itself with all boxes, and below it who read it or that nobody did."""
    tile, fit = shrink(shown.pixels, sheet.block)
    sheet.image.paste(Image.fromarray(tile), (0, top))
    for one in shown.boxes:
        place = _moved(fit.place(one.box.corners), 0, top)
        sheet.draw.rectangle(place, outline=sheet.readers[one.reader], width=2)
        _draw_tag(sheet, one.finding, (place[0], place[1]), sheet.readers[one.reader])
    line = f"{row + 1}. {_said_below(sheet.maps, row, shown)}"
    sheet.draw.text((2, top + sheet.block + 3), line, TEXT, _font(13))


def _said_below(maps: FifteenMaps, row: int, shown: FigurePicture) -> str:
    """The picture's labels and whether it is read; of a locked one nothing that could sway."""
    if shown.locked:
        return ""
    labelled = zip(maps.findings, maps.labels[row], strict=True)
    labels = ", ".join(name for name, has in labelled if has) or "none"
    if shown.boxes:
        return f"Labels: {labels}"
    return f"Labels: {labels}; {'no boxes' if shown.readers else 'not read yet'}"


def _draw_tag(sheet: _Sheet, text: str, corner: tuple[float, float], colour: Colour) -> None:
    """A finding's name at a box's upper left corner, inside the picture."""
    font = _font(12)
    length = sheet.draw.textlength(text, font)
    x = max(0.0, min(corner[0], sheet.block - length - 4))
    y = corner[1] + 1
    sheet.draw.rectangle((x, y, x + length + 4, y + 14), fill=GROUND)
    sheet.draw.text((x + 2, y), text, colour, font)


def _draw_maps(sheet: _Sheet, row: int, shown: FigurePicture, top: int) -> None:
    """A row of tiles per mode."""
    tile, fit = shrink(shown.pixels, TILE)
    for number, mode in enumerate(sheet.maps.modes):
        y = top + number * (TILE + GAP)
        words = "\n".join(textwrap.wrap(MODE_WORDS.get(mode, mode), 11))
        sheet.draw.text((sheet.left - 8, y + TILE // 2), words, TEXT, _font(13), anchor="rm")
        if mode not in sheet.maps.maps:
            reason = "\n".join(textwrap.wrap(sheet.maps.facts["reasons"][mode], 100)[:5])
            sheet.draw.text((sheet.left, y + 8), f"no maps: {reason}", QUIET, _font(12))
            continue
        for column, finding in enumerate(sheet.maps.findings):
            x = sheet.left + column * (TILE + GAP)
            values = sheet.maps.maps[mode][row, column]
            laid = lay_heat(tile, fit, values, sheet.maps.windows[row])
            sheet.image.paste(Image.fromarray(laid), (x, y))
            if not values.any():
                corner = (x + TILE // 2 - 19, y + TILE - 17)
                sheet.draw.rectangle((*corner, corner[0] + 38, corner[1] + 15), fill=GROUND)
                middle = (x + TILE // 2, y + TILE - 5)
                sheet.draw.text(middle, "empty", TEXT, _font(11), anchor="ms")
            for one in shown.boxes:
                if one.finding == finding:
                    place = _moved(fit.place(one.box.corners), x, y)
                    sheet.draw.rectangle(place, outline=sheet.readers[one.reader], width=1)
            if sheet.maps.labels[row, column]:
                frame = (x - 1, y - 1, x + TILE, y + TILE)
                sheet.draw.rectangle(frame, outline=LABELLED, width=1)


def _moved(
    corners: tuple[float, float, float, float], x: int, y: int
) -> tuple[float, float, float, float]:
    """Half-open corners as the last pixels of a drawn frame, elsewhere."""
    x_min, y_min, x_max, y_max = corners
    return x_min + x, y_min + y, max(x_max - 1, x_min) + x, max(y_max - 1, y_min) + y


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
