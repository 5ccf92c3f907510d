"""The API's operations: method and path, parameters, what is answered, and which deed of the account does the work."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import fields as given
from . import hook_endpoints as hooks
from .account import Account
from .checks import EXPAND, PAGING, Fields, boolean, choice, clean, decode, group, ident, integer, listing, metadata, span, text
from .errors import Refusal, missing, unacceptable
from .lists import LISTS, SEARCH_FIELDS, SEARCHED, list_lines, list_objects, search
from .shapes import line, listed, show
from .table import Thing

Params = dict[str, Any]
Work = Callable[[Account, Params, tuple[str, ...]], Params]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation of the API."""

    method: str
    path: str
    kind: str
    work: Work
    fields: Fields
    required: tuple[str, ...] = ()
    in_list: bool = False

    @property
    def resource(self) -> str:
        """Return the first part of the path, by which keys are restricted."""
        return self.path.split("/")[2]

    def params(self, pairs: tuple[tuple[str, str], ...]) -> tuple[Params, list[str]]:
        """Check the parameters and return them beside the paths to expand."""
        raw = decode(pairs)
        for name in given.ELSEWHERE.get("/".join(self.path.split("/")[:3]), ()) if self.method == "POST" else ():
            if name in raw and name not in self.fields:
                raise unacceptable(f"the simulator does not know what `{name}` would do", name)
        cleaned = clean(raw, {**self.fields, **EXPAND}, self.required)
        return cleaned, cleaned.pop("expand", [])


def _shown(work: Callable[..., Thing]) -> Work:
    """Turn a deed `(account, params, ids) -> object` into one that answers the object."""

    def answer(account: Account, params: Params, ids: tuple[str, ...]) -> Params:
        thing = work(account, params, ids)
        return thing if thing.get("deleted") else show(account, thing)

    return answer


def _one(kind: str) -> Work:
    def answer(account: Account, _: Params, ids: tuple[str, ...]) -> Params:
        if kind == "customer" and ids[0] in account.deleted:
            return dict(account.deleted[ids[0]])
        thing = account.get(kind, ids[0])
        if kind == "event" and not account.visible(thing):
            raise missing(kind, ids[0])
        return show(account, thing)

    return answer


def _reads() -> Iterator[Endpoint]:
    for name, spec in LISTS.items():
        many: Work = partial(_many, name)
        yield Endpoint("GET", f"/v1/{name}", spec.kind, many, spec.fields(), in_list=True)
        yield Endpoint("GET", f"/v1/{name}/{{id}}", spec.kind, _one(spec.kind), {})
    for name in SEARCHED:
        found: Work = partial(_search, name)
        yield Endpoint("GET", f"/v1/{name}/search", LISTS[name].kind, found, SEARCH_FIELDS, ("query",), in_list=True)
    yield Endpoint("GET", "/v1/payment_records/{id}", "payment_record", _one("payment_record"), {})
    yield Endpoint("GET", "/v1/balance", "balance", lambda a, _, __: a.show_balance(), {})
    yield Endpoint("GET", "/v1/account", "account", lambda a, _, __: show_account(a), {})
    yield Endpoint("GET", "/v1/invoices/{id}/lines", "line_item", lambda a, p, i: list_lines(a, i[0], p), PAGING, in_list=True)
    yield Endpoint(
        "GET",
        "/v1/customers/{id}/balance_transactions",
        "customer_balance_transaction",
        _customer_entries,
        {**PAGING, "created": span, "invoice": ident()},
        in_list=True,
    )


def _many(name: str, account: Account, params: Params, _: tuple[str, ...]) -> Params:
    return list_objects(account, name, params)


def _search(name: str, account: Account, params: Params, _: tuple[str, ...]) -> Params:
    return search(account, name, params)


def _customer_entries(account: Account, params: Params, ids: tuple[str, ...]) -> Params:
    account.live_customer(ids[0])
    rows = account.tables["customer_balance_transaction"]
    for name in ("starting_after", "ending_before"):
        if name in params and params[name] not in rows.rows:
            raise missing("customer_balance_transaction", params[name], name)
    page = rows.page(
        limit=params.get("limit", 10),
        after=params.get("starting_after"),
        before=params.get("ending_before"),
        created=params.get("created"),
        where={"customer": ids[0]},
        test=lambda thing: "invoice" not in params or thing.get("invoice") == params["invoice"],
    )
    url = f"/v1/customers/{ids[0]}/balance_transactions"
    return listed(url, [show(account, one) for one in page.rows], has_more=page.has_more)


