"""PNG, JPEG and TIFF: grey pictures of 8 or 16 bit, without losing a bit."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Photometric, Pixels, Radiograph
from annotations.imaging.shrinking import Shrunk, Size, shrink_for

MAX_PIXELS: Final = 64_000_000
GREY_MODES: Final = frozenset({"L", "I;16", "I;16B", "I;16L", "I", "1"})
COLOUR_MODES: Final = frozenset({"RGB", "RGBA", "P", "PA", "LA", "RGBX"})
ALPHA_MODES: Final = frozenset({"RGBA", "PA", "LA"})
# JPEG's own rounding makes a grey picture differ by this much between its channels.
GREY_TOLERANCE: Final = 8
SIGNATURES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
LOSSY_COMPRESSIONS: Final = frozenset({"jpeg", "tiff_jpeg", "webp"})
TIFF_BITS_PER_SAMPLE: Final = 258
TIFF_PHOTOMETRIC: Final = 262
TIFF_SAMPLE_FORMAT: Final = 339
WHITE_IS_ZERO: Final = 0
EXIF_ORIENTATION: Final = 274
UPRIGHT: Final = 1
SIGNED: Final = 2


def load_raster(path: Path) -> Radiograph:
    """The radiograph in a PNG, JPEG or TIFF file.

    Raises:
        UnreadableImage: If it is damaged, too large, in colour, of several pages, or of a kind
            that cannot be read without loss.
    """
    return load_shrunk_raster(path, None).radiograph


def load_shrunk_raster(path: Path, least: Size | None) -> Shrunk:
    """The same, but a JPEG may be decoded at a part of its size.

    Args:
        path: The file.
        least: (H, W) below which it must not be shrunk; None: not at all.

    Raises:
        UnreadableImage: As ``load_raster``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # A file, not its name: Pillow maps a named plain TIFF into memory, and then reads one
            # that lies on its side with rows and columns mixed up.
            with (
                path.open("rb") as file,
                Image.open(file, formats=["PNG", "JPEG", "TIFF"]) as image,
            ):
                return _shrunk(image, least)
    except (UnreadableImage, FileNotFoundError):
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(_unidentified(path)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableImage(_too_large("more pixels than Pillow opens")) from None
    except MemoryError:
        raise UnreadableImage("the picture needs more memory than is allowed") from None
    except Exception as error:  # noqa: BLE001 - one file; the decoders raise anything on damage
        raise UnreadableImage(
            f"the picture is damaged or cut off ({type(error).__name__}); copy it again from its"
            " source"
        ) from None


def _shrunk(image: ImageFile, least: Size | None) -> Shrunk:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise UnreadableImage(_too_large(f"{width} x {height} pixels"))
    shrink = shrink_for((height, width), least)
    if shrink == 1 or image.format != "JPEG" or not _is_upright(image):
        return Shrunk.whole(_radiograph(image))
    image.draft(None, (width // shrink, height // shrink))
    box = (0.0, 0.0, width / shrink, height / shrink)
    return Shrunk(_radiograph(image), (height, width), box)


def _is_upright(image: ImageFile) -> bool:
    """The last column of a shrunken picture may stand for few pixels; turned, it is the first."""
    return bool(image.getexif().get(EXIF_ORIENTATION, UPRIGHT) == UPRIGHT)


def _radiograph(image: ImageFile) -> Radiograph:
    n_frames = getattr(image, "n_frames", 1)
    if n_frames > 1:
        raise UnreadableImage(f"the file holds {n_frames} pictures; give one picture per file")
    _refuse_silent_loss(image)
    photometric = _photometric(image)
    is_lossy = image.format == "JPEG" or image.info.get("compression") in LOSSY_COMPRESSIONS
    pixels = _grey_pixels(ImageOps.exif_transpose(image))
    return Radiograph(
        pixels=pixels,
        photometric=photometric,
        bits=8 * pixels.dtype.itemsize,
        flags=("lossy",) if is_lossy else (),
    )


def _refuse_silent_loss(image: ImageFile) -> None:
    """Pillow cuts 16-bit colour to 8 bits and wraps signed bytes around, without a word."""
    bits = max(_tags(image).get(TIFF_BITS_PER_SAMPLE, (8,)))
    if (";16" in _raw_mode(image) or bits > 8) and image.mode in COLOUR_MODES:
        raise UnreadableImage(
            f"the {image.format} has 16 bits per channel and more than one channel, which would be"
            " cut to 8 bits; save it as 16-bit greyscale"
        )
    if image.mode == "L" and SIGNED in _tags(image).get(TIFF_SAMPLE_FORMAT, ()):
        raise UnreadableImage(
            "the TIFF holds signed bytes; expected values from 0; save it as unsigned greyscale"
        )


def _raw_mode(image: ImageFile) -> str:
    """How the file lays out its values, in Pillow's words, such as ``RGB;16B``."""
    if not image.tile:
        return ""
    arguments = image.tile[0].args
    return str(arguments[0]) if isinstance(arguments, tuple) and arguments else str(arguments)


def _tags(image: ImageFile) -> Any:
    return getattr(image, "tag_v2", {})


def _photometric(image: ImageFile) -> Photometric:
    """MONOCHROME1 for a 16-bit TIFF whose white is 0; Pillow turns only 8-bit ones over itself."""
    is_deep = image.mode.startswith("I;16")
    is_white_zero = _tags(image).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
    return "MONOCHROME1" if is_deep and is_white_zero else "MONOCHROME2"


def _grey_pixels(image: Image.Image) -> Pixels:
    if image.mode in GREY_MODES:
        return _one_channel(image)
    if image.mode in COLOUR_MODES:
        _refuse_transparency(image)
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


def _refuse_transparency(image: Image.Image) -> None:
    """What a transparent place looks like depends on what lies behind it."""
    if image.mode not in ALPHA_MODES and not (image.mode == "P" and "transparency" in image.info):
        return
    least = int(np.asarray(image.convert("RGBA").getchannel("A")).min())
    if least < 255:
        raise UnreadableImage(
            f"the picture is transparent in places (alpha down to {least} of 255); save it without"
            " an alpha channel"
        )


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
    grey: NDArray[np.uint8] = np.rint(channels.mean(axis=2)).astype(np.uint8)
    return grey


def _unidentified(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(8)
    if head.startswith(SIGNATURES):
        return (
            "the picture's header is damaged, or of a kind that is not read; save it as greyscale"
            " PNG of 8 or 16 bit"
        )
    return "the file is no PNG, JPEG, TIFF or DICOM picture"


def _too_large(given: str) -> str:
    return f"the picture has {given}; at most {MAX_PIXELS // 1_000_000} million pixels are read"
