"""The organisation's verbs: the worked payouts to the penny, the ways money goes back, FX, bounces, partners, plans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlc.sandbox.gocardless import GoCardlessService, GoCardlessSwitches, Organisation, Refusal, sign
from mlc.sandbox.kit import Clock, Request, Response

START = 1_790_000_000.0
DAY = 86_400


def world(**switches: Any) -> tuple[GoCardlessService, Organisation, str]:
    """A service on a standing clock, its organisation, and an active Bacs mandate of one customer."""
    service = GoCardlessService(Clock(START), switches=GoCardlessSwitches(**switches))
    made = service.organisation
    return service, made, made.add_mandate(made.add_customer("Hamilton Ltd"))


def call(service: GoCardlessService, method: str, path: str, body: Any = None, **headers: str) -> Response:
    """Send one request as a client would; header names with underscores, None takes a header away."""
    given = {
        "authorization": "Bearer sandbox_mlc",
        "gocardless-version": "2015-07-06",
        "content-type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    path, _, query = path.partition("?")
    pairs = tuple(tuple(pair.split("=", 1)) for pair in query.split("&")) if query else ()
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return service.serve(Request(method, path, pairs, {key: value for key, value in given.items() if value}, raw))  # type: ignore[arg-type]


def got(service: GoCardlessService, path: str) -> Any:
    """Read a path that must be there."""
    answer = call(service, "GET", path)
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


def tuples(made: Organisation, payout: str) -> list[tuple[str, str, str | None]]:
    """The items of a payout as (type, amount, tax)."""
    return [(one["type"], one["amount"], one["taxes"][0]["amount"] if one["taxes"] else None) for one in made.items(payout)]


def figures(made: Organisation, payout: str) -> tuple[int, int]:
    """Amount and deducted fees of a payout, after the books are proven."""
    made.check()
    return made.read(payout)["amount"], made.read(payout)["deducted_fees"]


def names(made: Organisation, *, of: str | None = None) -> list[str]:
    """The names of all events, or of those about one record."""
    found = [one for one in made.events() if of is None or of in one["links"].values()]
    return [f"{one['resource_type']}/{one['action']}" for one in found]


def test_three_payments_with_fees_and_tax():
    """E1: three payments come as 692.32 with 7.68 of fees, the tax of each fee beside it."""
    _, made, mandate = world()
    payments = [made.collect(mandate, amount) for amount in (50000, 12000, 8000)]
    payout = made.pay(*payments)
    assert figures(made, payout) == (69232, 768)
    assert tuples(made, payout) == [
        ("payment_paid_out", "50000.0", None),
        ("gocardless_fee", "-480.0", "80.0"),
        ("payment_paid_out", "12000.0", None),
        ("gocardless_fee", "-168.0", "28.0"),
        ("payment_paid_out", "8000.0", None),
        ("gocardless_fee", "-120.0", "20.0"),
    ]
    assert made.read(payments[0])["links"]["payout"] == payout
    assert made.read(payout)["arrival_date"] == made.today(1)
    assert names(made, of=payout) == ["payments/paid_out"] * 3 + ["payouts/paid"]


def test_refund_inside_a_payout():
    """E2: a refund of an earlier payment is taken out of the next payout; its money comes back when it bounces."""
    _, made, mandate = world()
    earlier = made.collect(mandate, 15000)
    made.pay(earlier)
    refund = made.add_refund(earlier, 5000, total_amount_confirmation=5000)
    payments = [made.collect(mandate, amount) for amount in (30000, 20000)]
    payout = made.pay(*payments)
    assert figures(made, payout) == (44352, 648)
    assert ("payment_refunded", "-5000.0", None) in tuples(made, payout)
    assert "refunds/refund_settled" in names(made, of=refund)
    made.refund_returned(refund)
    assert made.read(refund)["status"] == "funds_returned"
    back = made.make_payout("GBP")
    assert tuples(made, back) == [("refund_funds_returned", "5000.0", None)]
    expected = ["created", "refund_settled", "paid", "failed", "funds_returned"]
    assert names(made, of=refund) == [f"refunds/{one}" for one in expected]


def test_chargeback_after_payout():
    """E3: a chargeback is debited with a surcharge, and the fee of the payment is given back."""
    _, made, mandate = world()
    payment = made.collect(mandate, 30000)
    made.pay(payment)
    made.charge_back(payment)
    payout = made.pay(made.collect(mandate, 40000))
    assert figures(made, payout) == (9304, 696)
    assert sorted(tuples(made, payout)) == [
        ("gocardless_fee", "-480.0", "80.0"),
        ("gocardless_fee", "384.0", "64.0"),
        ("payment_charged_back", "-30000.0", None),
        ("payment_paid_out", "40000.0", None),
        ("surcharge_fee", "-600.0", "100.0"),
    ]
    actions = names(made, of=payment)
    assert actions[-3:] == ["payments/charged_back", "payments/chargeback_settled", "payments/surcharge_fee_debited"]


def test_fractional_pennies():
    """Two fees of 36.1 pence are summed before they are rounded."""
    _, made, mandate = world()
    payout = made.pay(made.collect(mandate, 1010), made.collect(mandate, 1010))
    assert figures(made, payout) == (1948, 72)
    assert tuples(made, payout)[1] == ("gocardless_fee", "-36.1", "6.0")


@pytest.mark.parametrize(("half", "amount"), [("up", 971), ("even", 970), ("down", 970)])
def test_an_exact_half_is_rounded_as_the_switch_says(half, amount):
    """A sum of 970.5 becomes 971 or 970, and the deducted fees follow it."""
    _, made, mandate = world(half=half, vat_percent=0, fee_permille=0, fee_flat=0, surcharge=0)
    made.collect(mandate, 1000)
    made.waiting["CR0001", "GBP", "merchant"].append(type(made.waiting["CR0001", "GBP", "merchant"][0])("gocardless_fee", -295))
    payout = made.make_payout("GBP")
    assert figures(made, payout) == (amount, 1000 - amount)


def test_collected_and_failed_in_one_payout():
    """E6: credit and debit of a payment that fails before its payout stand in the same payout and cancel out."""
    _, made, mandate = world()
    failed = made.payment_late_failure(made.add_payment(mandate, 7000))
    payout = made.pay(made.collect(mandate, 9000))
    rows = [one["amount"] for one in made.items(payout) if one["links"] == {"payment": failed}]
    assert sum(float(one) for one in rows) == -600
    assert made.read(failed)["status"] == "failed"
    assert "payments/paid_out" not in names(made, of=failed)
    assert "payments/late_failure_settled" in names(made, of=failed)
    figures(made, payout)


def test_the_same_payment_in_three_payouts():
    """A payment is paid out, fails late, and is paid out again under its id."""
    _, made, mandate = world()
    payment = made.collect(mandate, 6000, retry_if_possible=True)
    first = made.pay(payment)
    made.late_failure(payment)
    assert made.events("payments/failed")[-1]["details"]["will_attempt_retry"] is True
    second = made.pay(made.collect(mandate, 9000))
    made.retry_payment(payment, by_itself=True)
    assert "payout" not in made.read(payment)["links"]
    third = made.pay(payment)
    assert len({first, second, third}) == 3
    assert made.read(payment)["links"]["payout"] == third
    made.check()


def test_a_retry_is_possible_three_times():
    """The fourth retry of a payment is refused, and so is one of a payment that has not failed."""
    _, made, mandate = world()
    payment = made.add_payment(mandate, 500)
    for _ in range(3):
        made.payment_failed(payment)
        made.retry_payment(payment)
    made.payment_failed(payment)
    with pytest.raises(Refusal, match="too often"):
        made.retry_payment(payment)
    with pytest.raises(Refusal, match="confirmed"):
        made.retry_payment(made.collect(mandate, 500))


@pytest.mark.parametrize("kind", ["payment_paid_out", "payment_charged_back"])
def test_a_cancelled_chargeback_returns(kind):
    """The money and the surcharge come back with the next payout, under the item type the switch names."""
    _, made, mandate = world(chargeback_cancelled_item=kind)
    payment = made.payment_charged_back(made.add_payment(mandate, 30000))
    made.pay(made.collect(mandate, 90000))
    made.cancel_chargeback(payment)
    payout = made.make_payout("GBP")
    assert sorted(tuples(made, payout)) == sorted(
        [(kind, "30000.0", None), ("gocardless_fee", "-384.0", "64.0"), ("surcharge_fee", "600.0", "100.0")]
    )
    assert made.read(payment)["status"] == "paid_out"
    assert names(made, of=payment)[-2:] == ["payments/chargeback_cancelled", "payments/surcharge_fee_credited"]
    made.check()


def test_a_negative_balance_has_no_payout():
    """While more went back than came in there is no payout, and payments stay confirmed."""
    _, made, mandate = world()
    made.payment_charged_back(made.add_payment(mandate, 30000))
    payment = made.collect(mandate, 10000)
    assert made.make_payout("GBP") is None
    assert made.read(payment)["status"] == "confirmed"
    with pytest.raises(Refusal, match="not positive"):
        made.pay(made.add_payment(mandate, 100))
    made.collect(mandate, 30000)
    assert made.read(made.make_payout("GBP"))["amount"] > 0
    made.check()


def test_fees_invoiced_separately():
    """Without deducted fees the payout is the gross sum."""
    _, made, mandate = world(fees_deducted=False)
    payout = made.pay(made.collect(mandate, 5000))
    assert figures(made, payout) == (5000, 0)
    assert made.read(payout)["tax_currency"] is None


def test_app_fees_and_partner_payouts():
    """A partner's fee is taken from the merchant, given back on a chargeback, and paid to the partner apart."""
    _, made, mandate = world()
    payment = made.collect(mandate, 10000, app_fee=250)
    payout = made.pay(payment)
    assert figures(made, payout) == (10000 - 144 - 250, 394)
    assert ("app_fee", "-250.0", None) in tuples(made, payout)
    made.share_revenue(30)
    partner = made.pay_payout(made.make_payout("GBP", partner=True))
    assert made.read(partner)["payout_type"] == "partner"
    assert figures(made, partner) == (280, 0)
    assert tuples(made, partner) == [("app_fee", "250.0", None), ("revenue_share", "30.0", None)]
    made.charge_back(payment)
    later = made.pay(made.collect(mandate, 20000))
    assert ("app_fee", "250.0", None) in tuples(made, later)
    made.check()


