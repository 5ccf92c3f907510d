"""Where the documentation leaves a doubt, and where accounts differ: each as a switch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GoCardlessSwitches:
    """How this simulated GoCardless behaves where two behaviours are possible.

    Attributes:
        fx_without: how `fx` looks where nothing is converted: `nulls` (an object of nulls), `null`, or `absent`.
        fx_late: the event payouts/paid of an FX payout comes before its rate: it stays pending until `confirm_fx_rate`.
        tax_sign: sign of a tax amount: `positive` always, or `item` the sign of the fee item it belongs to.
        half: rounding of a sum that ends in exactly half a minor unit: `up`, `even` or `down`.
        bounced_keeps_id: the retry of a bounced payout has its id; off, it is a new payout with the same items.
        bounce_names_payout: the event creditors/bounced_payout links the payout beside the creditor.
        chargeback_cancelled_item: type of the item that brings the money of a cancelled chargeback back.
        events_late: seconds until an event can be seen, under the time of what happened.
        events_linked: honour `include` of the event list; off, `linked` stays empty.
        events_archived: events older than 18 months are gone.
        subscription_metadata: payments of a subscription inherit its metadata.
        metadata_merges: PUT adds to the metadata instead of replacing it.
        key_lifetime: seconds an Idempotency-Key is remembered; None = for ever.
        gone_reason: `reason` of the 410 for items of payouts older than six months; None = no errors[] at all.
        webhook_meta: webhook bodies have `meta` with the id of the webhook.
        webhooks_disordered: webhooks come newest first, and each repeats one of its events.
        fees_deducted: fees are items of payouts; off, GoCardless' own are invoiced separately.
        fee_permille: variable part of the fee on a payment, before tax.
        fee_flat: fixed part of the fee in minor units, before tax.
        fee_cap: most a fee can be in minor units, before tax.
        surcharge: fee in minor units for a late failure or a chargeback, before tax; 0 = none.
        vat_percent: tax on fees and surcharges; 0 = none.
        tax_currency: currency in which the tax is owed.
        rate_limit: requests a minute that the RateLimit headers speak of.
        rate_limited: answer 429 beyond them.
        forbidden: resources (first path part such as `refunds`) for which the token has no permission: 403.
        read_only: the token may not write: 403.
        scenario_strict: payment scenarios over HTTP start from pending_submission only, as at GoCardless.
        scenario_delay: seconds until a scenario asked for over HTTP is played.
    """

    fx_without: str = "nulls"
    fx_late: bool = True
    tax_sign: str = "positive"
    half: str = "up"
    bounced_keeps_id: bool = True
    bounce_names_payout: bool = False
    chargeback_cancelled_item: str = "payment_paid_out"
    events_late: float = 0
    events_linked: bool = True
    events_archived: bool = True
    subscription_metadata: bool = False
    metadata_merges: bool = False
    key_lifetime: float | None = 86_400
    gone_reason: str | None = "payout_items_unavailable"
    webhook_meta: bool = True
    webhooks_disordered: bool = False
    fees_deducted: bool = True
    fee_permille: int = 10
    fee_flat: int = 20
    fee_cap: int = 400
    surcharge: int = 500
    vat_percent: int = 20
    tax_currency: str = "GBP"
    rate_limit: int = 1000
    rate_limited: bool = False
    forbidden: tuple[str, ...] = ()
    read_only: bool = False
    scenario_strict: bool = False
    scenario_delay: float = 0
