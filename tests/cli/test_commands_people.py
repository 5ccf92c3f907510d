"""What people decide and look at: replay and held; one word means one thing, and a decision is about nothing else."""

from __future__ import annotations

import datetime
from decimal import Decimal

import pytest
from desk import Desk

from mlc.sandbox.kit import Fault, Response

TODAY = datetime.date(2026, 11, 3)


def number(desk: Desk, entry: int) -> str:
    """Return an invoice's number as SAP shows it."""
    return str(desk.company.books.invoice(entry).doc_num)


# --- replay -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wish", ["nonsense", "evt_nonsense", "99999", "../x", "SBODEMO/push-invoice/stripe/77", "'; --"])
def test_replay_of_nonsense(desk: Desk, wish: str) -> None:
    """A replay of what nobody knows is exit 2 with one message that says so, and writes nothing."""
    desk.company.invoice()
    desk.mlc("run")
    before = desk.writes()
    said = desk.mlc("replay", wish)
    assert said.code == 2
    assert said.err.count("error:") == 1
    known = f"{wish} was never delivered here" if wish.startswith("evt_") else f"nothing is known of {wish}"
    assert known in said.err
    assert desk.writes() == before


@pytest.mark.parametrize("wish", ["%", "", "C_"])
def test_replay_takes_no_wildcard(desk: Desk, wish: str) -> None:
    """`replay` is about one thing: an empty word or a wildcard is exit 2 and does nothing anew."""
    desk.company.invoice()
    desk.mlc("run")
    before = desk.writes()
    assert desk.mlc("replay", wish, "--again").code == 2
    assert desk.writes() == before


@pytest.mark.parametrize("words", [("replay",), ("replay", "--again"), ("replay", "--failed", "--again")])
def test_replay_wants_something(desk: Desk, words: tuple[str, ...]) -> None:
    """`replay` without anything, and --again without one thing, are exit 2."""
    assert desk.mlc(*words).code == 2


def test_replay_of_a_finished_thing(desk: Desk) -> None:
    """A replay of what is done tells its receipt and does nothing."""
    entry = desk.company.invoice()
    desk.mlc("run")
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    before = desk.writes()
    said = desk.mlc("replay", payment)
    assert said.code == 0
    assert "is done: IncomingPayment 5001" in said.err
    assert desk.writes() == before


def test_replay_of_an_event_and_of_a_payment(desk: Desk) -> None:
    """A payment can be fetched by its own id and by the id of its event, once."""
    entry = desk.company.invoice()
    desk.mlc("run")
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    event = desk.company.account.events("payment_intent.succeeded")[0]["id"]
    assert desk.mlc("replay", event).code == 0
    assert set(desk.company.posted()) == {payment}
    assert desk.mlc("replay", payment).code == 0
    assert desk.mlc("run").code == 0
    desk.company.check()
    assert {key: len(found) for key, found in desk.company.posted().items()} == {payment: 1}


def test_replay_again_books_a_cancelled_receipt_anew(desk: Desk) -> None:
    """A receipt cancelled in SAP is held, and only --again books it a second time."""
    entry = desk.company.invoice()
    desk.mlc("run")
    payment = desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    desk.company.books.cancel_payment(1)
    assert desk.mlc("replay", payment).code == 0
    assert desk.company.posted() == {}
    assert desk.mlc("replay", payment, "--again").code == 0
    assert set(desk.company.posted()) == {payment}


def test_replay_again_of_a_number_with_two_meanings(desk: Desk) -> None:
    """A number that means an invoice and a receipt is refused with both names: --again never books money nobody meant."""
    entry = desk.company.invoice()
    desk.mlc("run")
    desk.company.account.pay(desk.company.pushed()[entry])
    desk.mlc("run")
    desk.company.books.cancel_payment(1)  # wrongly booked; it shall stay cancelled
    said = desk.mlc("replay", str(entry), "--again")  # meant: the invoice
    assert desk.company.posted() == {}
    assert said.code == 2


def test_replay_again_in_two_tenants(desk: Desk) -> None:
    """A number that two tenants know is refused without --tenant: every company counts from one."""
    other = desk.second()
    desk.company.invoice()
    other.invoice()
    desk.mlc("run")
    for company in (desk.company, other):
        company.account.void(company.account.all("invoice")[0]["id"])
    assert desk.mlc("run").code == 3
    assert desk.mlc("replay", "1", "--again").code == 2


def test_replay_held_does_not_push_after_trouble(desk: Desk) -> None:
    """`replay --held` never asks for money where the payments of the same replay could not be read."""
    entry = desk.company.invoice()
    desk.mlc("run")
    desk.company.account.void(desk.company.pushed()[entry])
    desk.unexplained()
    desk.mlc("run")
    wire = desk.ports.wires[2]
    wire.before = lambda request: _fail(request) if "payment_intents" in str(request.url) else None
    said = desk.mlc("replay", "--held")
    assert said.code == 5
    assert "push-invoices: skipped" in said.err


def _fail(request: object) -> None:
    import httpx

    raise httpx.ConnectError("refused")


# --- held -------------------------------------------------------------------------------------------------------------


