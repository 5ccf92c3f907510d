"""Customers both ways with Stripe: fields merge against what was last agreed, and nothing is lost, cut or echoed in silence."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from oracle import WRITES, Oracle
from steps import reasons

from harness import TODAY, Company
from mlc.core.keys import digest
from mlc.sandbox.kit import Fault, Request, Response
from mlc.sandbox.sap import SapSwitches

ADDRESS = {"line1": "Ring 1", "city": "Köln", "postal_code": "50667", "country": "DE"}
SIDES = {"name": "CardName", "email": "EmailAddress", "phone": "Phone1", "line1": "Address", "city": "City", "postal_code": "ZipCode",
         "country": "Country"}  # fmt: skip


def settled(folder: Path, stripe_config: str = "", **more: Any) -> tuple[Company, str]:
    """A company whose one partner, with an address, is a customer at Stripe; nothing is left to do."""
    company = Company(folder, stripe_config=stripe_config, **more)
    company.partner()
    company.books.change_partner("C1", Phone1="030 1", Address="Ring 1", City="Köln", ZipCode="50667", Country="DE")
    company.invoice()
    company.run()
    company.run()
    (customer,) = company.account.all("customer")
    company.clock.pass_time(60)
    return company, customer["id"]


def at_stripe(company: Company, customer: str) -> dict[str, str]:
    """The contact data that Stripe holds."""
    one = company.account.read(customer)
    address = one["address"] or {}
    flat = {"name": one["name"], "email": one["email"], "phone": one["phone"], **{name: address.get(name) for name in ADDRESS}}
    return {name: value or "" for name, value in flat.items()}


def in_sap(company: Company, card: str = "C1") -> dict[str, str]:
    """The contact data that SAP holds."""
    partner = company.books.partners[card]
    return {name: (partner.name if field == "CardName" else partner.fields.get(field)) or "" for name, field in SIDES.items()}


def change(company: Company, customer: str, **fields: Any) -> None:
    """Change a customer as somebody in the Dashboard would."""
    company.account.update_customer(customer, fields)


def quiet(company: Company) -> None:
    """Two more runs write nothing: nobody takes an own write for news."""
    marks = len(company.sap.log), len(company.stripe.log)
    company.run()
    company.run()
    wrote = [
        (system, one) for system, mark in zip(("sap", "stripe"), marks, strict=True)
        for one in company.requests(system, mark) if one[0] in WRITES and "Service_" not in one[1]
    ]  # fmt: skip
    assert wrote == []


def trail(company: Company) -> str:
    """Everything that was noted in the audit trail."""
    opened = company.open()
    try:
        return "\n".join(str(row.data) for row in opened.journal.audit.rows(book="SBODEMO") if row.what == "noted")
    finally:
        opened.close()


# --- the merge ---------------------------------------------------------------------------------------------------------


def test_what_changed_on_one_side_reaches_the_other(tmp_path: Path) -> None:
    """Different fields changed on both sides between two runs are merged, each once, and nothing echoes."""
    company, customer = settled(tmp_path)
    change(company, customer, phone="0221 9", address={**ADDRESS, "line1": "Weg 2", "line2": "c/o Kurz", "state": "NRW"})
    company.books.change_partner("C1", CardName="Müller AG", ZipCode="50668")
    company.run()
    wanted = {"name": "Müller AG", "email": "c1@example.com", "phone": "0221 9", "line1": "Weg 2, c/o Kurz", "city": "Köln",
              "postal_code": "50668", "country": "DE"}  # fmt: skip
    assert in_sap(company) == at_stripe(company, customer) == wanted
    assert company.account.read(customer)["address"]["state"] == "NRW"
    assert (company.held(), trail(company).count("differs")) == ({}, 0)
    quiet(company)


@pytest.mark.parametrize(("owner", "winner"), [("merge", "SAP"), ("sap", "SAP"), ("stripe", "Stripe")])
def test_who_has_the_say_wins_a_conflict(tmp_path: Path, owner: str, winner: str) -> None:
    """A field changed on both sides is its owner's, SAP's by default; both values are kept in the audit trail."""
    company, customer = settled(tmp_path, f"customers: {{owner: {{email: {owner}}}}}")
    change(company, customer, email="stripe@example.com")
    company.books.change_partner("C1", EmailAddress="sap@example.com")
    company.run()
    won = "sap@example.com" if winner == "SAP" else "stripe@example.com"
    assert in_sap(company)["email"] == at_stripe(company, customer)["email"] == won
    (told,) = [line for line in trail(company).splitlines() if "differs" in line]
    assert "sap@example.com" in told
    assert "stripe@example.com" in told
    assert f"{winner}'s is taken" in told
    quiet(company)


def test_what_nobody_agreed_on_is_saps(tmp_path: Path) -> None:
    """With the state lost, and with an owner sap, what differs at Stripe gives way and is recorded; an empty value empties nothing."""
    company, customer = settled(tmp_path, "customers: {owner: {city: sap}}")
    change(company, customer, phone="", address={**ADDRESS, "city": "Bonn"})
    company.run()
    assert (in_sap(company)["phone"], in_sap(company)["city"]) == ("030 1", "Köln")
    assert at_stripe(company, customer) == in_sap(company)
    change(company, customer, name="Somebody else")
    company.forget()
    company.run()
    assert at_stripe(company, customer) == in_sap(company)
    assert in_sap(company)["name"] == "Müller & Söhne"
    assert "first run" in trail(company)
    assert "Somebody else" in trail(company)
    quiet(company)


def test_what_does_not_fit_is_held_and_never_cut(tmp_path: Path) -> None:
    """A name longer than SAP's field is held, other fields go their way, and the item goes once somebody shortens it."""
    company, customer = settled(tmp_path)
    change(company, customer, name="N" * 101, phone="7")
    company.books.change_partner("C1", City="Bonn")
    company.run()
    assert company.held() == {"field/stripe/C1": "field_not_taken"}
    sap = in_sap(company)
    assert (sap["name"], sap["phone"], at_stripe(company, customer)["city"]) == ("Müller & Söhne", "7", "Bonn")
    company.run()
    change(company, customer, name="N" * 100)
    company.run()
    assert (company.held(), in_sap(company)["name"]) == ({}, "N" * 100)
    quiet(company)


