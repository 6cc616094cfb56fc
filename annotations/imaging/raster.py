"""PNG, JPEG and TIFF: grey pictures of 8 or 16 bit, without losing a bit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Photometric, Pixels, Radiograph

MAX_PIXELS: Final = 64_000_000
GREY_MODES: Final = frozenset({"L", "I;16", "I;16B", "I;16L", "I", "1"})
COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "P", "PA", "LA", "RGBX"})
# JPEG's own rounding makes a grey picture differ by this much between its channels.
GREY_TOLERANCE: Final = 8
PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
TIFF_PHOTOMETRIC: Final = 262
WHITE_IS_ZERO: Final = 0


def load_raster(path: Path) -> Radiograph:
    """The radiograph in a PNG, JPEG or TIFF file.

    Raises:
        UnreadableImage: If it is damaged, too large, in colour, of several pages, or of a kind
            that cannot be read without loss.
    """
    _refuse_deep_colour(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=["PNG", "JPEG", "TIFF"]) as image:
                return _radiograph(image)
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage("the file is no PNG, JPEG or TIFF picture") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(_too_large("more pixels than Pillow opens")) from None
    except FileNotFoundError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError, RuntimeError) as error:
        raise UnreadableImage(
            f"the picture is damaged or cut off ({type(error).__name__})"
        ) from None
    except (ArithmeticError, LookupError, TypeError, AttributeError, Warning) as error:
        # Pillow's readers raise these on headers that make no sense.
        raise UnreadableImage(f"the picture's header is damaged ({type(error).__name__})") from None


def _radiograph(image: Image.Image) -> Radiograph:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(_too_large(f"{width} x {height} pixels"))
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1:
        raise UnreadableImage(f"the file holds {n_frames} pictures; give one picture per file")
    photometric = _photometric(image)
    is_lossy = image.format == "JPEG"
    pixels = _grey_pixels(ImageOps.exif_transpose(image))
    return Radiograph(
        pixels=pixels,
        photometric=photometric,
        bits=8 * pixels.dtype.itemsize,
        flags=("lossy",) if is_lossy else (),
    )


def _photometric(image: Image.Image) -> Photometric:
    """MONOCHROME1 for a 16-bit TIFF whose white is 0; Pillow turns only 8-bit ones over itself."""
    tags = getattr(image, "tag_v2", {})
    is_deep = image.mode.startswith("I;16")
    return (
        "MONOCHROME1" if is_deep and tags.get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO else "MONOCHROME2"
    )


def _grey_pixels(image: Image.Image) -> Pixels:
    if image.mode in GREY_MODES:
        return _one_channel(image)
    if image.mode in COLOUR_MODES:
        return _grey_of_colour(np.asarray(image.convert("RGB")))
    raise UnreadableImage(
        f"the picture is of Pillow's mode {image.mode}; expected grey of 8 or 16 bit"
    )


def _one_channel(image: Image.Image) -> Pixels:
    if image.mode == "1":
        return np.asarray(image.convert("L"), dtype=np.uint8)
    values = np.asarray(image)
    if image.mode == "L":
        return values.astype(np.uint8)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > np.iinfo(np.uint16).max:
        raise UnreadableImage(
            f"the picture holds values from {low} to {high}; expected 0 to 65535 (16 bit)"
        )
    return values.astype(np.uint16)


def _grey_of_colour(channels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey picture that these three channels repeat: shape (H, W, 3) to (H, W)."""
    spread = int((channels.max(axis=2) - channels.min(axis=2)).max())
    if spread == 0:
        return np.ascontiguousarray(channels[..., 0])
    if spread > GREY_TOLERANCE:
        raise UnreadableImage(
            f"the picture is in colour (channels differ by up to {spread} of 255);"
            " a radiograph is grey"
        )
    return np.rint(channels.mean(axis=2)).astype(np.uint8)


def _refuse_deep_colour(path: Path) -> None:
    """Pillow reads 16-bit colour and grey-with-alpha PNG as 8 bit, without a word."""
    with path.open("rb") as file:
        head = file.read(26)
    if len(head) == 26 and head.startswith(PNG_SIGNATURE) and head[24] == 16 and head[25] != 0:
        raise UnreadableImage(
            "the PNG has 16 bits per channel and more than one channel, which would be cut to 8"
            " bits; save it as 16-bit greyscale"
        )


def _too_large(given: str) -> str:
    return f"the picture has {given}; at most {MAX_PIXELS // 1_000_000} million pixels are read"
