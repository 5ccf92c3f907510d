"""The receiver: right codes, nothing forged, everything that is answered as received is on disk."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
from pathlib import Path

import pytest

from deliveries import Door, debit_events, plain_header, stripe_event, stripe_header
from mlc.config import parse
from mlc.core.errors import MlcError
from mlc.core.inbox import DEBIT, DOCUMENT, MONEY, PAYOUT
from mlc.secrets import Resolver
from mlc.store.database import Database
from mlc.store.inbox import Inbox, Post
from mlc.webhooks import keeper as keeper_room
from mlc.webhooks.app import MOST_BYTES
from mlc.webhooks.endpoints import endpoints_of


def rows(folder: Path) -> list[tuple[str, str, str, int, bool]]:
    """What is on disk: company, system, event, how often, whether it waits."""
    connection = sqlite3.connect(folder / "mlc.db")
    try:
        found = connection.execute("SELECT book, system, id, deliveries, done_at IS NULL FROM inbox ORDER BY seq").fetchall()
    finally:
        connection.close()
    return [(*row[:4], bool(row[4])) for row in found]


def tallies(folder: Path) -> dict[tuple[str, str], tuple[int, int, int, str]]:
    """What was counted: received, repeated, refused, the last reason."""
    connection = sqlite3.connect(folder / "mlc.db")
    try:
        found = connection.execute("SELECT book, system, received, repeated, refused, last_reason FROM receiver").fetchall()
    finally:
        connection.close()
    return {(row[0], row[1]): tuple(row[2:]) for row in found}


def test_a_delivery_is_on_disk_when_it_is_answered(tmp_path: Path) -> None:
    """Deliveries of all three systems are answered 200 and wait in the inbox of the right company."""
    with Door(tmp_path / "mlc.db") as door:
        assert door.stripe(stripe_event()) == 200
        assert rows(tmp_path) == [("SBODEMO", "stripe", "evt_1", 1, True)]
        assert door.gocardless(debit_events(1, 2)) == 200
        assert door.sap([{"BusinessObject": "13", "Key": "77"}]) == 200
        assert door.stripe(stripe_event(7), secret="whsec_other", path="/stripe/other") == 200
        assert [row[:2] for row in rows(tmp_path)] == [
            ("SBODEMO", "stripe"), ("SBODEMO", "gocardless"), ("SBODEMO", "gocardless"), ("SBODEMO", "sap"), ("SBO_OTHER", "stripe"),
        ]  # fmt: skip
        assert [len(events) for _, events in door.heard] == [1, 2, 1, 1]


def test_a_repeated_delivery_is_answered_and_changes_nothing(tmp_path: Path) -> None:
    """The same event again, signed anew or not, with other words in it or not, is 200 and rings nobody."""
    with Door(tmp_path / "mlc.db") as door:
        assert [door.stripe(stripe_event()) for _ in range(3)] == [200] * 3
        assert door.stripe(stripe_event(type_="charge.failed")) == 200
        assert [door.gocardless(debit_events(5)) for _ in range(2)] == [200] * 2
        assert door.gocardless(debit_events(5, action="failed")) == 200
        assert len(door.heard) == 2
    assert rows(tmp_path) == [("SBODEMO", "stripe", "evt_1", 4, True), ("SBODEMO", "gocardless", "EV5", 3, True)]
    assert tallies(tmp_path)["SBODEMO", "stripe"] == (4, 3, 0, "")


def test_a_delivery_captured_years_ago_changes_nothing(tmp_path: Path) -> None:
    """GoCardless' signatures carry no time: an event that was dealt with stays dealt with when it is sent once more."""
    with Door(tmp_path / "mlc.db") as door:
        door.gocardless(debit_events(5))
        with sqlite3.connect(tmp_path / "mlc.db") as connection:
            connection.execute("UPDATE inbox SET done_at = 1")
        door.clock.sleep(10**8)
        assert door.gocardless(debit_events(5)) == 200
        assert len(door.heard) == 1
    assert rows(tmp_path)[0][3:] == (2, False)


