"""Which parameters each write takes, how long they may be, and which of them are required."""

from __future__ import annotations

from .checks import (
    ADDRESS,
    Fields,
    boolean,
    choice,
    currency,
    decimal,
    email,
    exactly,
    group,
    ident,
    integer,
    listing,
    metadata,
    text,
)
from .words import words

STAMP = integer(0, 2**34)
CUSTOM_FIELDS = listing(group({"name": text(40), "value": text(140)}, "name", "value"), 4, unset=True)
PERIOD = group({"start": STAMP, "end": STAMP}, "start", "end")
SHIPPING = group({"address": ADDRESS, "name": text(256), "phone": text(20)}, "address", "name", unset=True)
NO_DISCOUNTS = exactly("")
PAYMENT_SETTINGS = group(
    {
        "payment_method_types": listing(text(40), 50, unset=True),
        "default_mandate": text(255),
        "payment_method_options": group({}),
    }
)
PRODUCT_DATA = group(
    {"name": text(5000), "description": text(40000), "metadata": metadata, "tax_code": text(255), "unit_label": text(12)},
    "name",
)
PRICE_DATA = group(
    {
        "currency": currency,
        "product": ident(),
        "product_data": PRODUCT_DATA,
        "unit_amount": integer(),
        "unit_amount_decimal": decimal(12),
        "tax_behavior": choice("exclusive", "inclusive", "unspecified"),
    },
    "currency",
)
TAX_RATE_DATA = group(
    {
        "display_name": text(100),
        "inclusive": boolean,
        "percentage": decimal(4),
        "country": text(2),
        "description": text(5000),
        "jurisdiction": text(50),
        "jurisdiction_level": choice("city", "country", "county", "district", "multiple", "state"),
        "state": text(5000),
        "tax_type": choice(
            *words("amusement_tax communications_tax gst hst igst jct lease_tax pst qst retail_delivery_fee rst sales_tax"),
            *words("service_tax vat"),
        ),
    },
    "display_name",
    "inclusive",
    "percentage",
)
TAX_AMOUNT = group(
    {
        "amount": integer(),
        "taxable_amount": integer(),
        "tax_rate_data": TAX_RATE_DATA,
        "taxability_reason": choice(
            *words("customer_exempt not_collecting not_subject_to_tax not_supported portion_product_exempt"),
            *words("portion_reduced_rated portion_standard_rated product_exempt product_exempt_holiday"),
            *words("proportionally_rated reduced_rated reverse_charge standard_rated taxable_basis_reduced zero_rated"),
        ),
    },
    "amount",
    "taxable_amount",
    "tax_rate_data",
)
LINE: Fields = {
    "amount": integer(),
    "description": text(5000),
    "discountable": boolean,
    "discounts": NO_DISCOUNTS,
    "metadata": metadata,
    "period": PERIOD,
    "price_data": PRICE_DATA,
    "pricing": group({"price": ident()}),
    "quantity": integer(0),
    "tax_amounts": listing(TAX_AMOUNT, 10, unset=True),
    "tax_rates": listing(ident(), 10, unset=True),
}
CUSTOMER: Fields = {
    "name": text(256),
    "email": email,
    "description": text(5000),
    "phone": text(20),
    "address": ADDRESS,
    "shipping": SHIPPING,
    "metadata": metadata,
    "preferred_locales": listing(text(10), 20, unset=True),
    "tax_exempt": choice("none", "exempt", "reverse", unset=True),
    "balance": integer(),
    "invoice_prefix": text(12),
    "next_invoice_sequence": integer(1),
    "business_name": text(150),
    "individual_name": text(150),
    "invoice_settings": group({"custom_fields": CUSTOM_FIELDS, "default_payment_method": text(255), "footer": text(5000)}),
}
SUBSCRIPTION: Fields = {
    "metadata": metadata,
    "pause_collection": group(
        {"behavior": choice("keep_as_draft", "mark_uncollectible", "void"), "resumes_at": STAMP}, "behavior", unset=True
    ),
}
TAX_ID = listing(group({"type": text(40), "value": text(255)}, "type", "value"), 5)
INVOICE_UPDATE: Fields = {
    "auto_advance": boolean,
    "automatic_tax": group({"enabled": exactly("false")}, "enabled"),
    "collection_method": choice("charge_automatically", "send_invoice"),
    "custom_fields": CUSTOM_FIELDS,
    "days_until_due": integer(0, 3650),
    "description": text(1500),
    "discounts": NO_DISCOUNTS,
    "due_date": STAMP,
    "effective_at": integer(0, 2**34, unset=True),
    "footer": text(5000),
    "issuer": group({"type": exactly("self")}, "type"),
    "metadata": metadata,
    "number": text(26),
    "payment_settings": PAYMENT_SETTINGS,
    "rendering": group(
        {
            "amount_tax_display": choice("exclude_tax", "include_inclusive_tax", unset=True),
            "pdf": group({"page_size": choice("a4", "auto", "letter")}),
        }
    ),
    "statement_descriptor": text(22),
}
INVOICE: Fields = {
    **INVOICE_UPDATE,
    "customer": ident(),
    "currency": currency,
    "pending_invoice_items_behavior": choice("exclude", "include"),
}
ITEM: Fields = {key: check for key, check in LINE.items() if key != "tax_amounts"} | {
    "customer": ident(),
    "invoice": ident(),
    "currency": currency,
}
INTENT: Fields = {
    "amount": integer(1),
    "currency": currency,
    "customer": ident(),
    "description": text(1000),
    "metadata": metadata,
    "payment_method": ident(),
    "allowed_payment_method_types": listing(text(40), 50),
    "automatic_payment_methods": group({"enabled": boolean, "allow_redirects": choice("always", "never")}, "enabled"),
    "confirm": boolean,
    "receipt_email": email,
}
CREDIT_LINE = group(
    {
        "type": choice("custom_line_item", "invoice_line_item"),
        "amount": integer(0),
        "description": text(5000),
        "invoice_line_item": ident(),
        "quantity": integer(0),
        "unit_amount": integer(0),
        "metadata": metadata,
    },
    "type",
)
CREDIT_NOTE: Fields = {
    "invoice": ident(),
    "amount": integer(0),
    "lines": listing(CREDIT_LINE, 250),
    "credit_amount": integer(0),
    "refund_amount": integer(0),
    "out_of_band_amount": integer(0),
    "refunds": listing(group({"refund": ident(), "amount_refunded": integer(1), "type": choice("refund")}, "refund"), 100),
    "reason": choice("duplicate", "fraudulent", "order_change", "product_unsatisfactory"),
    "memo": text(5000),
    "metadata": metadata,
    "effective_at": STAMP,
    "email_type": choice("credit_note", "none"),
}
RECORD: Fields = {
    "amount_requested": group({"value": integer(1), "currency": currency}, "value", "currency"),
    "initiated_at": STAMP,
    "payment_method_details": group(
        {
            "type": choice("custom"),
            "custom": group({"display_name": text(100), "type": text(255)}),
            "payment_method": ident(),
        }
    ),
    "processor_details": group(
        {"type": choice("custom"), "custom": group({"payment_reference": text(5000)}, "payment_reference")}, "type"
    ),
    "outcome": choice("guaranteed", "failed", "canceled"),
    "guaranteed": group({"guaranteed_at": STAMP}, "guaranteed_at"),
    "failed": group({"failed_at": STAMP}, "failed_at"),
    "canceled": group({"canceled_at": STAMP}, "canceled_at"),
    "customer_details": group({"customer": ident(), "email": text(512), "name": text(256), "phone": text(20)}),
    "customer_presence": choice("on_session", "off_session"),
    "description": text(1000),
    "metadata": metadata,
}
REFUND: Fields = {
    "charge": ident(),
    "payment_intent": ident(),
    "amount": integer(1),
    "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
    "metadata": metadata,
}
# valid at Stripe, but nothing the simulator could do with them would be true
ELSEWHERE = {
    "/v1/customers": words("cash_balance payment_method source tax test_clock validate default_source"),
    "/v1/invoices": words(
        "account_tax_ids application_fee_amount customer_account default_payment_method default_source default_tax_rates "
        "from_invoice on_behalf_of shipping_cost shipping_details subscription transfer_data automatically_finalizes_at "
        "quantity_decimal"
    ),
    "/v1/invoiceitems": words(
        "customer_account discounts quantity_decimal subscription tax_behavior tax_code unit_amount_decimal invoicing_rules"
    ),
    "/v1/payment_intents": words(
        "amount_details application_fee_amount capture_method confirmation_method mandate off_session on_behalf_of "
        "payment_method_data payment_method_options return_url setup_future_usage shipping statement_descriptor "
        "statement_descriptor_suffix transfer_data transfer_group confirmation_token customer_account "
        "error_on_requires_action excluded_payment_method_types hooks mandate_data payment_details radar_options "
        "payment_method_configuration use_stripe_sdk allowed_payment_method_types currency customer payment_method"
    ),
    "/v1/credit_notes": ["shipping_cost"],
    "/v1/refunds": words("currency customer instructions_email origin refund_application_fee reverse_transfer"),
    "/v1/webhook_endpoints": ["connect"],
    "/v1/payment_records": ["shipping_details"],
}
