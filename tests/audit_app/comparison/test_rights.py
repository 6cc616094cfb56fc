"""Who may compare what, and what that leaves behind."""

from __future__ import annotations

import pytest

from annotations.errors import ReadingLocked
from annotations.regions import Box
from audit_app.comparison import open_reading, readable_cases
from audit_app.errors import AuditError
from audit_app.session import Visitor

READER = Visitor("mira", "reader")
OTHER = Visitor("tom", "reader")
AUDITOR = Visitor("ada", "auditor")


def test_maps_stay_locked_until_the_reading_is_committed(services, image_id, draw) -> None:
    draw("mira")
    with pytest.raises(ReadingLocked):
        open_reading(services, READER, image_id, "mira")
    services.store.readings.commit(image_id, "mira", base_version=1)
    assert open_reading(services, READER, image_id, "mira").regions[0].box == Box(40, 60, 80, 100)
    assert services.store.readings.get(image_id, "mira").revealed_at is not None


def test_a_reader_never_sees_another_readers_reading(services, image_id, commit) -> None:
    commit("mira")
    assert readable_cases(services, OTHER) == []
    with pytest.raises(AuditError, match="another reader's"):
        open_reading(services, OTHER, image_id, "mira")
    assert [one.reader for one in readable_cases(services, AUDITOR)] == ["mira"]


def test_an_auditor_with_a_draft_of_their_own_must_commit_first(
    services, image_id, draw, commit
) -> None:
    commit("mira")
    draw("ada")
    with pytest.raises(ReadingLocked, match="commit your own reading"):
        open_reading(services, AUDITOR, image_id, "mira")


def test_who_saw_the_maps_before_reading_is_not_blinded_any_more(
    services, image_id, commit
) -> None:
    commit("mira")
    open_reading(services, AUDITOR, image_id, "mira")
    assert services.store.readings.get(image_id, "ada").status == "new"
    commit("ada")
    blinded = {one.reader: one.blinded for one in services.store.readings.of_image(image_id)}
    assert blinded == {"mira": True, "ada": False}
    kinds = [row.kind for row in services.store.log.rows(image_id=image_id)]
    assert kinds.count("seen unread") == 1