def test_a_message_of_sap_may_come_again_with_news(tmp_path: Path) -> None:
    """SAP gives no event id: an equal message waits once, and again when the earlier one was dealt with."""
    with Door(tmp_path / "mlc.db") as door:
        assert [door.sap([{"Key": "77"}]) for _ in range(2)] == [200] * 2
        assert len(door.heard) == 1
        with sqlite3.connect(tmp_path / "mlc.db") as connection:
            connection.execute("UPDATE inbox SET done_at = 1")
        assert door.sap([{"Key": "77"}], encode=lambda one: base64.b64encode(one).decode()) == 200
        assert len(door.heard) == 2
    assert [row[3:] for row in rows(tmp_path)] == [(3, True)]


def test_forged_stale_and_foreign_deliveries_are_refused(tmp_path: Path) -> None:
    """400 at Stripe, 498 at GoCardless, 401 at SAP; nothing is stored, and the reason is counted."""
    with Door(tmp_path / "mlc.db") as door:
        now = door.clock.now()
        assert door.stripe(stripe_event(), secret="whsec_wrong") == 400
        assert door.stripe(stripe_event(), at=now - 301) == 400
        assert door.stripe(stripe_event(), at=now + 301) == 400
        assert door.stripe(stripe_event(), secret="whsec_other") == 400  # another tenant's
        assert door.send("/stripe/acme", json.dumps(stripe_event()).encode()) == 400
        assert door.stripe(stripe_event(livemode=True)) == 400
        assert door.stripe(stripe_event(livemode=None)) == 400
        assert door.stripe(stripe_event(account="acct_1")) == 400
        assert door.stripe({"object": "charge", "id": "evt_1", "type": "x", "livemode": False}) == 400
        assert door.gocardless(debit_events(1), secret="gc-wrong") == 498
        assert door.gocardless(debit_events(1), secret="gc-other") == 498
        assert door.send("/gocardless/acme", b"{}") == 498
        assert door.gocardless({"events": [{"id": "EV1"}]}) == 498
        assert door.sap([], secret="wrong") == 401
        assert door.send("/sap/acme", b"{}") == 401
        assert not door.heard
    assert rows(tmp_path) == []
    counted = tallies(tmp_path)
    assert (counted["SBODEMO", "stripe"][2], counted["SBODEMO", "gocardless"][2], counted["SBODEMO", "sap"][2]) == (9, 4, 2)
    assert counted["SBODEMO", "sap"][3] == "the X-B1-Webhook-Signature header is missing or unreadable"


