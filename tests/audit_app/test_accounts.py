from __future__ import annotations

import asyncio
import inspect
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import argon2
import pytest

from annotations.errors import StoreError, UnknownRecord
from annotations.store import Store
from audit_app.accounts import (
    InvalidAccount,
    add_account,
    build_verify,
    hash_password,
    password_from_file,
    set_password,
)

PASSWORD = "correct horse battery"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "audit.sqlite", ("Mass",)) as opened:
        yield opened


def signs_in(store: Store, name: str, password: str) -> bool:
    return asyncio.run(_verify_once(store, name, password))


async def _verify_once(store: Store, name: str, password: str) -> bool:
    return await build_verify(store)(name, password)


def test_the_stored_hash_is_argon2id_and_does_not_hold_the_password(store: Store) -> None:
    account = add_account(store, "anna", "reader", PASSWORD)
    assert account.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in account.password_hash
    assert argon2.PasswordHasher().verify(account.password_hash, PASSWORD)


def test_the_same_password_twice_gives_different_hashes() -> None:
    assert hash_password(PASSWORD) != hash_password(PASSWORD)


@pytest.mark.parametrize("length", [0, 9, 257])
def test_a_password_of_this_length_is_refused_without_quoting_it(length: int) -> None:
    with pytest.raises(InvalidAccount, match=f"has {length} characters; give 10 to 256") as refused:
        hash_password("q" * length)
    assert "qqq" not in str(refused.value)


def test_an_unknown_role_is_refused_with_the_known_ones(store: Store) -> None:
    with pytest.raises(InvalidAccount, match="'owner'; known: reader, auditor, admin"):
        add_account(store, "anna", "owner", PASSWORD)
    assert store.accounts.all() == []


def test_a_name_that_is_taken_is_refused(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)
    with pytest.raises(StoreError, match="anna"):
        add_account(store, "anna", "admin", PASSWORD)
    assert [account.role for account in store.accounts.all()] == ["reader"]


def test_only_the_right_password_signs_in(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)
    assert signs_in(store, "anna", PASSWORD)
    assert not signs_in(store, "anna", PASSWORD + " ")
    assert not signs_in(store, "anna", "")
    assert not signs_in(store, "berta", PASSWORD)


def test_a_disabled_account_cannot_sign_in(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)
    store.accounts.disable("anna")
    assert not signs_in(store, "anna", PASSWORD)


def test_a_new_password_replaces_the_old_one(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)
    set_password(store, "anna", "another long one")
    assert signs_in(store, "anna", "another long one")
    assert not signs_in(store, "anna", PASSWORD)


def test_a_password_file_gives_its_first_line_with_its_blanks(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" cr\u00e8me br\u00fbl\u00e9e \r\nsecond line\n", encoding="utf-8")
    assert password_from_file(file) == " cr\u00e8me br\u00fbl\u00e9e "


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "No such file"), (b"", "is empty"), (b"\n\n", "is empty"), (b"\xff\xfe", "no UTF-8")],
)
def test_a_password_file_without_a_password_is_refused_by_its_path(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidAccount, match=f"{file}.*{reason}"):
        password_from_file(file)


def test_an_unknown_account_gets_no_password(store: Store) -> None:
    with pytest.raises(UnknownRecord, match="anna"):
        set_password(store, "anna", PASSWORD)


def test_a_password_is_the_same_however_its_accents_were_typed(store: Store) -> None:
    add_account(store, "ren\u00e9", "reader", "cr\u00e8me br\u00fbl\u00e9e")
    assert signs_in(store, "rene\u0301", "cre\u0300me bru\u0302le\u0301e")


def test_a_hash_with_weaker_parameters_is_renewed_at_sign_in(store: Store) -> None:
    weak = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    store.accounts.add("anna", "reader", weak)
    assert not signs_in(store, "anna", "something else")
    assert store.accounts.all()[0].password_hash == weak
    assert signs_in(store, "anna", PASSWORD)
    assert store.accounts.all()[0].password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert signs_in(store, "anna", PASSWORD)


def test_an_account_with_a_damaged_hash_cannot_sign_in(store: Store) -> None:
    store.accounts.add("anna", "reader", "no hash at all")
    assert not signs_in(store, "anna", "no hash at all")


def test_gradio_sees_a_coroutine_function_and_so_awaits_it(store: Store) -> None:
    assert inspect.iscoroutinefunction(build_verify(store))


def test_an_unknown_name_costs_as_much_as_a_wrong_password(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)

    async def seconds(name: str) -> float:
        verify = build_verify(store)
        taken = []
        for _ in range(3):
            began = time.perf_counter()
            await verify(name, "wrong password")
            taken.append(time.perf_counter() - began)
        return statistics.median(taken)

    assert asyncio.run(seconds("nobody")) > 0.3 * asyncio.run(seconds("anna"))


def test_others_are_served_while_a_password_is_hashed(store: Store) -> None:
    add_account(store, "anna", "reader", PASSWORD)

    async def turns_during_a_check() -> int:
        verify = build_verify(store)
        check = asyncio.create_task(verify("anna", PASSWORD))
        turns = 0
        while not check.done():
            turns += 1
            await asyncio.sleep(0.002)
        return turns

    assert asyncio.run(turns_during_a_check()) >= 5
