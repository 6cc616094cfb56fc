"""Signing in while somebody else tries to keep everybody out."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from annotations.store import Store
from annotations.workspace import create_workspace
from audit_app.attempt_rate import AT_ONCE, SECONDS_PER_ATTEMPT, AttemptRate
from audit_app.caller import address_of, network_of
from audit_app.known_browsers import KnownBrowsers
from audit_app.login_turns import MAX_WAITING, LoginTurns
from audit_app.row_limit import ROWS_PER_WINDOW
from audit_app.services import Services
from audit_app.settings import Settings
from tests.audit_app.test_guard import SHARED, Answer, Clock, Inner, Pairs, Site, seal
from tests.audit_app.test_guarded_accounts import Members


@dataclass
class Door(Inner):
    """The application behind the guard, whose password checks take a while."""

    checking: int = 0
    most_at_once: int = 0
    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.checking += 1
        self.most_at_once = max(self.most_at_once, self.checking)
        await asyncio.sleep(0.001)
        self.checking -= 1
        await super().__call__(scope, receive, send)
        self.asked.append(self.bodies[-1].decode().split("&")[0].removeprefix("username="))


@pytest.fixture
def members() -> Site:
    return Site(accounts=True)


@pytest.fixture
def shared(members: Site) -> Site:
    members.policy.share(f"https://{SHARED}")
    return members


def wrong(site: Site, name: str = "anna", client: str = "10.0.0.1", headers: Pairs = ()) -> Answer:
    site.inner.status = 400
    return site.sign_in(name, client, headers)


def right(site: Site, name: str = "anna", client: str = "10.0.0.1", headers: Pairs = ()) -> Answer:
    site.inner.status = 200
    return site.sign_in(name, client, headers)


def cookie_of(answer: Answer) -> Pairs:
    (cookie,) = answer.cookies
    return [("cookie", cookie.partition(";")[0])]


def at_once(site: Site, attempts: list[tuple[str, str]]) -> list[int]:
    """Statuses of sign-ins that all arrive in the same moment."""

    async def all_of_them() -> list[int]:
        tasks = [site.signing_in(name, client) for name, client in attempts]
        return [answer.status for answer in await asyncio.gather(*tasks)]

    return asyncio.run(all_of_them())


class TestOneNetwork:
    def test_fifty_readers_behind_one_address_sign_in_in_the_same_moment(
        self, members: Site
    ) -> None:
        assert at_once(members, [(f"reader-{i}", "10.0.0.1") for i in range(50)]) == [200] * 50

    def test_who_tries_many_names_is_stopped_with_a_sentence_and_a_time(
        self, members: Site
    ) -> None:
        statuses = [wrong(members, f"name-{i}", "6.6.6.6").status for i in range(AT_ONCE + 1)]
        assert statuses == [400] * AT_ONCE + [429]
        refused = wrong(members, "another", "6.6.6.6")
        assert b"too many sign-ins from one network; wait 2 s" in refused.body
        assert refused.header("retry-after") == "3"
        assert len(members.inner.scopes) == AT_ONCE
        assert right(members, "anna", "10.0.0.1").status == 200

    def test_an_address_gets_an_attempt_back_after_a_while_and_never_more_than_at_first(
        self,
    ) -> None:
        clock = Clock()
        rate = AttemptRate(clock)
        assert [rate.take("6.6.6.6") for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
        assert rate.take("6.6.6.6") == SECONDS_PER_ATTEMPT
        clock.now += SECONDS_PER_ATTEMPT
        assert rate.take("6.6.6.6") == 0.0
        assert rate.take("6.6.6.6") == SECONDS_PER_ATTEMPT
        clock.now += 1_000_000
        assert [rate.take("6.6.6.6") for _ in range(AT_ONCE + 1)].count(0.0) == AT_ONCE

    def test_all_addresses_of_one_ipv6_network_count_as_one(self, members: Site) -> None:
        for i in range(AT_ONCE):
            wrong(members, f"name-{i}", f"2001:db8:0:1::{i:x}")
        assert wrong(members, "another", "2001:db8:0:1:ffff::1").status == 429
        assert wrong(members, "another", "2001:db8:0:2::1").status == 400
        assert network_of("::ffff:10.0.0.1") != network_of("::ffff:10.0.0.2")


class TestTurns:
    def test_only_one_password_of_strangers_is_checked_at_a_time(self, members: Site) -> None:
        members.guard._sign_in._app = door = Door()
        assert at_once(members, [(f"n{i}", f"10.0.0.{i}") for i in range(20)]) == [200] * 20
        assert door.most_at_once == 1

    def test_a_flood_from_one_address_delays_another_by_one_check(self, members: Site) -> None:
        members.guard._sign_in._app = door = Door()
        flood = [(f"n{i}", "6.6.6.6") for i in range(50)]
        assert at_once(members, [*flood, ("anna", "10.0.0.1")]) == [200] * 51
        assert door.asked.index("anna") <= 2

    def test_more_than_can_be_checked_soon_are_refused_and_known_browsers_are_not(
        self, members: Site
    ) -> None:
        known = cookie_of(right(members))
        members.guard._sign_in._app = door = Door()
        members.clock.now += 60

        async def with_a_flood() -> tuple[list[Answer], Answer]:
            flood = [
                asyncio.create_task(members.signing_in(f"n{i}", f"6.6.{i // 50}.6"))
                for i in range(MAX_WAITING + 20)
            ]
            await asyncio.sleep(0)
            mine = await members.signing_in("anna", headers=known)
            waiting = sum(not one.done() for one in flood)
            assert waiting > MAX_WAITING / 2
            return list(await asyncio.gather(*flood)), mine

        flood, mine = asyncio.run(with_a_flood())
        assert mine.status == 200
        refused = [one for one in flood if one.status == 429]
        assert len(refused) == 19
        assert b"too many people are signing in at this moment; wait 30 s" in refused[0].body
        assert door.most_at_once == 2

    def test_a_sign_in_that_is_called_off_leaves_its_turn_to_the_next(self) -> None:
        async def called_off() -> list[str]:
            turns, done = LoginTurns(), []

            async def check(party: str) -> None:
                async with turns.turn(party):
                    await asyncio.sleep(0.001)
                    done.append(party)

            tasks = {party: asyncio.create_task(check(party)) for party in ("a", "b", "c", "d")}
            await asyncio.sleep(0)
            tasks["b"].cancel()  # while it waits
            await tasks["a"]
            tasks["c"].cancel()  # just when its turn has come
            await asyncio.wait_for(tasks["d"], 10)
            await check("e")
            return done

        assert asyncio.run(called_off()) == ["a", "d", "e"]


class TestKnownBrowsers:
    def test_behind_one_address_a_guesser_cannot_lock_out_who_signed_in_there_before(
        self, members: Site
    ) -> None:
        known = cookie_of(right(members, client="10.0.0.9"))
        for i in range(2 * AT_ONCE):
            wrong(members, "anna" if i % 2 else f"name-{i}", "10.0.0.9")
        assert right(members, client="10.0.0.9").status == 429
        assert right(members, client="10.0.0.9", headers=known).status == 200

    def test_through_the_share_link_without_forwarded_addresses_neither(self, shared: Site) -> None:
        link = {"host": SHARED, "client": "127.0.0.1"}
        shared.inner.status = 200
        known = cookie_of(shared.sign_in(**link))
        shared.inner.status = 400
        for i in range(2 * AT_ONCE):
            shared.sign_in("anna" if i % 2 else f"name-{i}", **link)
        assert shared.sign_in(**link).status == 429
        shared.inner.status = 200
        assert shared.sign_in(headers=known, **link).status == 200
        # And who sits at this computer shares nothing with the people behind the link.
        assert right(shared, client="127.0.0.1").status == 200

    def test_wrong_passwords_in_a_known_browser_have_to_wait_there_only(
        self, members: Site
    ) -> None:
        known, other = cookie_of(right(members)), cookie_of(right(members))
        assert [wrong(members, headers=known).status for _ in range(6)] == [400] * 5 + [429]
        assert right(members, headers=other).status == 200
        assert right(members).status == 200

    def test_the_cookie_knows_one_account_in_one_workspace_and_cannot_be_made(self) -> None:
        browsers = KnownBrowsers(seal)
        cookie = browsers.cookie_for("anna", is_https=True).partition(";")[0]
        name, _, value = cookie.partition("=")
        number = value.partition(".")[0]
        assert browsers.number_in({name: value}, "anna") == number
        as_berta = browsers.cookie_for("berta", is_https=True).partition("=")[0]
        elsewhere = KnownBrowsers(lambda *parts: seal("elsewhere", *parts))
        assert browsers.number_in({as_berta: value}, "berta") is None
        assert elsewhere.number_in({name: value}, "anna") is None
        forged = (f"{number}.{'0' * 64}", number, "", ".", "\u00e9.\u00e9", f"{number}.\u00e9")
        for value in forged:
            assert browsers.number_in({name: value}, "anna") is None
        assert "anna" not in cookie

    def test_the_cookie_goes_to_the_sign_in_only_and_not_to_scripts(self, shared: Site) -> None:
        shared.inner.status = 200
        (local,) = shared.sign_in().cookies
        (linked,) = shared.sign_in(host=SHARED, client="127.0.0.1").cookies
        for cookie in (local, linked):
            assert "HttpOnly" in cookie
            assert "Path=/login;" in f"{cookie};"
            assert "SameSite=Strict" in cookie
        assert ("Secure" in local, "Secure" in linked) == (False, True)

    def test_a_wrong_password_and_a_known_browser_get_no_cookie(self, members: Site) -> None:
        assert wrong(members).cookies == []
        assert right(members, headers=cookie_of(right(members))).cookies == []


class TestAddresses:
    def test_a_forged_forwarding_header_gives_no_new_address(self, members: Site) -> None:
        statuses = [
            wrong(
                members,
                client="127.0.0.1",
                headers=[("x-forwarded-for", f"9.9.9.{i}:{1000 + i}")],
            ).status
            for i in range(6)
        ]
        assert statuses == [400] * 5 + [429]

    def test_behind_a_share_link_forwarded_addresses_count(self, shared: Site) -> None:
        def through_link(forwarded: str) -> int:
            shared.inner.status = 400
            headers = [("x-forwarded-for", forwarded)]
            return shared.sign_in(headers=headers, host=SHARED, client="127.0.0.1").status

        statuses = [through_link("6.6.6.6") for _ in range(6)]
        assert statuses == [400] * 5 + [429]
        assert through_link("7.7.7.7") == 400
        # What the client wrote itself stands before what the share server saw.
        assert through_link("8.8.8.8, 6.6.6.6") == 429

    @pytest.mark.parametrize(
        ("peer", "forwarded", "address"),
        [
            ("127.0.0.1", ["6.6.6.6"], "6.6.6.6 (share link)"),
            ("127.0.0.1", ["1.1.1.1", "6.6.6.6, 127.0.0.1"], "6.6.6.6 (share link)"),
            ("192.168.1.5", ["6.6.6.6"], "6.6.6.6 (share link)"),  # this computer's own address
            ("192.168.1.77", ["6.6.6.6"], "192.168.1.77"),  # a neighbour names the link's host
            ("127.0.0.1", [], "unknown (share link)"),
            ("127.0.0.1", ["Doe, Jane"], "unknown (share link)"),
        ],
    )
    def test_only_the_tunnel_on_this_computer_is_believed(
        self, peer: str, forwarded: list[str], address: str
    ) -> None:
        headers = [(b"x-forwarded-for", one.encode()) for one in forwarded]
        scope: Scope = {"client": (peer, 5000), "server": ("192.168.1.5", 7860), "headers": headers}
        assert address_of(scope, through_link=True) == address
        assert address_of(scope, through_link=False) == peer


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Members]:
    workspace = create_workspace(tmp_path / "w", name="test")
    with Store.open(workspace) as store:
        for name in [f"reader-{i}" for i in range(50)]:
            store.accounts.add(name, "reader", "unused")
        yield Members(Services(workspace, store, Settings()))


def test_a_flood_with_everybodys_names_leaves_few_rows_that_say_what_happened(
    ward: Members,
) -> None:
    for i in range(AT_ONCE + 300):
        wrong(ward, f"reader-{i % 50}", "6.6.6.6")
    rows = [one for one in ward.services.store.log.rows(limit=1000) if one.kind == "sign in failed"]
    refused = [one for one in rows if one.subject == "(any name)"]
    assert len(refused) == ROWS_PER_WINDOW
    assert refused[0].details == {
        "address": "6.6.6.6",
        "reason": "too many sign-ins from one network",
    }
    assert len(rows) <= AT_ONCE + ROWS_PER_WINDOW
