"""The cache of what the page needs: made once, checked against the file, bounded."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.errors import UnreadableImage
from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.viewer import pixels
from audit_app.viewer.pixels import cached_picture, preview_jpeg
from tests.audit_app.viewer.conftest import Place
from tests.browser.films import add_image


def test_the_second_opening_reads_no_image_file(place: Place) -> None:
    record = place.records["film-a.png"]
    first = cached_picture(place.workspace, record)
    made = first.pixels.stat().st_mtime_ns
    assert cached_picture(place.workspace, record) == first
    assert first.pixels.stat().st_mtime_ns == made


def test_a_file_that_was_only_touched_is_the_same_picture(place: Place) -> None:
    record = place.records["film-a.png"]
    made = cached_picture(place.workspace, record).pixels.stat().st_mtime_ns
    os.utime(record.path, (1, 1))
    assert cached_picture(place.workspace, record).pixels.stat().st_mtime_ns == made


def test_a_file_that_changed_is_refused_although_its_pixels_are_cached(place: Place) -> None:
    record = place.records["film-a.png"]
    cached_picture(place.workspace, record)
    content = bytearray(Path(record.path).read_bytes())
    content[-20] ^= 1
    Path(record.path).write_bytes(content)
    with pytest.raises(UnreadableImage, match="changed since it was imported"):
        cached_picture(place.workspace, record)


def test_a_cache_that_was_deleted_or_damaged_is_made_again(place: Place) -> None:
    record = place.records["film-a.png"]
    cached = cached_picture(place.workspace, record)
    content = cached.pixels.read_bytes()
    shutil.rmtree(place.workspace.cache / "viewer")
    assert cached_picture(place.workspace, record).pixels.read_bytes() == content
    cached.description.write_text("{")
    assert cached_picture(place.workspace, record).pixels.read_bytes() == content


def test_threads_that_ask_at_once_make_one_folder(place: Place) -> None:
    record = place.records["film-a.png"]
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: cached_picture(place.workspace, record), range(16)))
    assert len({one.folder for one in found}) == 1
    assert [path.name for path in (place.workspace.cache / "viewer").iterdir()] == [
        found[0].folder.name
    ]


def test_the_cache_drops_what_was_used_longest_ago(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "CACHE_BYTES", 1_500_000)
    folders = []
    for age, name in enumerate(["film-a.png", "film-b.png", "film-8bit.png"]):
        folder = cached_picture(place.workspace, place.records[name]).folder
        os.utime(folder, (1000 + age, 1000 + age))
        folders.append(folder)
    newest = cached_picture(place.workspace, place.records["film-mono1.dcm"]).folder
    assert not folders[0].exists()
    assert newest.exists()
    total = sum(file.stat().st_size for file in (place.workspace.cache / "viewer").rglob("*.*"))
    assert total <= 1_500_000


def test_a_preview_stays_under_100_kb_whatever_it_shows() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (3000, 2500), dtype=np.uint8)
    content = preview_jpeg(noise)
    assert len(content) < 100_000
    with Image.open(io.BytesIO(content)) as preview:
        width, height = preview.size
    assert max(width, height) <= 1024
    assert width / height == pytest.approx(2500 / 3000, rel=0.01)


def test_files_of_the_cache_are_for_the_owner_only(place: Place) -> None:
    folder = cached_picture(place.workspace, place.records["film-a.png"]).folder
    assert folder.stat().st_mode & 0o077 == 0


@pytest.mark.real_data
def test_every_real_file_reaches_the_page_with_all_its_values(
    shared_data: Path, tmp_path: Path
) -> None:
    workspace = create_workspace(tmp_path / "workspace", name="real")
    folders = [shared_data / "dicom", shared_data / "nih_chestxray14" / "images"]
    folders.append(shared_data / "iu_xray" / "full_size")
    n_read = 0
    with Store.open(workspace) as store:
        for path in (path for folder in folders for path in sorted(folder.iterdir())):
            try:
                record = add_image(store, path)
            except UnreadableImage:
                continue
            cached = cached_picture(workspace, record)
            raw = gzip.decompress(cached.pixels.read_bytes())
            assert hashlib.sha256(raw).hexdigest() == record.pixel_sha256
            assert len(raw) in (record.width * record.height, 2 * record.width * record.height)
            assert cached.preview.stat().st_size < 100_000
            assert cached.display()["bits"] == record.bits
            n_read += 1
    assert n_read == 8 + 8 + 2