def test_what_sap_does_not_take_is_held(tmp_path: Path) -> None:
    """Where SAP accepts a change and shows the old value all the same, a person is told, once, and not asked again and again."""
    company, customer = settled(tmp_path)
    inner = company.sap.handle

    def deaf(request: Request) -> Response:
        return Response(204) if request.method == "PATCH" else inner(request)

    company.sap.handle = deaf  # type: ignore[method-assign]
    change(company, customer, address={**ADDRESS, "line1": "Weg 2"})
    company.run()
    assert company.held() == {"update-partner/stripe/C1": "field_not_taken"}
    mark = len(company.sap.log)
    company.run()
    assert [one for one in company.requests("sap", mark) if one[0] == "PATCH"] == []
    company.sap.handle = inner  # type: ignore[method-assign]
    company.books.change_partner("C1", Address="Weg 2")
    company.run()
    assert company.held() == {}
    quiet(company)


@pytest.mark.parametrize("kind", ["lost", "late", "lost_html"])
def test_a_change_in_doubt_is_looked_up(tmp_path: Path, kind: str) -> None:
    """A PATCH without an answer is looked up by reading the partner; in the end both sides agree."""
    company, customer = settled(tmp_path)
    change(company, customer, phone="0221 9")
    fault = Fault(kind, method="PATCH", path="BusinessPartners", times=1, **({"delay": 10} if kind == "late" else {}))
    company.sap.faults.append(fault)
    company.run()
    company.clock.pass_time(300)
    company.run()
    assert in_sap(company) == at_stripe(company, customer)
    assert in_sap(company)["phone"] == "0221 9"
    quiet(company)