def euro(**switches: Any) -> tuple[GoCardlessService, Organisation, str]:
    """A world whose euros are paid out in pounds, and a SEPA mandate."""
    service, made, _ = world(**switches)
    made.set_fx_currency("GBP")
    return service, made, made.add_mandate(made.add_customer("Kaeufer GmbH"), "sepa_core")


def test_fx_payout_waits_for_its_rate():
    """The event says paid, the status waits for the rate; only then rate and amount are there, and the taxes later still."""
    _, made, mandate = euro()
    payment = made.collect(mandate, 100000)
    payout = made.make_payout("EUR")
    before = made.read(payout)["fx"]
    assert before == {
        "fx_currency": "GBP",
        "fx_amount": None,
        "exchange_rate": None,
        "estimated_exchange_rate": "0.8500000000",
    }
    made.pay_payout(payout)
    assert "payouts/paid" in names(made, of=payout)
    assert (made.read(payout)["status"], made.read(payout)["arrival_date"]) == ("pending", None)
    made.confirm_fx_rate(payout, "0.8612345678")
    after = made.read(payout)
    assert (after["status"], after["fx"]["exchange_rate"], after["fx"]["estimated_exchange_rate"]) == (
        "paid",
        "0.8612345678",
        None,
    )
    assert after["fx"]["fx_amount"] == round(after["amount"] * 0.8612345678)
    assert made.read(payment)["fx"]["fx_amount"] == 86123
    tax = made.items(payout)[1]["taxes"][0]
    assert (tax["destination_amount"], tax["destination_currency"], tax["exchange_rate"]) == (None, "GBP", None)
    made.confirm_tax_rates(payout)
    tax = made.items(payout)[1]["taxes"][0]
    assert (tax["amount"], tax["destination_amount"], tax["exchange_rate"]) == ("80.0", "68.0", "0.8500000000")
    assert names(made, of=payout)[-2:] == ["payouts/fx_rate_confirmed", "payouts/tax_exchange_rates_confirmed"]
    with pytest.raises(Refusal):
        made.confirm_tax_rates(payout)
    with pytest.raises(Refusal):
        made.confirm_fx_rate(payout)
    made.check()


