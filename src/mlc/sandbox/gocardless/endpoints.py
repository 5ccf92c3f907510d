"""What can be written over HTTP: creations, updates, actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .base import Record
from .errors import usage
from .forms import Form
from .money import CURRENCIES, REFERENCES
from .organisation import Organisation
from .people import CUSTOMER, CUSTOMER_MORE

Create = Callable[[Organisation, Form], str]
Action = Callable[[Organisation, str, dict[str, str]], str]


def _customer(organisation: Organisation, form: Form) -> str:
    fields = {name: value for name in (*CUSTOMER, *CUSTOMER_MORE) if (value := form.text(name)) is not None}
    metadata = form.metadata()
    if not fields.get("company_name") and not (fields.get("given_name") and fields.get("family_name")):
        form.wrong("company_name", "is required unless given_name and family_name are given")
    form.done()
    return organisation.add_customer(**fields, metadata=metadata)


def _account(organisation: Organisation, form: Form) -> str:
    more: dict[str, Any] = {name: form.text(name) for name in ("branch_code", "bank_code", "account_type", "country_code")}
    holder, number, iban = form.text("account_holder_name", required=True), form.text("account_number"), form.text("iban")
    currency = form.choice("currency", tuple(sorted(set(CURRENCIES.values()))))
    customer, metadata = form.link("customer"), form.metadata()
    if not number and not iban:
        form.wrong("account_number", "is required")
    form.done()
    more |= {"iban": iban, "metadata": metadata, "number": number or ""}
    return organisation.add_customer_bank_account(
        _there(organisation, "customers", customer), holder or "", currency=currency or ("EUR" if iban else "GBP"), **more
    )


def _mandate(organisation: Organisation, form: Form) -> str:
    scheme = form.choice("scheme", tuple(CURRENCIES)) or "bacs"
    reference, metadata = form.text("reference"), form.metadata()
    account, creditor = form.link("customer_bank_account"), form.link("creditor", required=False)
    form.done()
    record = organisation.get("customer_bank_accounts", account)
    if record["currency"] != CURRENCIES.get(scheme):
        form.wrong("scheme", "does not fit the currency of the bank account")
    if not record["enabled"]:
        form.wrong("links.customer_bank_account", "has been disabled")
    form.done()
    customer = record["links"]["customer"]
    owned = {"account": record["id"], "creditor": creditor}
    return organisation.add_mandate(customer, scheme, active=False, reference=reference, metadata=metadata, **owned)


def _payment(organisation: Organisation, form: Form) -> str:
    amount, fee = form.integer("amount", required=True), form.integer("app_fee", 0)
    currency = form.choice("currency", tuple(sorted(set(CURRENCIES.values()))), required=True)
    description, charge_date = form.text("description", 500), form.day("charge_date")
    reference, metadata, again = form.text("reference"), form.metadata(), form.flag("retry_if_possible")
    mandate = form.link("mandate")
    form.done()
    on = organisation.get("mandates", mandate)
    if currency != CURRENCIES[on["scheme"]]:
        form.wrong("currency", "does not fit the mandate's scheme")
    if reference and len(reference) > REFERENCES[on["scheme"]]:
        form.wrong("reference", f"is too long (maximum is {REFERENCES[on['scheme']]} characters)")
    if charge_date and charge_date < organisation.today():
        form.wrong("charge_date", "must be on or after mandate's next_possible_charge_date")
    if fee and amount and fee > amount:
        form.wrong("app_fee", "must be at most the amount")
    form.done()
    more: dict[str, Any] = {"charge_date": charge_date, "reference": reference, "app_fee": fee, "retry_if_possible": again}
    return organisation.add_payment(on["id"], amount or 0, description, metadata, **more)


def _refund(organisation: Organisation, form: Form) -> str:
    payment, mandate = form.link("payment", required=False), form.link("mandate", required=False)
    amount, reference, metadata = form.integer("amount", required=True), form.text("reference"), form.metadata()
    total = form.integer("total_amount_confirmation", required=payment is not None)
    form.done()
    given: dict[str, Any] = {"mandate": mandate, "total_amount_confirmation": total, "metadata": metadata}
    return organisation.add_refund(payment, amount or 0, reference=reference, **given)


CREATES: dict[str, Create] = {
    "customers": _customer,
    "customer_bank_accounts": _account,
    "mandates": _mandate,
    "payments": _payment,
    "refunds": _refund,
}
ACTIONS: dict[tuple[str, str], Action] = {
    ("payments", "cancel"): lambda made, ident, metadata: made.cancel_payment(ident, metadata),
    ("payments", "retry"): lambda made, ident, metadata: made.retry_payment(ident, metadata),
    ("mandates", "cancel"): lambda made, ident, _: made.cancel_mandate(ident),
    ("mandates", "reinstate"): lambda made, ident, _: made.reinstate_mandate(ident),
    ("webhooks", "retry"): lambda made, ident, _: made.retry_webhook(ident),
    ("customer_bank_accounts", "disable"): lambda made, ident, _: made.disable_bank_account(ident),
}
UPDATES = (
    *("customers", "customer_bank_accounts", "mandates", "payments", "refunds", "payouts", "subscriptions"),
    "instalment_schedules",
)


def _there(organisation: Organisation, kind: str, ident: str | None) -> str:
    return str(organisation.get(kind, ident)["id"])


def create(organisation: Organisation, kind: str, data: dict[str, Any]) -> str:
    """Create a record and return its id."""
    if kind not in CREATES:
        raise usage(404, "path_not_found", "Path not found")
    return CREATES[kind](organisation, Form(kind, data))


def update(organisation: Organisation, kind: str, ident: str, data: dict[str, Any]) -> None:
    """Change a record: its metadata, and of customers everything."""
    if kind not in UPDATES:
        raise usage(404, "path_not_found", "Path not found")
    record, form = organisation.get(kind, ident), Form(kind, data)
    given: Record = {}
    if kind == "customers":
        given = {name: form.text(name) for name in (*CUSTOMER, *CUSTOMER_MORE)}
    if kind == "payments":
        given = {"retry_if_possible": form.flag("retry_if_possible")}
    metadata = form.metadata()
    if organisation.switches.metadata_merges:
        metadata = record["metadata"] | metadata
        if len(metadata) > 3:
            form.wrong("metadata", "must have at most 3 keys")
    form.done()
    record.update({name: value for name, value in given.items() if name in data})
    if "metadata" in data:
        record["metadata"] = dict(metadata)


def act(organisation: Organisation, kind: str, ident: str, action: str, data: dict[str, Any]) -> str:
    """Do an action; the metadata sent with it stands on the event it causes."""
    deed = ACTIONS.get((kind, action))
    if deed is None:
        raise usage(404, "path_not_found", "Path not found")
    organisation.get(kind, ident)
    form = Form(kind, data)
    metadata = form.metadata()
    form.done()
    return deed(organisation, ident, metadata)