def test_events_that_are_lost_or_too_old_lose_nothing(tmp_path: Path) -> None:
    """A change whose event was lost is found within a day; after a month without a run all customers are listed, and that is said."""
    company, customer = settled(tmp_path)
    change(company, customer, phone="1")
    company.account.drop_events("customer.updated")
    company.run()
    assert in_sap(company)["phone"] == "030 1"
    company.clock.pass_time(86_400)
    company.run()
    assert in_sap(company)["phone"] == "1"
    change(company, customer, phone="2")
    company.clock.pass_time(40 * 86_400)
    company.run()
    assert in_sap(company)["phone"] == "2"
    assert "Stripe keeps 30" in trail(company)
    change(company, customer, phone="3")
    company.account.duplicate_events(3)
    assert any(one.state == "planned" for one in company.run("sync-customers", dry_run=True) and company.items)
    assert in_sap(company)["phone"] == "2"
    company.run()
    assert in_sap(company)["phone"] == "3"
    quiet(company)


# --- customers that lost their partner, and the other way round ----------------------------------------------------------


def test_a_deleted_customer_is_never_pushed_to(tmp_path: Path) -> None:
    """Open invoices of a deleted customer are held, the next invoice goes to a new customer, and what is settled heals."""
    company, customer = settled(tmp_path)
    (first,) = company.pushed().values()
    company.account.delete_customer(customer)
    company.run()
    assert company.held() == {f"gone-customer/stripe/{customer}": "gone_from_stripe"}
    entry = company.invoice(net="50.00")
    company.run("push-invoices")  # nobody looked at Stripe's customers since
    company.run()
    (other,) = company.account.all("customer")
    assert company.account.read(company.pushed()[entry])["customer"] == other["id"] != customer
    assert other["metadata"]["sap_card_code"] == "C1"
    company.account.void(first)
    company.run()
    company.run()
    assert set(reasons(company).values()) == {"voided_at_stripe"}
    quiet(company)


def test_a_push_that_meets_a_deleted_customer_heals(tmp_path: Path) -> None:
    """A customer deleted between two passes, its event lost: the invoice is held, and pushed to a new customer by the next run."""
    company, customer = settled(tmp_path)
    for one in company.pushed().values():
        company.account.pay(one)
    company.run()
    entry = company.invoice(net="50.00")
    company.account.delete_customer(customer)
    company.account.drop_events("customer.deleted")
    company.run("push-invoices")
    assert reasons(company) == {str(entry): "gone_from_stripe"}
    company.run()
    assert company.held() == {}
    assert company.account.read(company.pushed()[entry])["amount_due"] == 5950
    quiet(company)


def test_two_customers_of_one_partner_are_held_until_one_is_left(tmp_path: Path) -> None:
    """Two customers that name one partner are a conflict with both as candidates; whichever is left is the one."""
    company, customer = settled(tmp_path)
    twin = company.account.add_customer("Twin", metadata=company.account.read(customer)["metadata"])
    for _ in range(3):
        company.run()
        company.books.change_partner("C1", City="Bonn")
        assert company.held() == {"customer/stripe/C1": "conflict"}
        assert company.run("sync-customers").counts["held"] == 1
    opened = company.open()
    (held,) = opened.journal.held.all()
    opened.close()
    assert set(held.candidates) == {customer, twin}
    for one in company.pushed().values():
        company.account.pay(one)
    company.account.delete_customer(customer)
    company.run()
    company.run()
    entry = company.invoice(net="50.00")
    company.run()
    assert company.held() == {}
    assert company.account.read(company.pushed()[entry])["customer"] == twin
    assert at_stripe(company, twin) == in_sap(company)
    quiet(company)