def test_fx_figures_of_the_worked_payout():
    """E4: 1,951.52 euros at 0.85 are 1,658.79 pounds."""
    _, made, mandate = euro(fee_permille=0, fee_flat=2020)
    made.switches = GoCardlessSwitches(fee_permille=0, fee_flat=2020, fee_cap=2020)
    payout = made.pay(made.collect(mandate, 100000), made.collect(mandate, 100000), rate="0.85")
    assert figures(made, payout) == (195152, 4848)
    assert made.read(payout)["fx"]["fx_amount"] == 165879


@pytest.mark.parametrize(("switch", "seen"), [("nulls", {"fx_currency": "GBP"}), ("null", None), ("absent", "absent")])
def test_fx_of_what_is_not_converted(switch, seen):
    """Where nothing is converted, `fx` is an object of nulls, null, or absent."""
    _, made, mandate = world(fx_without=switch)
    payment = made.collect(mandate, 1000)
    payout = made.pay(payment)
    refund = made.add_refund(payment, 1)
    empty = {"fx_amount": None, "exchange_rate": None, "estimated_exchange_rate": None}
    wanted = {**seen, **empty} if isinstance(seen, dict) else seen
    for ident in (payment, payout, refund):
        assert made.read(ident).get("fx", "absent") == wanted