def test_size_type_and_length_are_looked_at_before_the_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body too large, of another type, compressed, or cut short costs no digest (CVE-2026-119036)."""
    from mlc.systems.gocardless import signature as gocardless
    from mlc.systems.stripe import signature as stripe

    def never(*_: object) -> None:
        raise AssertionError("a digest was computed")

    with Door(tmp_path / "mlc.db") as door:
        body = json.dumps(stripe_event()).encode()
        good = {"stripe_signature": stripe_header(body, door.clock.now())}
        monkeypatch.setattr(stripe, "verify", never)
        monkeypatch.setattr(gocardless, "verify", never)
        large = b" " * (10 * 1024 * 1024)
        assert door.send("/stripe/acme", large, stripe_signature="t=1,v1=x") == 413
        assert door.send("/gocardless/acme", b" " * (MOST_BYTES + 1), webhook_signature=plain_header(b"")) == 413
        for kind in (
            "text/plain",
            "",
            "application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/jsonx",
        ):
            assert door.send("/stripe/acme", body, content_type=kind, **good) == 400
        assert door.send("/stripe/acme", body, content_encoding="gzip", **good) == 400
        assert door.send("/stripe/acme", body, stripe_signature="t=1," + "v1=x," * 2000) == 400
        told: list[str] = []
        for length in ("", "-1", "1e3", "٣", "9" * 13):
            environ = {
                "PATH_INFO": "/stripe/acme",
                "REQUEST_METHOD": "POST",
                "CONTENT_TYPE": "application/json",
                "CONTENT_LENGTH": length,
            }
            door.app(environ, lambda status, _headers: told.append(status[:3]))
        assert told == ["400", "400", "400", "400", "413"]
    assert rows(tmp_path) == []


def test_a_body_shorter_than_its_length_is_refused(tmp_path: Path) -> None:
    """What the connection cut off is not taken, even if a signature fits what came."""
    import io

    with Door(tmp_path / "mlc.db") as door:
        body = json.dumps(stripe_event()).encode()
        environ = {
            "PATH_INFO": "/stripe/acme", "REQUEST_METHOD": "POST", "CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body) + 1),
            "HTTP_STRIPE_SIGNATURE": stripe_header(body, door.clock.now()), "wsgi.input": io.BytesIO(body),
        }  # fmt: skip
        told: list[str] = []
        door.app(environ, lambda status, _headers: told.append(status))
        assert told == ["400 Bad Request"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/stripe/nobody", 404), ("POST", "/stripe", 404), ("POST", "/", 404), ("POST", "/stripe/acme/", 404),
        ("POST", "/STRIPE/acme", 404), ("POST", "/stripe/../stripe/acme", 404), ("GET", "/stripe/acme", 405), ("PUT", "/gocardless/acme", 405),
        ("DELETE", "/sap/acme", 405), ("GET", "/sap/acme", 405), ("GET", "/healthz", 200), ("HEAD", "/healthz", 200), ("POST", "/healthz", 405),
    ],
)  # fmt: skip
def test_paths_and_methods(tmp_path: Path, method: str, path: str, status: int) -> None:
    """Only the endpoints that exist are there, each for its own method."""
    import io

    told: list[tuple[str, dict[str, str]]] = []
    with Door(tmp_path / "mlc.db") as door:
        environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": io.BytesIO(b"")}
        door.app(environ, lambda line, headers: told.append((line, dict(headers))))
    assert told[0][0].startswith(str(status))
    assert ("Allow" in told[0][1]) == (status == 405)


def test_the_handshake_of_sap(tmp_path: Path) -> None:
    """The token comes back as the challenge; one that is none is refused and not echoed."""
    with Door(tmp_path / "mlc.db") as door:
        answer = door.client.get("/sap/acme", headers={"X-B1-Webhook-Token": "a1b2-C3_d4"})
        assert (answer.status_code, answer.json()) == (200, {"Challenge": "a1b2-C3_d4"})
        assert answer.headers["content-type"] == "application/json"
        for wrong in ("<script>", "a b", "x" * 600):
            answer = door.client.get("/sap/acme", headers={"X-B1-Webhook-Token": wrong})
            assert answer.status_code == 401
            assert wrong not in answer.text


def test_what_cannot_be_written_down_is_not_received(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Complaint 29: a full disk is answered 500, nothing is acknowledged, health says so, and it heals by itself."""

    def full(*_: object) -> list[int]:
        raise MlcError("the disk is full")

    with Door(tmp_path / "mlc.db") as door:
        with monkeypatch.context() as patch:
            patch.setattr(keeper_room, "put", full)
            assert door.stripe(stripe_event()) == 500
            assert door.client.get("/healthz").status_code == 503
        assert not door.heard
        assert door.stripe(stripe_event()) == 200
        assert door.client.get("/healthz").status_code == 200
    assert rows(tmp_path) == [("SBODEMO", "stripe", "evt_1", 1, True)]
    assert any("disk is full" in line for line in door.warned)