def test_a_customer_renamed_by_hand_gets_nothing(tmp_path: Path) -> None:
    """Where somebody changed the CardCode in the metadata nothing is written or pushed to it until it is right again."""
    company, customer = settled(tmp_path)
    company.partner("C2", "Other")
    change(company, customer, metadata={"sap_card_code": "C9"}, name="X")
    entry = company.invoice(net="50.00")
    company.run()
    assert company.held() == {"customer/stripe/C1": "conflict", f"push-invoice/stripe/{entry}": "no_customer"}
    assert in_sap(company)["name"] == "Müller & Söhne"
    change(company, customer, metadata={"sap_card_code": "C1"})
    company.run()
    assert company.held() == {}
    assert entry in company.pushed()
    assert in_sap(company)["name"] == "X"
    quiet(company)


def test_a_partner_that_sap_no_longer_has_is_held(tmp_path: Path) -> None:
    """A partner removed or renamed in SAP while a customer is linked to it is held, and heals when it is back."""
    company = Company(tmp_path)
    company.partner("C7", "Gone")
    customer = company.account.add_customer("Gone", metadata={"sap_company": "SBODEMO", "sap_card_code": "C7", "mlc_key": "k"})
    company.run()
    partner = company.books.partners.pop("C7")
    change(company, customer, phone="5")
    company.run()
    assert company.held() == {"customer/stripe/C7": "gone_from_sap"}
    company.books.partners["C7"] = partner
    company.run()
    assert company.held() == {}
    assert in_sap(company, "C7")["phone"] == "5"
    company.books.partners["C8"] = company.books.partners.pop("C7")
    company.books.partners["C8"].card_code = "C8"
    company.clock.pass_time(86_400)
    company.run()
    assert company.held() == {"customer/stripe/C7": "gone_from_sap"}
    change(company, customer, metadata={"sap_card_code": "C8"}, phone="6")
    company.run()
    company.clock.pass_time(86_400)
    company.run()
    entry = company.invoice("C8")
    company.run()
    assert company.held() == {}
    assert company.account.read(company.pushed()[entry])["customer"] == customer
    assert at_stripe(company, customer) == in_sap(company, "C8")
    quiet(company)


# --- what a customer owes ------------------------------------------------------------------------------------------------


def figures(company: Company, customer: str) -> tuple[str | None, ...]:
    """The figures in a customer's metadata."""
    data = company.account.read(customer)["metadata"]
    return tuple(data.get(name) for name in ("sap_open_balance", "sap_overdue", "sap_currency", "sap_on_hold"))


def test_what_a_customer_owes_stands_in_its_metadata(tmp_path: Path) -> None:
    """Balance, overdue and hold follow SAP, are written only when they change, and go to zero when everything is paid."""
    company, customer = settled(tmp_path)
    assert figures(company, customer) == ("119.00", "0.00", "EUR", "false")
    late = company.invoice(
        net="50.00", doc_date=TODAY - datetime.timedelta(days=20), due_date=TODAY - datetime.timedelta(days=1)
    )
    company.books.change_partner("C1", Frozen="tYES")
    company.run("sync-customers")
    assert figures(company, customer) == ("178.50", "59.50", "EUR", "true")
    quiet_before = len(company.stripe.log)
    company.run("sync-customers")
    assert [one for one in company.requests("stripe", quiet_before) if one[0] != "GET"] == []
    company.books.change_partner("C1", Frozen="tNO")
    Oracle(company).receipt(late, Decimal("59.50"))
    company.clock.pass_time(20 * 86_400)  # the first one is overdue by now
    company.run("sync-customers")
    assert figures(company, customer) == ("119.00", "119.00", "EUR", "false")
    for one in company.pushed().values():
        company.account.pay(one)
    company.run()
    assert figures(company, customer) == ("0.00", "0.00", "EUR", "false")
    due = company.invoice(
        net="10.00", doc_date=company.books.today() - datetime.timedelta(days=9), due_date=company.books.today()
    )
    company.books.add_receipt("C1", Decimal("11.90"), {}, date=company.books.today())  # on account, and the invoice stays open
    company.clock.pass_time(2 * 86_400)
    company.run()
    assert company.books.partner_balance("C1") == 0
    assert figures(company, customer) == ("0.00", "11.90", "EUR", "false")
    company.books.cancel_invoice(due)
    company.run()
    assert figures(company, customer) == ("-11.90", "0.00", "EUR", "false")
    change(company, customer, metadata={"sap_open_balance": "7.00", "theirs": "kept"})
    company.run()
    assert figures(company, customer)[0] == "-11.90"
    assert company.account.read(customer)["metadata"]["theirs"] == "kept"
    quiet(company)


