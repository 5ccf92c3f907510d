"""The objects as they are answered: what every object of a kind has in common stands here once, the rest in its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .ids import scramble
from .words import words

if TYPE_CHECKING:
    from .base import Books
    from .table import Thing

BLANK_ADDRESS = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
EVIDENCE = dict.fromkeys(
    words("""access_activity_log billing_address cancellation_policy cancellation_policy_disclosure cancellation_rebuttal
    customer_communication customer_email_address customer_name customer_purchase_ip customer_signature
    duplicate_charge_documentation duplicate_charge_explanation duplicate_charge_id product_description receipt
    refund_policy refund_policy_disclosure refund_refusal_explanation service_date service_documentation
    shipping_address shipping_carrier shipping_date shipping_documentation shipping_tracking_number uncategorized_file
    uncategorized_text""")
)
ZERO_RECORD = ("amount_authorized", "amount_canceled", "amount_failed", "amount_guaranteed", "amount_refunded")


def _with(nulls: str, **fields: Any) -> dict[str, Any]:
    return dict.fromkeys(words(nulls)) | fields


DEFAULTS: dict[str, dict[str, Any]] = {
    "customer": _with(
        """address currency customer_account default_source description discount email name phone shipping test_clock
        business_name individual_name""",
        balance=0,
        delinquent=False,
        invoice_settings=_with("custom_fields default_payment_method footer rendering_options"),
        livemode=False,
        metadata={},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    ),
    "subscription": _with(
        """application application_fee_percent billing_cycle_anchor_config billing_thresholds cancel_at canceled_at customer_account
        days_until_due default_payment_method default_source description ended_at latest_invoice
        next_pending_invoice_item_invoice on_behalf_of pause_collection pending_invoice_item_interval pending_setup_intent
        pending_update schedule test_clock transfer_data trial_end trial_start""",
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None},
        billing_mode={"type": "classic", "flexible": None},
        billing_schedules=[],
        cancel_at_period_end=False,
        cancellation_details=_with("comment feedback reason"),
        collection_method="charge_automatically",
        default_tax_rates=[],
        discounts=[],
        invoice_settings={"account_tax_ids": None, "issuer": {"type": "self"}, **_with("custom_fields description footer")},
        livemode=False,
        managed_payments={"enabled": False},
        metadata={},
        payment_settings=_with("payment_method_options payment_method_types save_default_payment_method"),
        status="active",
        trial_settings={"end_behavior": {"missing_payment_method": "create_invoice"}},
    ),
    "invoice": _with(
        """account_name account_tax_ids application automatically_finalizes_at custom_fields customer_account
        customer_address customer_email customer_name customer_phone customer_shipping default_payment_method
        default_source description due_date effective_at ending_balance footer from_invoice hosted_invoice_url invoice_pdf
        last_finalization_error latest_revision next_payment_attempt number on_behalf_of parent receipt_number rendering
        shipping_cost shipping_details statement_descriptor test_clock webhooks_delivered_at total_taxes""",
        account_country="DE",
        amount_due=0,
        amount_overpaid=0,
        amount_paid=0,
        amount_remaining=0,
        amount_shipping=0,
        attempt_count=0,
        attempted=False,
        auto_advance=False,
        automatic_tax={"disabled_reason": None, "enabled": False, "liability": None, "provider": None, "status": None},
        billing_reason="manual",
        customer_tax_exempt="none",
        customer_tax_ids=[],
        default_tax_rates=[],
        discounts=[],
        issuer={"type": "self"},
        livemode=False,
        metadata={},
        payment_settings={"default_mandate": None, "payment_method_options": None, "payment_method_types": None},
        post_payment_credit_notes_amount=0,
        pre_payment_credit_notes_amount=0,
        starting_balance=0,
        status="draft",
        status_transitions=_with("finalized_at marked_uncollectible_at paid_at voided_at"),
        subtotal=0,
        total=0,
        total_discount_amounts=[],
        total_pretax_credit_amounts=[],
    ),
    "invoice_payment": _with("amount_paid", livemode=False, status="open", status_transitions=_with("canceled_at paid_at")),
    "payment_intent": _with(
        """application application_fee_amount automatic_payment_methods canceled_at cancellation_reason customer
        customer_account description excluded_payment_method_types last_payment_error latest_charge next_action
        on_behalf_of payment_method payment_method_configuration_details payment_record processing receipt_email review
        setup_future_usage shipping source statement_descriptor statement_descriptor_suffix transfer_data
        transfer_group""",
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        capture_method="automatic",
        confirmation_method="automatic",
        livemode=False,
        metadata={},
        payment_method_options={},
        payment_method_types=["card", "sepa_debit"],
        status="requires_payment_method",
    ),
    "charge": _with(
        """application application_fee application_fee_amount balance_transaction calculated_statement_descriptor
        customer description failure_balance_transaction failure_code failure_message on_behalf_of outcome payment_intent
        payment_method payment_method_details receipt_email receipt_number receipt_url review shipping source
        source_transfer statement_descriptor statement_descriptor_suffix transfer_data transfer_group""",
        amount_captured=0,
        amount_refunded=0,
        billing_details={**_with("email name phone tax_id"), "address": BLANK_ADDRESS},
        captured=True,
        disputed=False,
        fraud_details={},
        livemode=False,
        metadata={},
        paid=False,
        refunded=False,
    ),
    "refund": _with(
        """balance_transaction charge destination_details payment_intent reason receipt_number source_transfer_reversal
        transfer_reversal""",
        metadata={},
    ),
    "dispute": _with(
        "payment_intent network_reason_code",
        balance_transactions=[],
        enhanced_eligibility_types=[],
        evidence={**EVIDENCE, "enhanced_evidence": {}},
        is_charge_refundable=False,
        livemode=False,
        metadata={},
        reason="general",
    ),
    "balance_transaction": _with("description exchange_rate source", balance_type="payments", fee=0, fee_details=[]),
    "topup": _with(
        """balance_transaction description expected_availability_date failure_code failure_message source
        statement_descriptor transfer_group""",
        livemode=False,
        metadata={},
    ),
    "payout": _with(
        """application_fee application_fee_amount balance_transaction description destination
        failure_balance_transaction failure_code failure_message original_payout payout_method reversed_by
        statement_descriptor trace_id""",
        livemode=False,
        metadata={},
        method="standard",
        source_type="card",
        type="bank_account",
    ),
    "credit_note": _with(
        """customer_account customer_balance_transaction effective_at memo out_of_band_amount reason shipping_cost
        voided_at total_taxes""",
        amount_shipping=0,
        discount_amount=0,
        discount_amounts=[],
        livemode=False,
        metadata={},
        pretax_credit_amounts=[],
        refunds=[],
        status="issued",
    ),
    "invoiceitem": _with(
        "customer_account description invoice parent test_clock proration_details",
        discountable=True,
        discounts=[],
        livemode=False,
        metadata={},
        proration=False,
        quantity=1,
        tax_rates=[],
    ),
    "customer_balance_transaction": _with(
        "checkout_session credit_note customer_account description invoice", livemode=False, metadata={}
    ),
    "payment_record": _with(
        "application customer_details customer_presence description latest_payment_attempt_record shipping_details",
        livemode=False,
        metadata={},
        reported_by="self",
    ),
    "tax_rate": _with(
        """country description effective_percentage flat_amount jurisdiction jurisdiction_level rate_type state
        tax_type""",
        active=False,
        livemode=False,
        metadata={},
    ),
    "webhook_endpoint": _with("api_version application description", livemode=False, metadata={}, status="enabled"),
    "event": _with("", livemode=False, pending_webhooks=0),
}


def listed(url: str, data: list[dict[str, Any]], *, has_more: bool = False) -> dict[str, Any]:
    """Return the envelope of a list."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def line(item: Thing, livemode: bool) -> dict[str, Any]:
    """Return an invoice item as the line of its invoice."""
    subscription = item.get("_subscription")
    details: dict[str, Any] = {"proration": False, "proration_details": {"credited_items": None}}
    if subscription:
        kind = "subscription_item_details"
        details |= {"invoice_item": None, "subscription": subscription, "subscription_item": "si_" + subscription[4:18]}
    else:
        kind = "invoice_item_details"
        details |= {"invoice_item": item["id"], "subscription": None}
    other = "invoice_item_details" if subscription else "subscription_item_details"
    quantity = item.get("quantity", 1)
    return {
        "id": item["_line"],
        "object": "line_item",
        "amount": item["amount"],
        "currency": item["currency"],
        "description": item.get("description"),
        "discount_amounts": [],
        "discountable": item.get("discountable", True),
        "discounts": [],
        "invoice": item.get("invoice"),
        "livemode": livemode,
        "metadata": item.get("metadata", {}),
        "parent": {"type": kind, kind: details, other: None},
        "period": item["period"],
        "pretax_credit_amounts": [],
        "pricing": _pricing(item),
        "quantity": quantity,
        "quantity_decimal": str(quantity),
        "subscription": subscription,
        "subtotal": item["amount"],
        "taxes": item.get("_taxes", []),
    }