def test_one_delivery_that_cannot_be_stored_spares_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a whole commit fails because of one delivery, each is written by itself: only that one is answered 500."""
    real = keeper_room.put

    def choosy(database: Database, posts: list[Post], now: float) -> list[int]:
        if any(one.id == "evt_13" for post in posts for one in post.events):
            raise UnicodeEncodeError("utf-8", "x", 0, 1, "no")
        return real(database, posts, now)

    monkeypatch.setattr(keeper_room, "put", choosy)
    found: dict[int, int] = {}
    with Door(tmp_path / "mlc.db") as door:
        together = threading.Barrier(20)

        def deliver(number: int) -> None:
            together.wait()
            found[number] = door.stripe(stripe_event(number))

        threads = [threading.Thread(target=deliver, args=(number,)) for number in range(20)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert {number for number, status in found.items() if status != 200} == {13}
    assert len(rows(tmp_path)) == 19


def test_half_characters_and_deep_bodies(tmp_path: Path) -> None:
    """Half a character in a name is stored like any other; a body nested beyond reading is refused, not a defect."""
    with Door(tmp_path / "mlc.db") as door:
        odd = stripe_event(1, data={"object": {"id": "ch_\ud83d", "object": "charge", "name": "\ud83d"}})
        assert door.stripe(odd) == 200
        nested = b'{"a":' * 900 + b"1" + b"}" * 900
        deep = json.dumps(stripe_event(2)).encode().replace(b'"data"', b'"deep": ' + nested + b', "data"')
        assert door.stripe(deep) == 400
        assert door.gocardless({"events": [{**debit_events(3)["events"][0], "details": {"description": "\udc00"}}]}) == 200
    assert [row[2] for row in rows(tmp_path)] == ["evt_1", "EV3"]


def test_a_state_file_that_is_moved_away_takes_nothing_with_it(tmp_path: Path) -> None:
    """What is answered 200 is in the file that lies at the state's path: after a move or a removal a new one is begun."""
    with Door(tmp_path / "mlc.db") as door:
        assert door.stripe(stripe_event(1)) == 200
        (tmp_path / "mlc.db").rename(tmp_path / "old.db")
        for name in ("mlc.db-wal", "mlc.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        assert door.stripe(stripe_event(2)) == 200
        assert [row[2] for row in rows(tmp_path)] == ["evt_2"]


def test_a_state_file_that_is_moved_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit into a file that was moved away meanwhile is no receipt: the delivery is answered 500 and comes again."""
    real, moved = keeper_room.put, []

    def mover(database: Database, posts: list[Post], now: float) -> list[int]:
        fresh = real(database, posts, now)
        if not moved:
            moved.append((tmp_path / "mlc.db").rename(tmp_path / "old.db"))
        return fresh

    monkeypatch.setattr(keeper_room, "put", mover)
    with Door(tmp_path / "mlc.db") as door:
        assert [door.stripe(stripe_event()) for _ in range(2)] == [500, 200]
    assert [row[2] for row in rows(tmp_path)] == ["evt_1"]


def test_what_may_be_written_late_is_rung_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivery that is answered 500 because writing took long may be on disk later, and known when it comes again: it rings now."""

    def slow(*_: object) -> int:
        raise keeper_room.NotKeptError("writing down took too long", late=True)

    with Door(tmp_path / "mlc.db") as door:
        monkeypatch.setattr(keeper_room.Keeper, "keep", slow)
        assert door.stripe(stripe_event()) == 500
        assert [len(events) for _, events in door.heard] == [1]


def test_refusals_are_written_while_deliveries_flow(tmp_path: Path) -> None:
    """A turn that writes deliveries also writes what was refused, once a second has gone: no pause is waited for."""
    keeper = keeper_room.Keeper(tmp_path / "mlc.db", Door(tmp_path / "x.db").clock, lambda _text: None)
    keeper._open()
    keeper.count_refused("SBODEMO", "stripe", "the signature does not match")
    keeper._orders.put(keeper_room._Order(Post("SBODEMO", "stripe", ())))
    keeper._counted = -1e9
    assert keeper._turn()
    keeper._database.close()
    assert tallies(tmp_path)["SBODEMO", "stripe"][:3] == (1, 0, 1)


def test_health_comes_back_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk has room again, health says so without waiting for a delivery."""

    def full(*_: object) -> list[int]:
        raise MlcError("the disk is full")

    monkeypatch.setattr(keeper_room, "_COUNTED_EVERY", 0.02)
    with Door(tmp_path / "mlc.db") as door:
        with monkeypatch.context() as patch:
            patch.setattr(keeper_room, "put", full)
            patch.setattr(keeper_room, "prove_writable", full)
            assert door.stripe(stripe_event()) == 500
            assert door.client.get("/healthz").status_code == 503
        well = threading.Event()
        real = keeper_room.prove_writable
        monkeypatch.setattr(keeper_room, "prove_writable", lambda database: (real(database), well.set()))
        assert well.wait(10)
        door.keeper.stop()
        assert door.client.get("/healthz").status_code == 200


def test_a_defect_is_never_an_acknowledgement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong inside is answered 500 without a word of what it was."""
    with Door(tmp_path / "mlc.db") as door:
        monkeypatch.setattr(keeper_room.Keeper, "keep", lambda *_: 1 / 0)
        body = json.dumps(stripe_event()).encode()
        answer = door.client.post(
            "/stripe/acme",
            content=body,
            headers={"content-type": "application/json", "stripe-signature": stripe_header(body, door.clock.now())},
        )
        assert (answer.status_code, answer.json()) == (500, {"error": "not received; send it again"})


def test_the_same_delivery_five_times_at_once(tmp_path: Path) -> None:
    """Complaint 33: five deliveries of one event at the same moment are one event, rung for once."""
    with Door(tmp_path / "mlc.db") as door:
        statuses: list[int] = []
        together = threading.Barrier(5)

        def deliver() -> None:
            together.wait()
            statuses.append(door.stripe(stripe_event()))

        threads = [threading.Thread(target=deliver) for _ in range(5)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert statuses == [200] * 5
        assert len(door.heard) == 1
    assert rows(tmp_path) == [("SBODEMO", "stripe", "evt_1", 5, True)]


def test_events_nobody_needs_are_kept_and_wait_for_nobody(tmp_path: Path) -> None:
    """A type that no pass deals with is stored like any other, and is done with."""
    with Door(tmp_path / "mlc.db") as door:
        assert door.stripe(stripe_event(type_="invoice.updated")) == 200
        assert door.heard[0][1] == ()
    assert rows(tmp_path) == [("SBODEMO", "stripe", "evt_1", 1, False)]


def test_what_no_pass_of_a_tenant_deals_with_waits_for_nobody() -> None:
    """A tenant that only collects by GoCardless has nobody who would deal with invoices of SAP or money at Stripe."""
    text = b"tenants: {a: {start_date: 2026-10-01, sap: {url: 'http://127.0.0.1:1/b1s/v2', company_db: A, username: u,"
    text += b" webhook_secret: {env: S}}, gocardless: {bank_account: '1', fee_account: '2', webhook_secret: {env: G}}}}"
    settings = parse(text, Path("c.yaml"), {"HOME": "/nowhere"})
    resolver = Resolver(settings.secrets, {"S": "of-saps-webhooks", "G": "of-gocardless"}, tty=False)
    found, _ = endpoints_of(settings.tenants["a"], resolver)
    endpoint = next(one for one in found if one.system == "sap")
    assert {DOCUMENT, MONEY} <= endpoint.needless
    assert not {PAYOUT, DEBIT} & endpoint.needless


def test_what_our_own_requests_caused_calls_for_nothing(tmp_path: Path) -> None:
    """A customer's change that mlc made itself is kept like any other, and no pass is run for it at once."""
    with Door(tmp_path / "mlc.db") as door:
        for number, key in enumerate(("SBODEMO/customer/stripe/C1#1", "mlc-4711", "SBO_OTHER/x", None)):
            door.stripe(stripe_event(number, "customer.updated", request={"id": "req_1", "idempotency_key": key}))
        assert [bool(events) for _, events in door.heard] == [False, False, True, True]
    assert [row[4] for row in rows(tmp_path)] == [True] * 4


def test_refused_deliveries_cost_no_commit_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A flood of forged deliveries is counted in few commits."""
    commits: list[int] = []
    real = keeper_room.put_refused
    monkeypatch.setattr(keeper_room, "put_refused", lambda *words: (commits.append(1), real(*words)))
    with Door(tmp_path / "mlc.db") as door:
        for _ in range(200):
            assert door.stripe(stripe_event(), secret="whsec_wrong") == 400
    assert tallies(tmp_path)["SBODEMO", "stripe"][2] == 200
    assert len(commits) < 20


def test_the_inbox_is_of_one_company(tmp_path: Path) -> None:
    """One event id delivered for two companies is two events, and each company sees, counts and ticks off its own."""
    with Door(tmp_path / "mlc.db") as door:
        door.stripe(stripe_event())
        door.stripe(stripe_event(), secret="whsec_other", path="/stripe/other")
        database = Database.open(tmp_path / "mlc.db")
        ours, theirs = (Inbox(database, book, door.clock) for book in ("SBODEMO", "SBO_OTHER"))
        assert [len(one.find("evt_1")) for one in (ours, theirs)] == [1, 1]
        assert ours.dealt_with(("money",), theirs.newest(), "run") == 1
        assert (ours.counts()[0], theirs.counts()[0]) == (0, 1)
        assert [len(one.newest_rows(9, waiting=True)) for one in (ours, theirs)] == [0, 1]
        assert [one.received for one in ours.tallies()] == [1]
        assert (ours.named("money"), theirs.named("money")) == (set(), {"ch_1"})
        database.close()