def test_subscriptions_of_customers_on_hold_pause(tmp_path: Path) -> None:
    """On hold every subscription keeps its invoices as drafts; off hold only those go on that mlc has paused."""
    company, customer = settled(
        tmp_path,
        "customers: {pause_subscriptions: true, hold_field: U_Hold}",
        sap={"switches": SapSwitches(user_fields=frozenset({"OCRD.U_Hold"}))},
    )
    account = company.account
    plain, by_hand, freed = (account.add_subscription(customer) for _ in range(3))
    account.pause_by_hand(by_hand, "void")
    company.run()
    assert [account.read(one)["pause_collection"] for one in (plain, freed)] == [None, None]
    company.books.change_partner("C1", U_Hold="Y")
    company.run()
    behaviors = [account.read(one)["pause_collection"]["behavior"] for one in (plain, by_hand, freed)]
    assert behaviors == ["keep_as_draft", "void", "keep_as_draft"]
    account.pause_by_hand(freed, None)
    later = account.add_subscription(customer)
    company.run()
    assert account.read(later)["pause_collection"]["behavior"] == "keep_as_draft"
    assert account.read(freed)["pause_collection"] is None
    quiet(company)
    company.books.change_partner("C1", U_Hold="N")
    company.run()
    assert [account.read(one)["pause_collection"] is None for one in (plain, by_hand, freed, later)] == [
        True,
        False,
        True,
        True,
    ]
    assert all("mlc_paused" not in account.read(one)["metadata"] for one in (plain, by_hand, freed, later))
    quiet(company)


# --- new in SAP ----------------------------------------------------------------------------------------------------------


def test_a_customer_of_nobody_becomes_a_partner_only_where_configured(tmp_path: Path) -> None:
    """A new Stripe customer becomes one partner under a code of its own, also with answers lost; without the setting none does."""
    off = Company(tmp_path / "off" if (tmp_path / "off").mkdir() is None else tmp_path)
    off.account.add_customer("Neu GmbH", "neu@example.com")
    off.run()
    assert off.books.partners == {}
    company = Company(tmp_path, stripe_config="customers: {create_in_sap: true, card_code_prefix: WEB, group: 103}")
    company.partner()
    account = company.account
    customer = account.add_customer("Neu GmbH", "neu@example.com", address=ADDRESS)
    account.add_customer("Known", "C1@example.com")
    account.add_customer("No mail")
    twins = [account.add_customer(f"Twin {number}", "twin@example.com") for number in (1, 2)]
    company.sap.faults.append(Fault("lost", method="POST", path="BusinessPartners", times=1))
    company.run()
    company.clock.pass_time(300)
    company.run()
    code = "WEB" + digest(customer)[:12]
    assert set(company.books.partners) == {"C1", code}
    assert in_sap(company, code) == {"name": "Neu GmbH", "email": "neu@example.com", "phone": "", **ADDRESS}
    assert company.books.partners[code].fields["GroupCode"] == 103
    assert account.read(customer)["metadata"]["sap_card_code"] == code
    assert set(company.held().values()) == {"conflict"}
    company.forget()
    company.run()
    company.run()
    assert set(company.books.partners) == {"C1", code}
    account.delete_customer(twins[0])
    entry = company.invoice(code)
    company.run()
    assert account.read(company.pushed()[entry])["customer"] == customer
    assert len(company.books.partners) == 3
    assert company.held() == {}
    quiet(company)