def show_account(account: Account) -> Params:
    """Return the account object."""
    return {
        "id": account.account_id,
        "object": "account",
        "business_profile": {"name": "Sandbox GmbH", "url": None},
        "business_type": "company",
        "charges_enabled": True,
        "country": "DE",
        "default_currency": account.default_currency,
        "details_submitted": True,
        "email": "books@sandbox.example",
        "metadata": {},
        "payouts_enabled": True,
        "settings": {"dashboard": {"display_name": "Sandbox", "timezone": "Europe/Berlin"}},
        "type": "standard",
    }


def _intent(account: Account, params: Params, _: tuple[str, ...]) -> Thing:
    if params.get("confirm") and not params.get("payment_method", "").startswith("pm_"):
        raise Refusal("You cannot confirm this PaymentIntent because it's missing a payment method.", param="payment_method")
    intent = account.create_intent(params)
    if params.get("confirm"):
        account.succeed(intent["id"])
    return account.fresh(intent)


def _line(account: Account, params: Params, ids: tuple[str, ...]) -> Params:
    return line(account.update_line(ids[0], ids[1], params), account.livemode)


REMOVAL = group({"id": ident(), "behavior": choice("delete", "unassign")}, "id", "behavior")
LINES: Fields = {"lines": listing(group({**given.LINE, "invoice_item": ident()}), 1000), "invoice_metadata": metadata}
CHANGES: Fields = {"lines": listing(group({**given.LINE, "id": ident()}, "id"), 250), "invoice_metadata": metadata}
REMOVALS: Fields = {"lines": listing(REMOVAL, 250), "invoice_metadata": metadata}
PAY: Fields = {
    **dict.fromkeys(("paid_out_of_band", "forgive", "off_session"), boolean),
    **{name: text(255) for name in ("payment_method", "mandate", "source")},
}


def _post(path: str, kind: str, work: Callable[..., Thing], fields: Fields | None = None, *required: str) -> Endpoint:
    return Endpoint("POST", f"/v1/{path}", kind, _shown(work), fields or {}, required)


def _customer_writes() -> Iterator[Endpoint]:
    create = {**given.CUSTOMER, "tax_id_data": given.TAX_ID}
    entry = {**{key: given.INTENT[key] for key in ("currency", "description", "metadata")}, "amount": integer()}
    path = "customers/{id}/balance_transactions"
    kind = "customer_balance_transaction"
    yield _post("customers", "customer", lambda a, p, _: a.create_customer(p), create)
    yield _post("customers/{id}", "customer", lambda a, p, i: a.update_customer(i[0], p), given.CUSTOMER)
    yield _post("subscriptions/{id}", "subscription", lambda a, p, i: a.update_subscription(i[0], p), given.SUBSCRIPTION)
    yield Endpoint("DELETE", "/v1/customers/{id}", "customer", lambda a, _, i: a.delete_customer(i[0]), {})
    yield _post(path, kind, lambda a, p, i: a.create_balance_entry(i[0], p), entry, "amount", "currency")


