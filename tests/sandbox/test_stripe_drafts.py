"""Drafts of the simulated Stripe: lines, taxes, prices, due dates, numbers, digits."""

from __future__ import annotations

import pytest
from test_stripe_invoices import a_world, draft, lines
from test_stripe_world import DAY, START

from mlc.sandbox.stripe import StripeSwitches

TAX = {"amount": 1900, "taxable_amount": 10000, "tax_rate_data": {"display_name": "VAT", "inclusive": False, "percentage": 19}}


def test_taxes():
    """Exclusive taxes come on top, inclusive ones do not, and equal rates are added up."""
    _, call, customer = a_world()
    invoice = draft(call, customer)["id"]
    inner = {**TAX, "tax_rate_data": {**TAX["tax_rate_data"], "inclusive": True}}
    params = {
        "lines": [
            {"amount": 10000, "tax_amounts": [TAX]},
            {"amount": 10000, "tax_amounts": [TAX]},
            {"amount": 11900, "tax_amounts": [inner]},
        ]
    }
    body = call.post(f"invoices/{invoice}/add_lines", params)
    assert (body["subtotal"], body["total"], body["total_excluding_tax"]) == (31900, 35700, 30000)
    exclusive = next(one for one in body["total_taxes"] if one["tax_behavior"] == "exclusive")
    assert (exclusive["amount"], exclusive["taxable_amount"]) == (3800, 20000)
    rate = call.get(f"tax_rates/{exclusive['tax_rate_details']['tax_rate']}")
    assert (rate["display_name"], rate["percentage"]) == ("VAT", 19)
    error = call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 1, "tax_amounts": [TAX] * 11}]})
    assert error["param"] == "lines[0][tax_amounts]"
    for wrong in ("19.00001", "abc"):
        data = {**TAX["tax_rate_data"], "percentage": wrong}
        call.refused(
            f"invoices/{invoice}/add_lines", {"lines": [{"amount": 1, "tax_amounts": [{**TAX, "tax_rate_data": data}]}]}
        )
    assert (
        call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 1, "tax_rates": ["txr_x"]}]})["code"]
        == "resource_missing"
    )


def test_prices():
    """A line has either an amount or a price; a price is multiplied and rounded half up."""
    _, call, customer = a_world()
    invoice = draft(call, customer)["id"]

    def price(**data):
        return {"currency": "eur", "product_data": {"name": "Screw"}, **data}

    params = {
        "lines": [
            {"price_data": price(unit_amount_decimal="0.5"), "quantity": 25},
            {"price_data": price(unit_amount=7), "quantity": 3},
        ]
    }
    assert call.post(f"invoices/{invoice}/add_lines", params)["total"] == 13 + 21
    for wrong in (
        {"description": "free"},
        {"amount": 5, "price_data": price(unit_amount=5)},
        {"amount": 5, "quantity": 2},
        {"price_data": {**price(unit_amount=5), "currency": "usd"}},
        {"price_data": price()},
        {"pricing": {"price": "price_x"}},
        {"amount": 5, "period": {"start": START, "end": START - 1}},
    ):
        call.refused(f"invoices/{invoice}/add_lines", {"lines": [wrong]})
    assert call.get(f"invoices/{invoice}")["total"] == 34
    _, lax, customer = a_world(StripeSwitches(amount_with_quantity=True))
    invoice = draft(lax, customer)["id"]
    body = lax.post(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 5, "quantity": 2}]})
    assert (body["total"], body["lines"]["data"][0]["quantity"]) == (5, 2)


def test_ten_lines_embedded_and_250_in_all():
    """An invoice shows its first ten lines and pages the rest; the 251st line is refused and nothing is added."""
    _, call, customer = a_world()
    invoice = draft(call, customer)["id"]
    body = lines(call, invoice, *range(1, 251))
    assert [one["amount"] for one in body["lines"]["data"]] == list(range(1, 11))
    assert body["lines"]["has_more"] is True
    call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 1}]})
    call.refused("invoiceitems", {"invoice": invoice, "amount": 1})
    found, after = [], None
    while True:
        page = call.get(f"invoices/{invoice}/lines", {"limit": 100} | ({"starting_after": after} if after else {}))
        found += page["data"]
        if not page["has_more"]:
            break
        after = page["data"][-1]["id"]
    assert [one["amount"] for one in found] == list(range(1, 251))
    back = call.get(f"invoices/{invoice}/lines", {"limit": 3, "ending_before": found[5]["id"]})
    assert [one["amount"] for one in back["data"]] == [3, 4, 5]
    call.refused(f"invoices/{invoice}/lines", {"starting_after": "il_x"}, method="GET")


def test_lines_per_call():
    """Under the switch one call brings only so many lines, and a larger one adds none."""
    _, call, customer = a_world(StripeSwitches(lines_per_call=2))
    invoice = draft(call, customer)["id"]
    call.refused(f"invoices/{invoice}/add_lines", {"lines": [{"amount": 1}] * 3})
    assert lines(call, invoice, 1, 2)["total"] == 3


