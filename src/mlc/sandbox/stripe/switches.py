"""Where the documentation leaves a doubt, and where the network or the account may differ: each as a switch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StripeSwitches:
    """How this simulated Stripe behaves where two behaviours are possible.

    Attributes:
        require_version: refuse requests without `Stripe-Version`; Stripe itself falls back to the account's default.
        replayed_header: send `Idempotent-Replayed: true` with a replayed answer.
        retry_after: seconds sent as `Retry-After` with every 429, or None for no such header.
        rate_limit: answer 429 beyond 25 requests a second and endpoint and 100 in all (25 with a test key).
        lock_timeout_every: every n-th write to an existing object meets a lock and gets 429 `lock_timeout`; 0 = never.
        forbidden: resources (first path part such as `payouts`) that a restricted key (`rk_`) may not use: 403.
        expand_on_write: honour `expand[]` in answers to POST; off, they come unexpanded.
        balance_later: charges have no balance transaction until `settle_balance` (asynchronous capture).
        debit_balance_early: a bank debit has its balance transaction, pending, from the day it is submitted (as Stripe says
            of all debit methods since 2024); off, from its success on.
        failed_debit_fee_returned: where a debit fails that has a balance transaction, its fee comes back with it.
        returned_debit_reopens: a debit that comes back after success opens its invoice again; off, the invoice stays paid
            (`paid` is an end in Stripe's documentation; what happens to it then is not documented).
        reserve_mirrored: a reserve has a movement of its own in the balance `risk_reserved` beside the one in `payments`.
        refund_pending: refunds start as pending until `settle_refund`; off, they succeed at once.
        dispute_fee: fee in minor units when a dispute withdraws funds.
        dispute_fee_returned: winning a dispute gives that fee back.
        fee_permille: variable part of the fee on a charge.
        fee_flat: fixed part of the fee in minor units of two-decimal currencies.
        fee_tax_percent: tax on the fee, shown as a fee detail of type `tax`.
        settle_days: days until a charge's funds are available; 0 = at once.
        rates: currency -> rate to the account's default currency: such charges settle in the default currency.
        max_digits: most digits an amount may have (IDR always 12).
        lines_per_call: most lines that one add_lines call may bring.
        line_digits: the divisibility rules of three-decimal currencies, ISK and UGX hold for every line, not only for totals.
        amount_with_quantity: a line may carry `amount` together with a `quantity` other than 1.
        due_both: accept `days_until_due` together with `due_date` (due_date wins); off, refuse.
        due_required: `send_invoice` needs one of the two; off, 30 days are assumed.
        draft_minimum: a draft already shows amount_due 0 when it is below the smallest charge.
        in_flight_blocks: refuse to void an invoice, or to pay it out of band, while a payment of it is processing.
        void_partly_paid: an invoice with a payment may be voided.
        uncollectible_drafts: a draft may be marked uncollectible.
        out_of_band_record: paying out of band makes a payment record and an InvoicePayment, with their events.
        overpayment_credited: what an invoice was overpaid is credited to the customer's balance.
        overpaid_in_payment: an InvoicePayment's amount_paid contains the overpaid part.
        one_currency_per_customer: a customer with an invoice in one currency cannot have another in a second one.
        equal_created: order of objects of one second in lists: `by_age` or `any` (a new one may stand on either side).
        events_shuffled: events of one second are listed in any order.
        event_version: api_version of stored events; one before 2025-03-31 brings the bodies of that time.
        thin_events: webhook deliveries bring a thin event beside each full one.
        hook_form: what webhook endpoints get: `full` events, `thin` ones, or `both`.
        search_lag: seconds until the search endpoints see a new object.
        search: whether the search endpoints exist for this account.
    """

    require_version: bool = False
    replayed_header: bool = True
    retry_after: int | None = None
    rate_limit: bool = False
    lock_timeout_every: int = 0
    forbidden: frozenset[str] = frozenset()
    expand_on_write: bool = True
    balance_later: bool = False
    debit_balance_early: bool = False
    failed_debit_fee_returned: bool = True
    returned_debit_reopens: bool = False
    reserve_mirrored: bool = False
    refund_pending: bool = False
    dispute_fee: int = 2000
    dispute_fee_returned: bool = False
    fee_permille: int = 15
    fee_flat: int = 25
    fee_tax_percent: int = 0
    settle_days: int = 2
    rates: Mapping[str, str] = field(default_factory=dict)
    max_digits: int = 8
    lines_per_call: int = 250
    line_digits: bool = True
    amount_with_quantity: bool = False
    due_both: bool = False
    due_required: bool = True
    draft_minimum: bool = False
    in_flight_blocks: bool = True
    void_partly_paid: bool = False
    uncollectible_drafts: bool = False
    out_of_band_record: bool = False
    overpayment_credited: bool = True
    overpaid_in_payment: bool = False
    one_currency_per_customer: bool = False
    equal_created: str = "by_age"
    events_shuffled: bool = False
    event_version: str = "2026-10-28.endive"
    thin_events: bool = False
    hook_form: str = "full"
    search_lag: int = 60
    search: bool = True