def test_held_from_list_to_match(desk: Desk) -> None:
    """A held payment is listed, shown with what can be done, matched by invoice number, and gone from the list."""
    entry = desk.company.invoice(net="50.00")
    payment = desk.unexplained()
    assert "no_customer" in desk.mlc("held", "list").out
    shown = desk.mlc("held", "show", payment)
    assert (shown.code, shown.err) == (0, "")
    assert f"mlc held match {payment} DOCNUM" in shown.out
    assert desk.mlc("held", "match", payment, number(desk, entry)).code == 0
    assert desk.company.books.open_balance(entry) == Decimal("17.50")
    assert "nothing is held" in desk.mlc("held", "list").err
    assert desk.mlc("held", "show", payment).code == 2
    assert "decided" in desk.mlc("audit", "show", payment).out


@pytest.mark.parametrize(
    "words",
    [
        ("show", "nope"), ("show", "%"), ("dismiss", "nope", "--note", "x"), ("match", "pi_nope", "1001"),
        ("show", ""), ("dismiss", "", "--note", "x"),
        ("match", "", "1001"),
    ],
)  # fmt: skip
def test_held_of_nothing(desk: Desk, words: tuple[str, ...]) -> None:
    """A decision about what is not held is exit 2 with one message."""
    desk.company.invoice()
    desk.unexplained()
    said = desk.mlc("held", *words)
    assert said.code == 2
    assert said.err.count("error:") == 1


@pytest.mark.parametrize("wrong", ["4711", "99999999999999999999", "abc", "docentry:4711", "0"])
def test_match_with_an_invoice_that_is_not_there(desk: Desk, wrong: str) -> None:
    """A match with a number SAP does not know posts nothing, is not done, and keeps the item held."""
    desk.company.invoice()
    payment = desk.unexplained()
    said = desk.mlc("held", "match", payment, wrong)
    assert said.code in (2, 3)
    assert "error:" in said.err or "held" in said.err
    assert len(desk.mlc("held", "list", "--json").lines) == 1
    assert desk.company.posted() == {}


def test_match_as_a_dry_run(desk: Desk) -> None:
    """`held match -n` shows the posting that the same command without -n does, and writes nothing."""
    entry = desk.company.invoice(net="50.00")
    payment = desk.unexplained()
    said = desk.mlc("held", "match", payment, number(desk, entry), "-n")
    assert desk.company.posted() == {}
    assert "1 planned" in said.err


def test_dismiss(desk: Desk) -> None:
    """A dismissed item waits for nobody, keeps its note in the trail, is not held anew, and posts nothing."""
    payment = desk.unexplained()
    assert desk.mlc("held", "dismiss", payment).code == 2
    assert desk.mlc("held", "dismiss", payment, "--note", "a gift").code == 0
    assert desk.mlc("run").code == 0
    assert desk.mlc("held", "list", "--json").out == ""
    assert len(desk.mlc("held", "list", "--dismissed", "--json").lines) == 1
    assert "note: a gift" in desk.mlc("audit", "show", payment).out
    assert desk.company.posted() == {}


def test_dismiss_in_two_tenants(desk: Desk) -> None:
    """An invoice number that is held in two tenants is refused without --tenant, and both stay held."""
    other = desk.second()
    for company in (desk.company, other):
        company.books.add_invoice("C1", [("x", Decimal(1), Decimal("0.10"), Decimal(19))], doc_date=TODAY, due_date=TODAY)
    desk.mlc("run")
    assert len(desk.mlc("held", "list", "--json").lines) == 2
    assert desk.mlc("held", "dismiss", "1001", "--note", "too small").code == 2
    assert len(desk.mlc("held", "list", "--json").lines) == 2


def test_a_held_customer_is_looked_at_again_by_its_card_code(desk: Desk) -> None:
    """`mlc replay C1` reads both sides of a held customer again and tries what SAP refused once more, now."""
    company = desk.company
    company.invoice()
    assert desk.mlc("run").code == 0
    (customer,) = company.account.all("customer")
    company.account.update_customer(customer["id"], {"name": "N" * 101})
    assert desk.mlc("sync-customers").code == 3
    shown = desk.mlc("held", "show", "C1")
    assert "mlc replay C1" in shown.out
    company.account.update_customer(customer["id"], {"name": "New name"})
    planned = desk.mlc("replay", "C1", "-n")
    assert (planned.code, company.books.partners["C1"].name) == (0, "Müller & Söhne")
    assert desk.mlc("replay", "C1").code == 0
    assert (company.books.partners["C1"].name, company.held()) == ("New name", {})
    no = Response.of_json(400, {"error": {"code": "-5002", "message": "no"}})
    company.sap.faults.append(Fault("answer", method="PATCH", times=1, response=no))
    company.account.update_customer(customer["id"], {"name": "Refused"})
    assert desk.mlc("sync-customers").code == 3
    assert desk.mlc("sync-customers").code == 0  # refused once: it waits for somebody to clear the cause
    assert company.books.partners["C1"].name == "New name"
    assert desk.mlc("replay", "--failed").code == 0
    assert company.books.partners["C1"].name == "Refused"