def _pricing(item: Thing) -> dict[str, Any]:
    price = scramble(item["_line"], 23)
    return {
        "type": "price_details",
        "price_details": {"price": f"price_1{price}", "product": f"prod_{price[:14]}"},
        "unit_amount_decimal": item.get("_unit") or str(item["amount"]),
    }


def show(books: Books, thing: Thing) -> dict[str, Any]:
    """Return an object as the API answers it, references as ids; what lies deeper is shared and must not be changed."""
    kind = thing["object"]
    body = {**books.defaults[kind], **{key: value for key, value in thing.items() if key[0] != "_"}}
    special = _SPECIAL.get(kind)
    if special:
        special(books, thing, body)
    return body


def _invoice(books: Books, thing: Thing, body: dict[str, Any]) -> None:
    if body["status"] == "draft" and books.tables["invoice"].rows.get(thing["id"]) is thing:
        body.update(books.dues(thing))
    if body["status"] == "draft" and thing["customer"] in books.tables["customer"].rows:
        body.update(books.addressee(thing["customer"]))
    lines = thing["_lines"]
    url = f"/v1/invoices/{thing['id']}/lines"
    body["lines"] = listed(url, [line(item, books.livemode) for item in lines[:10]], has_more=len(lines) > 10)
    body["total_excluding_tax"] = body["subtotal_excluding_tax"] = body["subtotal"] - thing.get("_inclusive", 0)
    body["period_start"] = body["period_end"] = thing["created"]
    if thing.get("_subscription"):
        inner = {"metadata": {}, "subscription": thing["_subscription"]}
        body["parent"] = {"type": "subscription_details", "subscription_details": inner, "quote_details": None}