def test_lines_change_and_go_while_draft():
    """Lines are changed, deleted or set free while the invoice is a draft, and items wait for the next invoice."""
    service, call, customer = a_world()
    invoice = draft(call, customer)["id"]
    body = lines(call, invoice, 100, 200, 300)
    first, second, third = (one["id"] for one in body["lines"]["data"])
    assert call.post(f"invoices/{invoice}/lines/{first}", {"amount": 150, "description": "x"})["amount"] == 150
    assert call.post(f"invoices/{invoice}/update_lines", {"lines": [{"id": second, "amount": 250}]})["total"] == 700
    gone = {"lines": [{"id": third, "behavior": "delete"}, {"id": second, "behavior": "unassign"}]}
    assert call.post(f"invoices/{invoice}/remove_lines", gone)["total"] == 150
    waiting = call.get("invoiceitems", {"customer": customer, "pending": True})["data"]
    assert [one["amount"] for one in waiting] == [250]
    item = call.post("invoiceitems", {"customer": customer, "amount": 50, "currency": "eur"})
    assert call.post(f"invoiceitems/{item['id']}", {"amount": 60})["amount"] == 60
    assert draft(call, customer)["total"] == 0
    assert draft(call, customer, pending_invoice_items_behavior="include")["total"] == 310
    on_draft = call.post("invoiceitems", {"invoice": invoice, "amount": 5})
    assert call.get(f"invoices/{invoice}")["total"] == 155
    assert call("DELETE", f"/v1/invoiceitems/{on_draft['id']}")["deleted"] is True
    assert call.get(f"invoices/{invoice}")["total"] == 150
    call.refused(f"invoices/{invoice}/remove_lines", {"lines": [{"id": "il_x", "behavior": "delete"}]})
    service.account.finalize_invoice(invoice)
    for path, params in (
        ("add_lines", {"lines": [{"amount": 1}]}),
        ("update_lines", {"lines": [{"id": first, "amount": 1}]}),
        ("remove_lines", {"lines": [{"id": first, "behavior": "delete"}]}),
        (f"lines/{first}", {"amount": 1}),
        ("finalize", {}),
    ):
        assert call.refused(f"invoices/{invoice}/{path}", params)["code"] == "invoice_not_editable"
    call.refused("invoiceitems", {"invoice": invoice, "amount": 1})


def test_due_dates():
    """A sent invoice needs exactly one future due date; days count from finalizing."""
    service, call, customer = a_world()
    both = {"customer": customer, "collection_method": "send_invoice", "due_date": START + DAY, "days_until_due": 3}
    assert call.refused("invoices", both)["code"] == "parameters_exclusive"
    assert call.refused("invoices", {"customer": customer, "collection_method": "send_invoice"})["param"] == "days_until_due"
    call.refused("invoices", {**both, "days_until_due": 1, "due_date": START})
    call.refused("invoices", {"customer": customer, "collection_method": "send_invoice", "due_date": START - 1})
    call.refused("invoices", {"customer": customer, "days_until_due": 3})
    invoice = draft(call, customer, due_date=None, days_until_due=3)
    assert invoice["due_date"] == START + 3 * DAY
    lines(call, invoice["id"], 5000)
    service.clock.advance(DAY)
    assert call.post(f"invoices/{invoice['id']}/finalize")["due_date"] == START + 4 * DAY
    lax, other, customer = a_world(StripeSwitches(due_both=True, due_required=False))
    assert other.post("invoices", both | {"customer": customer})["due_date"] == START + DAY
    assert other.post("invoices", {"customer": customer, "collection_method": "send_invoice"})["due_date"] == START + 30 * DAY
    assert lax.account.all("invoice")


def test_numbers_are_unique():
    """A number is taken once per account, free again with its draft, and counted per customer where none is given."""
    service, call, customer = a_world()
    first = draft(call, customer, number="RE-1")["id"]
    params = {"customer": customer, "collection_method": "send_invoice", "days_until_due": 3, "number": "RE-1"}
    assert call.refused("invoices", params)["param"] == "number"
    call.post(f"invoices/{first}", {"number": "RE-2"})
    second = call.post("invoices", params)["id"]
    assert call("DELETE", f"/v1/invoices/{second}")["deleted"] is True
    call.post("invoices", params)
    numbers = [service.account.read(service.account.add_invoice(customer, 5000))["number"] for _ in range(2)]
    prefix = service.account.read(customer)["invoice_prefix"]
    assert numbers == [f"{prefix}-0001", f"{prefix}-0002"]


@pytest.mark.parametrize(
    ("currency", "amount", "fits"),
    [
        ("eur", 99_999_999, True),
        ("eur", 100_000_000, False),
        ("idr", 999_999_999_999, True),
        ("idr", 1_000_000_000_000, False),
        ("kwd", 1230, True),
        ("kwd", 1234, False),
        ("isk", 12300, True),
        ("isk", 12345, False),
        ("ugx", 12350, False),
        ("jpy", 123, True),
    ],
)
def test_digits(currency, amount, fits):
    """An amount has at most eight digits (IDR twelve) and ends as its currency demands."""
    _, call, customer = a_world()
    invoice = draft(call, customer, currency=currency)["id"]
    answer = call.send("POST", f"/v1/invoices/{invoice}/add_lines", {"lines": [{"amount": amount}]})
    assert (answer.status == 200) is fits


def test_digits_of_totals():
    """Under the switch lines may end in any digit, but the total may not; too large a total fails to finalize."""
    service, call, customer = a_world(StripeSwitches(line_digits=False))
    invoice = draft(call, customer, currency="kwd")["id"]
    lines(call, invoice, 1234)
    call.refused(f"invoices/{invoice}/finalize")
    assert call.get(f"invoices/{invoice}")["last_finalization_error"]["code"] == "invalid_charge_amount"
    assert service.account.events("invoice.finalization_failed")
    lines(call, invoice, 6)
    assert call.post(f"invoices/{invoice}/finalize")["total"] == 1240
    large = draft(call, customer)["id"]
    lines(call, large, 99_999_999, 1)
    assert call.refused(f"invoices/{large}/finalize")["code"] == "amount_too_large"


def test_draft_minimum_switch():
    """Under the switch a draft already shows that it is too small to be charged."""
    for shown, due in ((False, 40), (True, 0)):
        service, call, customer = a_world(StripeSwitches(draft_minimum=shown))
        invoice = service.account.add_invoice(customer, 40, finalize=False)
        assert call.get(f"invoices/{invoice}")["amount_due"] == due