def _invoice_writes() -> Iterator[Endpoint]:
    one, kind = "invoices/{id}", "invoice"
    finalize = {"auto_advance": boolean}
    attach = {"payment_intent": ident(), "payment_record": ident()}
    item = {key: check for key, check in given.ITEM.items() if key not in ("customer", "invoice", "currency")}
    yield _post("invoices", kind, lambda a, p, _: a.create_invoice(p), given.INVOICE)
    yield _post(one, kind, lambda a, p, i: a.update_invoice(i[0], p), given.INVOICE_UPDATE)
    yield Endpoint("DELETE", f"/v1/{one}", kind, lambda a, _, i: a.delete_invoice(i[0]), {})
    yield _post(f"{one}/add_lines", kind, lambda a, p, i: a.add_lines(i[0], p), LINES, "lines")
    yield _post(f"{one}/update_lines", kind, lambda a, p, i: a.update_lines(i[0], p), CHANGES, "lines")
    yield _post(f"{one}/remove_lines", kind, lambda a, p, i: a.remove_lines(i[0], p), REMOVALS, "lines")
    yield Endpoint("POST", f"/v1/{one}/lines/{{line}}", "line_item", _line, given.LINE)
    yield _post(f"{one}/finalize", kind, lambda a, p, i: a.finalize_invoice(i[0], p), finalize)
    yield _post(f"{one}/send", kind, lambda a, _, i: a.send_invoice(i[0]))
    yield _post(f"{one}/pay", kind, lambda a, p, i: a.pay_invoice(i[0], p), PAY)
    yield _post(f"{one}/void", kind, lambda a, _, i: a.void_invoice(i[0]))
    yield _post(f"{one}/mark_uncollectible", kind, lambda a, _, i: a.mark_uncollectible(i[0]))
    yield _post(f"{one}/attach_payment", kind, lambda a, p, i: a.attach(i[0], p), attach)
    yield _post("invoiceitems", "invoiceitem", lambda a, p, _: a.create_item(p), given.ITEM)
    yield _post("invoiceitems/{id}", "invoiceitem", lambda a, p, i: a.update_item(i[0], p), item)
    yield Endpoint("DELETE", "/v1/invoiceitems/{id}", "invoiceitem", lambda a, _, i: a.delete_item(i[0]), {})


def _money_writes() -> Iterator[Endpoint]:
    intent_update = {key: given.INTENT[key] for key in ("amount", "description", "metadata", "receipt_email")}
    reason = choice("abandoned", "duplicate", "fraudulent", "requested_by_customer")
    meta: Fields = {"metadata": metadata}
    kind, path = "payment_intent", "payment_intents"
    yield _post(path, kind, _intent, given.INTENT, "amount", "currency")
    yield _post(f"{path}/{{id}}", kind, lambda a, p, i: a.update_intent(i[0], p), intent_update)
    yield _post(
        f"{path}/{{id}}/cancel",
        kind,
        lambda a, p, i: a.cancel_intent(i[0], p.get("cancellation_reason")),
        {"cancellation_reason": reason},
    )
    yield _post("refunds", "refund", lambda a, p, _: a.create_refund(p), given.REFUND)
    yield _post("refunds/{id}", "refund", lambda a, p, i: a.update_refund(i[0], p), meta)
    yield _post("credit_notes", "credit_note", lambda a, p, _: a.create_credit_note(p), given.CREDIT_NOTE, "invoice")
    yield _post("credit_notes/{id}/void", "credit_note", lambda a, _, i: a.void_credit_note(i[0]))
    yield _post(
        "payment_records/report_payment",
        "payment_record",
        lambda a, p, _: a.report_payment(p),
        given.RECORD,
        *("amount_requested", "initiated_at", "payment_method_details"),
    )
    hook = "webhook_endpoint"
    yield Endpoint("POST", "/v1/webhook_endpoints", hook, hooks.create, hooks.CREATE, ("url", "enabled_events"))
    yield Endpoint("POST", "/v1/webhook_endpoints/{id}", hook, hooks.update, hooks.UPDATE)
    yield Endpoint("DELETE", "/v1/webhook_endpoints/{id}", hook, hooks.drop, {})


class Routes:
    """Finds the operation of a request; literal paths before templates."""

    def __init__(self) -> None:
        """Compile all paths."""
        every = [*_reads(), *_customer_writes(), *_invoice_writes(), *_money_writes()]
        self.literal = {(one.method, one.path): one for one in every if "{" not in one.path}
        self.templates = [(one, re.compile(re.sub(r"\{\w+\}", r"([^/]+)", one.path))) for one in every if "{" in one.path]

    def find(self, method: str, path: str) -> tuple[Endpoint, tuple[str, ...]]:
        """Return the operation and the ids in its path."""
        if (method, path) in self.literal:
            return self.literal[method, path], ()
        for one, pattern in self.templates:
            hit = pattern.fullmatch(path) if one.method == method else None
            if hit:
                return one, hit.groups()
        text_ = f"Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs."
        raise Refusal(text_, status=404, began=False)
