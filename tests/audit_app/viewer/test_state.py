"""What the page is told says everything that it needs and nothing about the patient."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from annotations.errors import UnknownRecord
from annotations.imaging import load_radiograph
from annotations.imaging.display import default_window, display_table
from annotations.imaging.radiograph import LookupTable, Radiograph
from annotations.records import Edit, Region
from annotations.regions import Box
from audit_app.session import LOCAL_READER, AccessRefused, Visitor
from audit_app.tabs.read import choose_case, open_case, parse_filters, step_case, turn_page
from audit_app.viewer.presets import anatomical_windows, page_presets
from audit_app.viewer.state import (
    Filters,
    case_meta,
    case_value,
    finding_values,
    first_unread,
    outbox_key,
    worklist_value,
)
from tests.audit_app.viewer.conftest import Place


def draw(place: Place, name: str, *, commit: bool = False) -> None:
    image_id = place.id_of(name)
    region = Region("r-1", "Fracture", "definite", Box(1, 2, 30, 40))
    edit = Edit("client-1", 1, image_id, 0, "put", region)
    place.store.readings.apply(edit, LOCAL_READER.name)
    if commit:
        place.store.readings.commit(image_id, LOCAL_READER.name, base_version=1)


def test_a_case_is_one_value_with_picture_and_reading(place: Place) -> None:
    draw(place, "film-mono1.dcm")
    value = case_value(place.services, LOCAL_READER, place.id_of("film-mono1.dcm"))
    assert value["case_id"] == value["meta"]["case_id"] == value["reading"]["image_id"]
    assert value["reading"]["regions"][0]["box"] == [1, 2, 30, 40]
    assert value["may_edit"] is True
    meta = value["meta"]
    assert (meta["width"], meta["height"], meta["bits"]) == (560, 700, 12)
    assert meta["photometric"] == "MONOCHROME1"
    assert meta["spacing"] == [0.25, 0.25]
    assert meta["presets"][meta["default_preset"]]["name"] == "NORMAL"
    assert meta["presets"][0]["center"] == pytest.approx(2000)


def test_nothing_that_identifies_goes_to_the_page(place: Place) -> None:
    text = json.dumps(case_value(place.services, LOCAL_READER, place.id_of("film-mono1.dcm")))
    record = place.records["film-mono1.dcm"]
    for secret in (record.path, "P-1", "Secret", record.patient_hash + '"', "films", "StudyInst"):
        assert secret not in text.replace("film-mono1.dcm", "")


def test_a_case_that_cannot_be_read_is_a_sentence(place: Place) -> None:
    (place.workspace.root.parent / "films" / "film-a.png").write_bytes(b"something else")
    value = case_value(place.services, LOCAL_READER, place.id_of("film-a.png"))
    assert "changed since it was imported" in value["problem"]
    assert "'film-a.png'" in value["problem"]
    assert "meta" not in value


def test_the_reason_why_a_case_cannot_be_shown_names_no_folder(place: Place) -> None:
    films = place.workspace.root.parent / "films"
    changed, missing = films / "film-a.png", films / "film-b.png"
    changed.write_bytes(b"something else")
    missing.unlink()
    for path, reason in ((changed, "changed"), (missing, "No such file")):
        value = case_value(place.services, LOCAL_READER, place.id_of(path.name))
        assert reason in value["problem"]
        assert str(films) not in json.dumps(value)


def test_two_values_that_say_the_same_are_still_told_apart(place: Place) -> None:
    first = case_value(place.services, LOCAL_READER, place.id_of("film-a.png"))
    second = case_value(place.services, LOCAL_READER, place.id_of("film-a.png"))
    assert first.pop("sent_at") != second.pop("sent_at")
    assert first == second


def test_findings_have_keys_and_colours_and_no_finding_is_not_one(place: Place) -> None:
    findings = finding_values(place.services)
    assert "No Finding" not in [one["name"] for one in findings]
    assert [one["key"] for one in findings] == [*"1234567890", ""]
    assert len({one["colour"] for one in findings[:8]}) == 8


def test_the_outbox_key_is_the_readers_own_and_says_nothing(place: Place) -> None:
    key = outbox_key(place.services, LOCAL_READER)
    assert "local" not in key
    other = type(LOCAL_READER)("anna", "reader")
    assert key != outbox_key(place.services, other)


def test_the_worklist_goes_to_the_page_of_the_open_case(place: Place) -> None:
    draw(place, "film-b.png", commit=True)
    value = worklist_value(
        place.services, LOCAL_READER, Filters(), image_id=place.id_of("film-b.png")
    )
    rows = {row["name"]: (row["status"], row["n_regions"]) for row in value["rows"]}
    assert rows["film-b.png"] == ("committed", 1)
    assert rows["film-a.png"] == ("new", 0)
    assert (value["n_read"], value["n_images"], value["page"]) == (1, 4, 0)
    assert not {"path", "sha256", "patient_hash"} & set(value["rows"][0])


def test_a_page_beyond_the_last_is_the_last(place: Place) -> None:
    value = turn_page(place.services, LOCAL_READER, Filters(), {"page": 99, "case_id": None})
    assert value["page"] == 0
    assert len(value["rows"]) == 4
    strange = turn_page(place.services, LOCAL_READER, Filters(), {"page": "2"})
    assert strange["page"] == 0


def test_stepping_follows_the_filter_and_stops_at_the_ends(place: Place) -> None:
    draw(place, "film-b.png", commit=True)
    new_only = parse_filters(LOCAL_READER, {"status": "new", "source": "", "search": ""})
    asked = {"case_id": place.id_of("film-a.png"), "step": 1}
    assert step_case(place.services, LOCAL_READER, new_only, asked)[2] == place.id_of(
        "film-8bit.png"
    )
    asked = {"case_id": place.id_of("film-b.png"), "step": -1}
    assert step_case(place.services, LOCAL_READER, new_only, asked)[2] == place.id_of("film-a.png")
    with pytest.raises(UnknownRecord):
        step_case(place.services, LOCAL_READER, new_only, {"case_id": ["x"], "step": 1})


def test_only_who_may_know_who_read_what_filters_by_reader(place: Place) -> None:
    draw(place, "film-b.png", commit=True)
    asked = {"read_by": LOCAL_READER.name, "view": "", "search": None}
    for role in ("auditor", "admin"):
        filters = parse_filters(Visitor("olga", role), asked)
        rows = worklist_value(place.services, Visitor("olga", role), filters)["rows"]
        assert [(row["name"], row["status"]) for row in rows] == [("film-b.png", "new")]
    with pytest.raises(AccessRefused, match="your role is reader"):
        parse_filters(Visitor("olga", "reader"), asked)


def test_the_pace_is_told_after_some_cases(place: Place) -> None:
    assert worklist_value(place.services, LOCAL_READER, Filters())["pace"] == ""


def test_a_remembered_case_that_is_gone_leads_to_the_first_unread_one(place: Place) -> None:
    draw(place, "film-a.png", commit=True)
    chosen = {"case_id": "gone", "resume": True}
    opened = choose_case(place.services, LOCAL_READER, Filters(), chosen)
    assert opened[2] == place.id_of("film-b.png") == first_unread(place.services, LOCAL_READER)
    with pytest.raises(UnknownRecord, match="gone"):
        choose_case(place.services, LOCAL_READER, Filters(), {"case_id": "gone"})


def test_opening_a_case_names_the_next_one_for_fetching_ahead(place: Place) -> None:
    value = open_case(place.services, LOCAL_READER, Filters(), place.id_of("film-a.png"))[0]
    assert value["prefetch"] == [
        {"case_id": place.id_of("film-b.png"), "width": 500, "height": 600}
    ]
    last = open_case(place.services, LOCAL_READER, Filters(), place.id_of("film-mono1.dcm"))[0]
    assert last["prefetch"] == []


def test_a_lookup_table_goes_to_the_page_before_the_inversion() -> None:
    entries = np.arange(4096, dtype=np.uint16)[::1] // 2
    table = LookupTable(first=100, values=entries, bits=12, name="from the file")
    pixels = np.array([[0, 100], [2000, 4095]], dtype=np.uint16)
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        radiograph = Radiograph(pixels, photometric, 12, voi_luts=(table,))
        presets, first = page_presets(radiograph)
        assert default_window(radiograph) is table
        assert presets[first]["kind"] == "table"
        values = np.frombuffer(base64.b64decode(presets[first]["values_b64"]), dtype=np.uint8)
        shown = 255 - values if photometric == "MONOCHROME1" else values
        assert np.array_equal(shown, display_table(radiograph, table))


def test_the_lung_window_spreads_the_dark_half_of_the_displayed_picture(place: Place) -> None:
    for name in ("film-a.png", "film-mono1.dcm"):
        radiograph = load_radiograph(place.workspace.root.parent / "films" / name)
        windows = {window.name: window for window in anatomical_windows(radiograph)}
        dense = display_table(radiograph)[radiograph.pixels] > 200
        mean = {
            key: display_table(radiograph, window)[radiograph.pixels][dense].mean()
            for key, window in windows.items()
        }
        assert mean["Lung"] > mean["Mediastinum"] > mean["Bone"]


def test_the_meta_of_every_film_names_a_preset_that_exists(place: Place) -> None:
    for record in place.records.values():
        meta = case_meta(place.services, record.image_id)
        assert 0 <= meta["default_preset"] < len(meta["presets"])
        assert {"Lung", "Mediastinum", "Bone", "Full range"} <= {
            preset["name"] for preset in meta["presets"]
        }
