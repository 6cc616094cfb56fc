"""Models, audits, accounts and readers: the small tables."""

from __future__ import annotations

import math

import numpy as np
import pytest

from annotations.errors import StoreError, UnknownRecord
from annotations.records import Reader
from annotations.store import Store


def test_a_model_entry_comes_back_as_it_was_saved(store: Store) -> None:
    entry = {"kind": "open_clip", "prompts": {"Edema": ["oedema of the lung"]}, "n": 1, "f": 0.1}
    store.models.save("demo", {"kind": "old"})
    store.models.save("other", {})
    store.models.save("demo", entry)
    assert store.models.get("demo") == entry
    assert list(store.models.all()) == ["demo", "other"]


def test_an_unknown_model_is_refused_with_the_known_names(store: Store) -> None:
    with pytest.raises(UnknownRecord, match="this workspace has no model yet"):
        store.models.get("demo")
    store.models.save("demo-vit", {})
    store.models.save("biomedclip", {})
    with pytest.raises(UnknownRecord, match="known: demo-vit, biomedclip; did you mean 'demo-vit'"):
        store.models.get("demo-vti")
    with pytest.raises(StoreError, match="a model needs a name"):
        store.models.save(" ", {})


def test_an_audit_keeps_its_rows_in_order_with_every_number(store: Store) -> None:
    run = store.audits.create("alice", {"modes": ("zs", "lp")})
    assert (run.status, run.choices, run.summary) == ("running", {"modes": ["zs", "lp"]}, {})
    store.audits.add_rows(run.run_id, [{"hit": np.float32(0.5), "n": np.int64(3), "ok": np.True_}])
    store.audits.add_rows(run.run_id, [{"iou": float("nan"), "tiny": 1e-300, "third": 1 / 3}])
    first, second = store.audits.rows(run.run_id)
    assert first == {"hit": 0.5, "n": 3, "ok": True}
    assert math.isnan(second.pop("iou"))
    assert second == {"tiny": 1e-300, "third": 1 / 3}
    ended = store.audits.finish(run.run_id, "done", {"hit": 0.5})
    assert (ended.status, ended.summary) == ("done", {"hit": 0.5})
    assert store.audits.get(run.run_id) == ended
    again = store.audits.restart(run.run_id)
    assert (again.status, again.summary) == ("running", {})
    assert store.audits.rows(run.run_id)[0] == first


def test_rows_of_one_call_are_kept_all_or_none(store: Store) -> None:
    run = store.audits.create("alice", {})
    with pytest.raises(StoreError, match=r"audit row 1\.map is of type ndarray"):
        store.audits.add_rows(run.run_id, [{"a": 1}, {"map": np.zeros(3)}])
    assert store.audits.rows(run.run_id) == []


def test_audits_are_listed_newest_first_and_unknown_ones_refused(store: Store) -> None:
    first, second = store.audits.create("a", {}), store.audits.create("b", {})
    assert store.audits.all() == [second, first]
    with pytest.raises(UnknownRecord, match="no audit run 'x'"):
        store.audits.rows("x")
    with pytest.raises(UnknownRecord):
        store.audits.add_rows("x", [])
    with pytest.raises(StoreError, match="cannot end as 'running'"):
        store.audits.finish(first.run_id, "running", {})


def test_an_account_is_added_changed_and_disabled(store: Store) -> None:
    account = store.accounts.add("alice", "reader", "hash-1")
    assert (account.name, account.role, account.password_hash) == ("alice", "reader", "hash-1")
    assert not account.disabled
    assert store.accounts.set_role("alice", "admin").role == "admin"
    assert store.accounts.set_password_hash("alice", "hash-2").password_hash == "hash-2"
    assert store.accounts.disable("alice").disabled
    assert store.accounts.get("alice") == store.accounts.all()[0]
    assert store.accounts.get("Alice") is None


def test_accounts_that_could_be_taken_for_each_other_are_refused(store: Store) -> None:
    store.accounts.add("alice", "reader", "hash")
    with pytest.raises(StoreError, match="'alice' exists already"):
        store.accounts.add("Alice", "admin", "hash")
    with pytest.raises(StoreError, match="is not valid"):
        store.accounts.add("alice smith", "reader", "hash")
    with pytest.raises(StoreError, match="unknown role 'root'; known: reader, auditor, admin"):
        store.accounts.add("bob", "root", "hash")
    with pytest.raises(StoreError, match="it was empty"):
        store.accounts.add("bob", "reader", "")
    with pytest.raises(UnknownRecord, match="unknown account 'bob'; known: alice"):
        store.accounts.disable("bob")


def test_a_reader_is_kept_once(store: Store) -> None:
    assert store.readers.ensure("alice") == Reader("alice", "person")
    assert store.readers.ensure("alice") == Reader("alice", "person")
    store.readers.ensure("NIH", "imported")
    assert store.readers.all() == [Reader("alice", "person"), Reader("NIH", "imported")]
    with pytest.raises(StoreError, match="a reader needs a name"):
        store.readers.ensure(" ")
    with pytest.raises(StoreError, match="unknown kind of reader"):
        store.readers.ensure("x", "robot")


def test_an_imported_reader_who_signs_in_is_a_person_and_stays_one(store: Store) -> None:
    store.readers.ensure("alice", "imported")
    assert store.readers.ensure("alice", "person").kind == "person"
    assert store.readers.ensure("alice", "imported").kind == "person"


def test_nobody_can_read_under_the_name_of_the_synthetic_reader(store: Store) -> None:
    store.readers.ensure("demo reader", "synthetic")
    assert store.readers.ensure("demo reader", "imported").kind == "synthetic"
    with pytest.raises(StoreError, match="belongs to a reader of kind synthetic"):
        store.readers.ensure("demo reader", "person")
    store.readers.ensure("alice")
    with pytest.raises(StoreError, match="belongs to a reader of kind person"):
        store.readers.ensure("alice", "synthetic")
