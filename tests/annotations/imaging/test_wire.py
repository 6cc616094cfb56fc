from __future__ import annotations

import io
import struct

import numpy as np
import pytest

from annotations.errors import UnreadableImage
from annotations.imaging.radiograph import Identity, LookupTable, Radiograph, Window
from annotations.imaging.wire import (
    MAX_BYTES,
    read_block,
    receive_radiograph,
    send_radiograph,
    send_reason,
    write_block,
)


def test_a_radiograph_arrives_as_it_was_sent() -> None:
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)[:, ::-1]  # not in C order
    sent = Radiograph(
        pixels=pixels,
        photometric="MONOCHROME1",
        bits=10,
        value_scale=0.1,
        value_offset=-3.5,
        windows=(Window(1.5, 2.5, "Lunge ü", "SIGMOID"),),
        voi_luts=(LookupTable(0, np.arange(1024, dtype=np.uint16), 12, "t"),),
        spacing_mm=(0.1, 0.2),
        view="PA",
        modality="CR",
        facts={"Rows": "20"},
        flags=("lossy",),
        identity=Identity("p", "s", "e", "i"),
        padding=3,
    )
    pipe = io.BytesIO()
    send_radiograph(pipe, sent)
    pipe.seek(0)
    found = receive_radiograph(pipe)
    np.testing.assert_array_equal(found.pixels, pixels)
    np.testing.assert_array_equal(found.voi_luts[0].values, np.arange(1024))
    for name in (
        *("photometric", "bits", "value_scale", "value_offset", "windows", "spacing_mm", "view"),
        *("modality", "facts", "flags", "identity", "padding"),
    ):
        assert getattr(found, name) == getattr(sent, name)
    assert pipe.read() == b""


def test_a_reason_arrives_as_a_refusal() -> None:
    pipe = io.BytesIO()
    send_reason(pipe, "the file is größer")
    pipe.seek(0)
    with pytest.raises(UnreadableImage, match="the file is größer"):
        receive_radiograph(pipe)


@pytest.mark.parametrize(
    "content",
    [b"no JSON", b"[]", b"{}", b'"text"', b'{"dtype": "<u2", "shape": [2, 2], "tables": []}'],
)
def test_nonsense_counts_as_a_lost_child(content: bytes) -> None:
    pipe = io.BytesIO()
    write_block(pipe, content)
    write_block(pipe, bytes(6))
    pipe.seek(0)
    with pytest.raises(EOFError):
        receive_radiograph(pipe)


@pytest.mark.parametrize("content", [b"", b"\1\0\0", struct.pack("<Q", 5) + b"four"])
def test_an_answer_that_breaks_off_counts_as_a_lost_child(content: bytes) -> None:
    with pytest.raises(EOFError):
        read_block(io.BytesIO(content))


def test_a_length_beyond_any_picture_is_not_waited_for() -> None:
    with pytest.raises(EOFError):
        read_block(io.BytesIO(struct.pack("<Q", MAX_BYTES + 1) + bytes(100)))
