"""What the guard knows of accounts: whose a session hash is, when sessions end, what is logged."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from annotations.store import Store
from annotations.store.trail import LogFilter
from annotations.workspace import create_workspace
from audit_app.guard import Guard
from audit_app.known_browsers import KnownBrowsers
from audit_app.page_calls import KEPT_PAGES, PAGES_PER_ACCOUNT, SessionOwners
from audit_app.presence import Connected, Presence
from audit_app.row_limit import ROWS_PER_WINDOW, RowLimit
from audit_app.services import Services
from audit_app.session_clock import SessionClock
from audit_app.session_endings import SessionEndings
from audit_app.settings import Settings
from audit_app.sign_in_limits import SignInLimits
from audit_app.witness import LogWitness
from tests.audit_app.test_guard import SHARED, Answer, Clock, Site

ANNA, BERTA = "access-token-unsecure-ID=t1", "access-token-unsecure-ID=t2"
RUNNING = {"e1": SimpleNamespace(session_hash="anna-page")}


class Members(Site):
    """A guarded page with two people signed in, and the workspace whose log it writes."""

    def __init__(self, services: Services) -> None:
        super().__init__(accounts=True)
        self.services = services
        queue = SimpleNamespace(event_ids_to_events=RUNNING, event_queue_per_concurrency_id={})
        self.app = SimpleNamespace(
            tokens={"t1": "anna", "t2": "berta"},
            cookie_id="ID",
            get_blocks=lambda: SimpleNamespace(_queue=queue),
        )
        self.guard = Guard(
            self.inner,
            self.policy,
            limits=SignInLimits(KnownBrowsers(services.workspace.seal), self.clock),
            clock=SessionClock(self.settings.idle_s, self.settings.absolute_s, self.clock),
            witness=LogWitness(services),
        )
        self.guard._endings = SessionEndings(LogWitness(services).sessions_ended, self.clock)

    def call(self, cookie: str, path: str, **fields: Any) -> Answer:
        headers = [("cookie", cookie)]
        return self.ask(path, "POST", headers=headers, body=(json.dumps(fields).encode(),))

    def look(self, cookie: str, path: str, query: str = "") -> Answer:
        return self.ask(path, headers=[("cookie", cookie)], query_string=query.encode())

    def logged(self, kind: str) -> list[tuple[str, str]]:
        rows = self.services.store.trail.find(LogFilter(kind=kind), limit=1000)
        return [(row.actor, row.subject) for row in reversed(rows)]


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    workspace = create_workspace(tmp_path / "w", name="test")
    with Store.open(workspace) as store:
        for name in ("anna", "berta"):
            store.accounts.add(name, "reader", "unused")
        yield Services(workspace, store, Settings())


@pytest.fixture
def members(services: Services) -> Members:
    return Members(services)


class TestSessionHashes:
    def begin(self, members: Members) -> None:
        answer = members.call(ANNA, "/gradio_api/queue/join", session_hash="anna-page", fn_index=8)
        assert answer.status == 200

    def test_a_forged_session_hash_reaches_nothing_and_is_logged(self, members: Members) -> None:
        self.begin(members)
        n_served = len(members.inner.scopes)
        for path in ("queue/join", "run/predict", "reset", "cancel"):
            refused = members.call(BERTA, f"/gradio_api/{path}", session_hash="anna-page")
            assert refused.status == 403
        assert members.look(BERTA, "/gradio_api/heartbeat/anna-page").status == 403
        query = "session_hash=anna-page"
        assert members.look(BERTA, "/gradio_api/queue/data", query).status == 403
        for both in (f"{query}&session_hash=own", f"session_hash=own&{query}"):
            assert members.look(BERTA, "/gradio_api/queue/data", both).status == 403
        assert len(members.inner.scopes) == n_served
        assert ("berta", "this session hash belongs to another account") in members.logged(
            "refused"
        )
        assert members.look(ANNA, "/gradio_api/queue/data", query).status == 200

    def test_an_event_of_somebody_else_is_not_cancelled_under_an_own_hash(
        self, members: Members
    ) -> None:
        self.begin(members)
        fields = {"fn_index": 8, "event_id": "e1"}
        forged = members.call(BERTA, "/gradio_api/cancel", session_hash="berta-page", **fields)
        own = members.call(ANNA, "/gradio_api/cancel", session_hash="anna-page", **fields)
        assert (forged.status, own.status) == (403, 200)

    def test_many_hashes_of_one_account_push_out_its_own_oldest_only(self) -> None:
        owners, surplus = SessionOwners(), []
        assert owners.may_use("anna-page", "anna")
        for i in range(2 * PAGES_PER_ACCOUNT):
            assert owners.may_use(f"flood-{i}", "berta")
            assert owners.may_use("in-use", "berta")
            surplus += owners.push_out("berta")
        assert surplus == [f"flood-{i}" for i in range(PAGES_PER_ACCOUNT + 1)]
        assert not owners.may_use("anna-page", "berta")
        assert not owners.may_use(f"flood-{2 * PAGES_PER_ACCOUNT - 1}", "anna")
        assert owners.may_use("flood-0", "anna")
        assert owners.push_out("anna") == []

    def test_ten_accounts_with_all_that_they_may_have_open_push_out_nobody(self) -> None:
        assert 10 * PAGES_PER_ACCOUNT <= KEPT_PAGES

    def test_a_call_without_a_session_hash_is_refused_because_gradio_would_make_one_up(
        self, members: Members
    ) -> None:
        for nothing in ({}, {"session_hash": ""}, {"session_hash": None}):
            answer = members.call(ANNA, "/gradio_api/queue/join", fn_index=8, **nothing)
            assert answer.status == 403
        assert members.inner.scopes == []


class TestEndOfSessions:
    def is_in(self, members: Members, cookie: str) -> bool:
        return members.look(cookie, "/audit/x").status == 200

    @pytest.mark.parametrize(
        "kind", ["password changed", "account disabled", "signed out everywhere"]
    )
    def test_a_command_ends_the_sessions_of_a_running_page_within_a_second(
        self, members: Members, kind: str
    ) -> None:
        assert self.is_in(members, ANNA)
        members.services.store.log.add(kind, "command line", "anna", {})
        members.clock.now += 1
        assert not self.is_in(members, ANNA)
        assert self.is_in(members, BERTA)
        assert members.logged("session ended") == [("anna", "anna")]

    def test_who_signs_in_afterwards_stays(self, members: Members) -> None:
        members.services.store.log.add("password changed", "command line", "anna", {})
        members.app.tokens["t1"] = "somebody"
        del members.app.tokens["t1"]
        members.app.tokens["t9"] = "anna"
        assert members.sign_in().status == 200
        assert self.is_in(members, "access-token-unsecure-ID=t9")

    def test_signing_out_ends_the_session_whatever_gradio_forgets(self, members: Members) -> None:
        assert members.look(ANNA, "/logout", "all_session=false").status == 200
        assert not self.is_in(members, ANNA)
        assert members.logged("sign out") == [("anna", "anna")]

    def test_signing_out_everywhere_is_kept_for_other_processes(self, members: Members) -> None:
        assert members.look(ANNA, "/logout").status == 200
        assert members.logged("signed out everywhere") == [("anna", "anna")]
        assert members.services.store.trail.sessions_ended("anna") > 0

    def test_signing_out_everywhere_ends_sessions_under_each_spelling_of_the_name(
        self, members: Members
    ) -> None:
        members.app.tokens.update(t1="andre\u0301", t2="andr\u00e9")
        assert self.is_in(members, BERTA)
        assert members.look(ANNA, "/logout").status == 200
        members.clock.now += 1
        assert not self.is_in(members, BERTA)

    def test_an_idle_session_that_ends_is_logged_with_the_reason(self, members: Members) -> None:
        assert self.is_in(members, ANNA)
        members.clock.now += 101
        assert not self.is_in(members, ANNA)
        row = members.services.store.trail.find(LogFilter(kind="session ended"), limit=1)[0]
        assert row.details == {"reason": "not used for too long"}


class TestLog:
    def test_sign_ins_stand_in_the_log_before_they_are_answered(self, members: Members) -> None:
        members.sign_in()
        members.inner.status = 400
        members.sign_in()
        members.sign_in(name="my secret password")
        assert members.logged("sign in") == [("anna", "anna")]
        assert members.logged("sign in failed") == [("", "anna"), ("", "(unknown name)")]
        row = members.services.store.log.rows(limit=1)[0]
        assert row.details == {"address": "10.0.0.1", "reason": "wrong name or password"}
        content = str(members.services.store.log.rows(limit=100))
        assert "secret" not in content
        assert "guess" not in content

    def test_brute_force_is_logged_and_cannot_fill_the_log(self, members: Members) -> None:
        members.inner.status = 400
        for _ in range(300):
            members.sign_in()
        rows = Counter(members.logged("sign in failed"))
        # Of the account while its back-off is asked, of the address once that has tried too much.
        assert set(rows) == {("", "anna"), ("", "(any name)")}
        assert set(rows.values()) == {ROWS_PER_WINDOW}

    @pytest.mark.parametrize(
        ("given", "status", "reason"),
        [
            ({"host": "evil.example"}, 421, "this host is not served here"),
            ({"headers": [("origin", "http://evil.example")]}, 403, "requests from other sites"),
            ({"path": "/gradio_api/token"}, 404, "not found"),
            ({"path": "/audit/x"}, 401, "Not authenticated"),
            ({"method": "PUT"}, 405, "a method that is not used"),
            ({"headers": [("content-length", "99999999")]}, 413, "the request is too large"),
        ],
    )
    def test_a_refused_request_is_logged_without_what_it_asked_for(
        self, members: Members, given: dict[str, Any], status: int, reason: str
    ) -> None:
        assert members.ask(**given).status == status
        ((actor, subject),) = members.logged("refused")
        assert actor == ""
        assert subject.startswith(reason)

    def test_a_forgotten_page_does_not_fill_the_log(self, members: Members) -> None:
        for path in ("/gradio_api/queue/data", "/gradio_api/heartbeat/x"):
            assert members.ask(path).status == 401
        assert members.logged("refused") == []

    def test_what_a_route_refuses_by_role_is_logged_with_the_account(
        self, members: Members
    ) -> None:
        members.inner.status = 403
        members.look(BERTA, "/audit/log/x.csv")
        assert members.logged("refused") == [("berta", "not allowed with this role")]

    def test_a_log_that_cannot_be_written_stops_nobody(
        self, members: Members, caplog: pytest.LogCaptureFixture
    ) -> None:
        members.services.store.close()
        assert members.look(ANNA, "/audit/x").status == 200
        assert members.ask(host="evil.example").status == 421
        assert "could not be written" in caplog.text


def test_rows_over_the_limit_are_counted_and_the_count_is_kept() -> None:
    clock = Clock()
    limit = RowLimit(clock)
    given = [limit.admit("x") for _ in range(ROWS_PER_WINDOW + 7)]
    assert given == [0] * ROWS_PER_WINDOW + [None] * 7
    assert limit.admit("y") == 0
    clock.now += 60
    assert limit.admit("x") == 7
    assert limit.admit("x") == 0


class TestPresence:
    def test_who_asked_lately_is_connected_and_how(self) -> None:
        clock = Clock()
        presence = Presence(clock)
        presence.saw("berta", through_link=True)
        clock.now += 60
        presence.saw("anna", through_link=False)
        assert presence.connected() == (Connected("anna", False), Connected("berta", True))
        clock.now += 31
        assert presence.connected() == (Connected("anna", False),)
        presence.left("anna")
        assert presence.connected() == ()

    def test_the_guard_tells_who_came_through_the_link(self, members: Members) -> None:
        members.policy.share(f"https://{SHARED}")
        members.look(ANNA, "/audit/x")
        members.ask("/audit/x", headers=[("cookie", BERTA)], host=SHARED)
        assert members.services.presence.connected() == (
            Connected("anna", False),
            Connected("berta", True),
        )