def _item(_: Books, thing: Thing, body: dict[str, Any]) -> None:
    body["net_amount"] = thing["amount"]
    body["quantity_decimal"] = str(body["quantity"])
    body["pricing"] = _pricing(thing)


def _intent(_: Books, thing: Thing, body: dict[str, Any]) -> None:
    body["client_secret"] = f"{thing['id']}_secret_{scramble(thing['id'], 25)}"


def _dispute(books: Books, thing: Thing, body: dict[str, Any]) -> None:
    body["balance_transactions"] = [
        show(books, books.tables["balance_transaction"].rows[one]) for one in thing.get("balance_transactions", [])
    ]
    body["evidence_details"] = {
        "due_by": thing["created"] + 14 * 86400,
        "enhanced_eligibility": {},
        "has_evidence": False,
        "past_due": False,
        "submission_count": 0,
        "submission_method": "manual",
    }


def _balance_transaction(books: Books, thing: Thing, body: dict[str, Any]) -> None:
    waits = thing.get("_waits") or thing["available_on"] > books.clock.now()
    body["status"] = "pending" if waits else "available"
    body["net"] = thing["amount"] - body["fee"]


def _credit_note(_: Books, thing: Thing, body: dict[str, Any]) -> None:
    body["lines"] = listed(f"/v1/credit_notes/{thing['id']}/lines", thing["_lines"])
    body["subtotal"] = body["total"] = body["amount"]
    body["subtotal_excluding_tax"] = body["total_excluding_tax"] = body["amount"]


def _payment_record(_: Books, thing: Thing, body: dict[str, Any]) -> None:
    zero = {"currency": thing["amount"]["currency"], "value": 0}
    for name in ZERO_RECORD:
        body.setdefault(name, zero)


def _event(books: Books, thing: Thing, body: dict[str, Any]) -> None:
    inner = books.picture(thing["_about"], thing["api_version"])
    body["data"] = {"object": inner} | ({"previous_attributes": thing["_before"]} if "_before" in thing else {})


def _subscription(_: Books, thing: Thing, body: dict[str, Any]) -> None:
    """Complete a subscription as it is answered: its one item and the dates that follow from its beginning."""
    ident, start = thing["id"], thing["created"]
    seed = scramble(ident, 23)
    recurring = {"interval": "month", "interval_count": 1, "meter": None, "usage_type": "licensed", "trial_period_days": None}
    price = {
        "active": True, "billing_scheme": "per_unit", "created": start, "currency": thing["currency"], "custom_unit_amount": None,
        "id": f"price_1{seed}", "livemode": body["livemode"], "lookup_key": None, "metadata": {}, "nickname": None, "object": "price",
        "product": f"prod_{seed[:14]}", "recurring": recurring, "tax_behavior": "unspecified", "tiers_mode": None,
        "transform_quantity": None, "type": "recurring", "unit_amount": thing["_amount"], "unit_amount_decimal": str(thing["_amount"]),
    }  # fmt: skip
    item = {
        "created": start, "discounts": [], "id": f"si_{seed[:14]}", "metadata": {}, "object": "subscription_item", "price": price,
        "quantity": 1, "subscription": ident, "tax_rates": [], "current_period_start": start,
        "current_period_end": start + 30 * 86400, "billing_thresholds": None,
    }  # fmt: skip
    url = f"/v1/subscription_items?subscription={ident}"
    body["items"] = {"object": "list", "data": [item], "has_more": False, "url": url}
    body["billing_cycle_anchor"] = body["start_date"] = start


_SPECIAL: dict[str, Any] = {
    "subscription": _subscription,
    "invoice": _invoice,
    "invoiceitem": _item,
    "payment_intent": _intent,
    "dispute": _dispute,
    "balance_transaction": _balance_transaction,
    "credit_note": _credit_note,
    "payment_record": _payment_record,
    "event": _event,
}