@pytest.mark.parametrize("keeps", [True, False])
def test_a_bounced_payout_is_sent_again(keeps):
    """The retry has the same id or a new one with the same items; only a paid payout bounces."""
    _, made, mandate = world(bounced_keeps_id=keeps, bounce_names_payout=not keeps)
    payment = made.collect(mandate, 1000)
    payout = made.make_payout("GBP")
    with pytest.raises(Refusal):
        made.bounce(payout)
    made.pay_payout(payout)
    made.bounce(payout)
    event = made.events("creditors/bounced_payout")[-1]
    assert event["links"].get("payout") == (None if keeps else payout)
    assert made.read(payout)["status"] == "bounced"
    again = made.retry(payout)
    assert (again == payout) is keeps
    assert made.read(payment)["links"]["payout"] == again
    assert made.items(again) == made.items(payout)
    made.check()
    with pytest.raises(Refusal):
        made.retry(payout)
    made.pay_payout(again)
    assert made.read(again)["status"] == "paid"
    made.check()


@pytest.mark.parametrize(("switch", "amount"), [("positive", "64.0"), ("item", "64.0")])
def test_the_sign_of_taxes(switch, amount):
    """The tax of a fee is positive always, or has the sign of its item."""
    _, made, mandate = world(tax_sign=switch)
    payment = made.collect(mandate, 30000)
    first = made.pay(payment)
    assert tuples(made, first)[1][2] == (amount if switch == "positive" else f"-{amount}")
    made.charge_back(payment)
    later = made.pay(made.collect(mandate, 50000))
    assert ("gocardless_fee", "384.0", amount) in tuples(made, later)


@pytest.mark.parametrize("inherits", [True, False])
def test_payments_of_plans(inherits):
    """A subscription's payments carry its name, and its metadata as the switch says; schedules list their payments."""
    _, made, mandate = world(subscription_metadata=inherits)
    plan = made.add_subscription(mandate, 900, "Rate 4711", {"inv": "4711"})
    payment = made.read(made.subscription_payment(plan))
    assert (payment["description"], payment["links"]["subscription"]) == ("Rate 4711", plan)
    assert payment["metadata"] == ({"inv": "4711"} if inherits else {})
    schedule = made.read(made.add_instalment_schedule(mandate, [100, 200], "Invoice 1"))
    assert schedule["total_amount"] == 300
    found = [made.read(one) for one in schedule["links"]["payments"]]
    assert [one["links"]["instalment_schedule"] for one in found] == [schedule["id"]] * 2
    assert "subscriptions/payment_created" in names(made, of=plan)
    made.cancel_mandate(mandate)
    for refused in (made.add_subscription, made.add_instalment_schedule):
        with pytest.raises(Refusal):
            refused(mandate, 1 if refused == made.add_subscription else [1], "x")


def test_a_mandate_ends_and_takes_its_payments_along():
    """Payments not yet submitted are cancelled, by an event whose parent is the mandate's; the mandate can come back."""
    _, made, mandate = world()
    payment, sent = made.add_payment(mandate, 100), made.payment_submitted(made.add_payment(mandate, 100))
    made.cancel_mandate(mandate)
    assert (made.read(payment)["status"], made.read(sent)["status"]) == ("cancelled", "submitted")
    event = made.events("payments/cancelled")[0]
    assert event["links"]["parent_event"] == made.events("mandates/cancelled")[0]["id"]
    with pytest.raises(Refusal, match="cancelled or expired"):
        made.add_payment(mandate, 100)
    made.reinstate_mandate(mandate)
    new = made.replace_mandate(mandate)
    assert made.read(mandate)["links"]["new_mandate"] == new
    with pytest.raises(Refusal, match="replaced"):
        made.add_payment(mandate, 100)
    assert made.read(made.collect(new, 100))["status"] == "confirmed"


def test_mandates_wait_for_approval_and_for_the_bank():
    """A mandate and its payments wait for the customer; then the bank sets it up, refuses it, or it expires."""
    _, made, _ = world()
    customer = made.add_customer("B")
    mandate = made.add_mandate(customer, approval=True)
    payment = made.add_payment(mandate, 100)
    assert made.read(payment)["status"] == "pending_customer_approval"
    made.mandate_customer_approval_granted(mandate)
    assert made.read(payment)["status"] == "pending_submission"
    with pytest.raises(Refusal, match="not active"):
        made.payment_submitted(payment)
    made.mandate_activated(mandate)
    made.mandate_expired(mandate)
    other = made.add_mandate(customer, active=False)
    made.mandate_failed(other)
    third = made.add_mandate(customer, approval=True)
    made.mandate_customer_approval_skipped(third)
    assert [made.read(one)["status"] for one in (mandate, other, third)] == ["expired", "failed", "pending_submission"]
    sepa = made.add_mandate(customer, "sepa_core", active=False)
    made.collect(sepa, 100)
    assert made.read(sepa)["status"] == "active"


def test_several_creditors_are_paid_apart():
    """E8: each creditor has payouts and balances of its own."""
    _, made, mandate = world()
    other = made.add_creditor("Second")
    second = made.add_mandate(made.add_customer("B"), creditor=other)
    made.collect(mandate, 1000)
    made.collect(second, 2000)
    payout = made.read(made.make_payout("GBP", creditor=other))
    assert payout["links"]["creditor"] == other
    assert len(made.items(payout["id"])) == 2
    assert [one["amount"] for one in made.balances(other)] == [0, 0, payout["amount"]]
    assert made.balances()[0]["amount"] == 1000 - 36


def test_webhooks_are_signed_in_batches():
    """Deliveries hold 250 events at most, with the signature of the raw body and the id of the webhook."""
    _, made, mandate = world()
    for _ in range(100):
        made.collect(mandate, 100)
    sent = made.deliveries("secret")
    assert [len(json.loads(one.body)["events"]) for one in sent] == [250, len(made.events()) - 250]
    assert all(one.headers["webhook-signature"] == sign(one.body, "secret") for one in sent)
    assert made.deliveries("secret", since=made.events()[-1]["id"]) == []


def test_webhooks_may_be_out_of_order_and_repeat_themselves():
    """As switched, the newest event comes first, one comes twice, and the body names no webhook."""
    _, made, _ = world(webhooks_disordered=True, webhook_meta=False)
    body = json.loads(made.deliveries("secret")[0].body)
    idents = [one["id"] for one in made.events()][::-1]
    assert list(body) == ["events"]
    assert [one["id"] for one in body["events"]] == [*idents, idents[0]]


def test_failed_payments_say_whether_they_are_tried_again():
    """The event of a failure tells whether a retry follows, and why not after the last one."""
    _, made, mandate = world()
    payment = made.add_payment(mandate, 500, retry_if_possible=True)
    for _ in range(3):
        made.payment_failed(payment)
        made.retry_payment(payment, by_itself=True)
    made.payment_failed(payment)
    told = [one["details"] for one in made.events("payments/failed")]
    assert [one["will_attempt_retry"] for one in told] == [True, True, True, False]
    assert told[-1]["not_retried_reason"] == "failure_filter_applied"
    assert {one["details"]["cause"] for one in made.events("payments/resubmission_requested")} == {"payment_autoretried"}


def test_what_cannot_be_done_is_refused():
    """Verbs whose state does not fit, and names that do not exist, are refused without changing anything."""
    _, made, mandate = world()
    payment, euros = made.collect(mandate, 500), made.add_mandate(made.add_customer("B"), "sepa_core")
    payout = made.pay(payment)
    before = len(made.events())
    for verb, given in (
        (made.payment_submitted, payment),
        (made.payment_confirmed, payment),
        (made.payment_failed, payment),
        (made.charge_back, made.all("mandates")[0]["id"]),
        (made.cancel_chargeback, payment),
        (made.pay_payout, payout),
        (made.confirm_tax_rates, payout),
        (made.mandate_activated, mandate),
        (made.mandate_failed, mandate),
        (made.approve_mandate, mandate),
        (made.reinstate_mandate, mandate),
        (made.read, "XX1"),
        (made.all, "things"),
        (lambda one: made.run("nothing", one), payment),
        (lambda one: made.add_refund(one, 0), payment),
    ):
        with pytest.raises(Refusal):
            verb(given)
    assert len(made.events()) == before
    with pytest.raises(Refusal, match="one currency"):
        made.pay(made.collect(mandate, 100), made.collect(euros, 100))
    with pytest.raises(Refusal):
        made.late_failure(made.add_payment(mandate, 100))
    made.check()
