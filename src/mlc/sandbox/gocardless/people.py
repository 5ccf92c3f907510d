"""Who pays and who is paid: customers, their bank accounts and mandates, the creditors and theirs."""

from __future__ import annotations

import hashlib
from typing import Any

from .base import Books, Record
from .errors import Refusal, state
from .money import CURRENCIES

ADDRESS = ("address_line1", "address_line2", "address_line3", "city", "region", "postal_code", "country_code")
CUSTOMER = ("email", "given_name", "family_name", "company_name", "phone_number", "language", *ADDRESS)
CUSTOMER_MORE = ("swedish_identity_number", "danish_identity_number")
ALIVE = ("pending_customer_approval", "pending_submission", "submitted", "active")
FIRST_PAYMENT = ("ach", "becs", "becs_nz", "sepa_core")


class People(Books):
    """Customers, mandates and creditors."""

    def __init__(self, *args: Any, **named: Any) -> None:
        """Start with the creditor that the token belongs to."""
        super().__init__(*args, **named)
        self.add_creditor("Acme", ident=self.creditor)

    def add_creditor(self, name: str, *, ident: str | None = None, country_code: str = "GB") -> str:
        """Add a creditor; its payout accounts come with the first payout in a currency."""
        made = self.put(
            "creditors",
            id=ident,
            name=name,
            **dict.fromkeys(ADDRESS),
            creditor_type="company",
            bank_reference_prefix=None,
            can_create_refunds=True,
            custom_payment_pages_enabled=False,
            fx_payout_currency=None,
            logo_url=None,
            mandate_imports_enabled=True,
            merchant_responsible_for_notifications=True,
            scheme_identifiers=[],
            verification_status="successful",
            links={f"default_{currency.lower()}_payout_account": None for currency in sorted(set(CURRENCIES.values()))},
        )
        made["country_code"] = country_code
        return str(made["id"])

    def payout_account(self, creditor: str, currency: str) -> tuple[str, str | None]:
        """Return the bank account a payout goes to, and the currency into which it is converted, if it is."""
        record = self.get("creditors", creditor)
        key = f"default_{currency.lower()}_payout_account"
        target = record["fx_payout_currency"]
        if record["links"][key] is None and target and target != currency:
            return self.payout_account(creditor, target)[0], str(target)
        if record["links"][key] is None:
            account = self.put(
                "creditor_bank_accounts",
                account_holder_name=record["name"],
                account_number_ending=f"{len(self.tables['creditor_bank_accounts']):02d}11",
                account_type=None,
                bank_name="BARCLAYS BANK PLC",
                country_code=record["country_code"],
                currency=currency,
                enabled=True,
                metadata={},
                verification_status="successful",
                links={"creditor": creditor},
            )
            record["links"][key] = account["id"]
            named = {"bank_account_id": account["id"], "currency": currency}
            self.emit("creditors", record, "new_payout_currency_added", "new_payout_currency_added", **named)
        return str(record["links"][key]), None

    def set_fx_currency(self, currency: str | None, creditor: str | None = None) -> str:
        """Have all currencies but one paid out in that one; None gives each its own account again."""
        record = self.get("creditors", creditor or self.creditor)
        record["fx_payout_currency"] = currency
        for key in record["links"]:
            if currency and key != f"default_{currency.lower()}_payout_account":
                record["links"][key] = None
        self.emit("creditors", record, "updated", "creditor_updated", property="fx_payout_currency")
        return str(record["id"])

    def set_rate(self, source: str, target: str, rate: str) -> None:
        """Set the rate at which FX payouts are estimated and, unless told otherwise, confirmed."""
        self.rates[source, target] = rate

    def add_customer(self, company_name: str | None = None, *, metadata: dict[str, str] | None = None, **fields: Any) -> str:
        """Create a customer; `fields` are the API's parameters."""
        known = dict.fromkeys((*CUSTOMER, *CUSTOMER_MORE)) | {"language": "en", "country_code": "GB"}
        given = {"company_name": company_name, **fields}
        return str(self.put("customers", **(known | given), metadata=dict(metadata or {}))["id"])

    def add_customer_bank_account(
        self,
        customer: str,
        account_holder_name: str = "Somebody",
        *,
        currency: str = "GBP",
        number: str = "55779911",
        **more: Any,
    ) -> str:
        """Add a bank account of a customer; only its last digits are kept, and the same twice is refused."""
        self.get("customers", customer)
        mark = hashlib.sha256(f"{customer}/{number}/{more.get('branch_code')}/{more.get('iban')}".encode()).hexdigest()
        for other in self.tables["customer_bank_accounts"].values():
            if other["_mark"] == mark and other["enabled"]:
                links = {"customer_bank_account": other["id"]}
                said = {"reason": "bank_account_exists", "message": "Bank account already exists", "links": links}
                raise Refusal(
                    409, "validation_failed", "Bank account already exists", slug="bank_account_exists", errors=[said]
                )
        made = self.put(
            "customer_bank_accounts",
            account_holder_name=account_holder_name,
            account_number_ending=(more.get("iban") or number)[-4:],
            account_type=more.get("account_type"),
            bank_account_token=f"bat_{mark[:32]}",
            bank_name="BARCLAYS BANK PLC",
            country_code=more.get("country_code") or "GB",
            currency=currency,
            enabled=True,
            metadata=dict(more.get("metadata") or {}),
            payer_name_verification_result=None,
            trusted_recipient=False,
            links={"customer": customer},
            _mark=mark,
        )
        return str(made["id"])

    def disable_bank_account(self, ident: str) -> str:
        """Disable a customer's bank account, and with it its mandates."""
        account = self.get("customer_bank_accounts", ident)
        if not account["enabled"]:
            raise state("bank_account_disabled", "This bank account has been disabled")
        account["enabled"] = False
        for mandate in self.tables["mandates"].values():
            if mandate["links"]["customer_bank_account"] == ident and mandate["status"] in ALIVE:
                self.end_mandate(mandate["id"], "cancelled", "bank_account_closed", origin="api")
        return ident

    def add_mandate(
        self,
        customer: str,
        scheme: str = "bacs",
        *,
        active: bool = True,
        approval: bool = False,
        account: str | None = None,
        creditor: str | None = None,
        reference: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> str:
        """Create a mandate, and a bank account for it unless one is given; active at once unless told otherwise.

        With `approval` it waits for the customer's approval first.
        """
        owner = self.get("customers", customer)
        if account is None:
            holder, number = owner["company_name"] or "Somebody", f"{len(self.tables['customer_bank_accounts']):08d}"
            account = self.add_customer_bank_account(customer, holder, currency=CURRENCIES[scheme], number=number)
        made = self.put(
            "mandates",
            authorisation_source="web",
            consent_parameters=None,
            consent_type=None,
            funds_settlement="managed",
            mandate_type="bank_debit",
            metadata=dict(metadata or {}),
            next_possible_charge_date=self.today(3),
            next_possible_standard_ach_charge_date=None,
            payments_require_approval=False,
            reference=None,
            scheme=scheme,
            status="pending_customer_approval" if approval else "pending_submission",
            verified_at=None,
            links={
                "creditor": self.get("creditors", creditor or self.creditor)["id"],
                "customer": customer,
                "customer_bank_account": account,
            },
        )
        made["reference"] = reference or f"REF-{made['id'][2:]}"
        self.emit("mandates", made, "created", "mandate_created", origin="api")
        if active and not approval:
            self.mandate_activated(made["id"])
        return str(made["id"])

    def mandate_activated(self, ident: str) -> str:
        """Submit a mandate to the banks and set it up."""
        mandate = self.get("mandates", ident)
        if mandate["status"] not in ("pending_submission", "submitted"):
            raise state("mandate_not_inactive", "Mandate is already active or cannot be activated")
        if mandate["status"] == "pending_submission":
            mandate["status"] = "submitted"
            self.emit("mandates", mandate, "submitted", "mandate_submitted", scheme=mandate["scheme"])
        mandate["status"] = "active"
        self.emit("mandates", mandate, "active", "mandate_activated", scheme=mandate["scheme"])
        return ident

    def approve_mandate(self, ident: str, action: str = "customer_approval_granted") -> str:
        """Have the customer approve a mandate, or skip that: it and its payments can now be submitted."""
        mandate = self.get("mandates", ident)
        if mandate["status"] != "pending_customer_approval":
            raise state("mandate_not_inactive", "Mandate does not wait for the customer's approval")
        mandate["status"] = "pending_submission"
        self.emit("mandates", mandate, action, action, origin="customer", scheme=mandate["scheme"])
        for payment in self.tables["payments"].values():
            if payment["links"]["mandate"] == ident and payment["status"] == "pending_customer_approval":
                payment["status"] = "pending_submission"
                granted = "customer_approval_granted"
                self.emit("payments", payment, granted, granted, origin="customer", scheme=payment["scheme"])
        return ident

    def mandate_failed(self, ident: str) -> str:
        """Have the banks refuse a mandate."""
        if self.get("mandates", ident)["status"] not in ("pending_submission", "submitted"):
            raise state("mandate_not_inactive", "Mandate is already active")
        return self.end_mandate(ident, "failed", "invalid_bank_details", origin="bank")

    def mandate_expired(self, ident: str) -> str:
        """Let a mandate expire."""
        return self.end_mandate(ident, "expired", "mandate_expired")

    def cancel_mandate(self, ident: str) -> str:
        """Cancel a mandate through the API."""
        return self.end_mandate(ident, "cancelled", "mandate_cancelled", origin="api")

    def end_mandate(self, ident: str, status: str, cause: str, *, origin: str = "gocardless") -> str:
        """End a mandate; what was not yet submitted under it is cancelled with it."""
        mandate = self.get("mandates", ident)
        if mandate["status"] not in ALIVE:
            raise state("cancellation_failed", "Mandate is not active")
        mandate["status"], mandate["next_possible_charge_date"] = status, None
        self.cause = self.emit("mandates", mandate, status, cause, origin=origin, scheme=mandate["scheme"])
        for payment in self.tables["payments"].values():
            if payment["links"]["mandate"] == ident and payment["status"] in (
                "pending_submission",
                "pending_customer_approval",
            ):
                payment["status"] = "cancelled"
                self.emit("payments", payment, "cancelled", "mandate_cancelled", scheme=payment["scheme"])
        self.cause = None
        return ident

    def reinstate_mandate(self, ident: str) -> str:
        """Bring an ended mandate back."""
        mandate = self.get("mandates", ident)
        if mandate["status"] in ALIVE:
            raise state("mandate_not_inactive", "Mandate is already active or being submitted")
        mandate["status"], mandate["next_possible_charge_date"] = "active", self.today(3)
        self.emit("mandates", mandate, "reinstated", "mandate_reinstated", scheme=mandate["scheme"])
        return ident

    def replace_mandate(self, ident: str) -> str:
        """Move a mandate to another scheme identifier: it gets a new id, and its open payments follow."""
        old = self.get("mandates", ident)
        if old["status"] != "active":
            raise state("mandate_is_inactive", "Mandate is not active")
        links = {key: value for key, value in old["links"].items() if key != "new_mandate"}
        new = self.put("mandates", **{**old, "id": None, "links": links, "metadata": dict(old["metadata"])})
        old["status"], old["links"]["new_mandate"] = "cancelled", new["id"]
        for payment in self.tables["payments"].values():
            if payment["links"]["mandate"] == ident and payment["status"] == "pending_submission":
                payment["links"]["mandate"] = new["id"]
        self.emit("mandates", old, "replaced", "scheme_identifier_changed", links={"new_mandate": new["id"]})
        return str(new["id"])

    def mandate_of(self, record: Record) -> Record:
        """Return the mandate that a payment or a refund stands on."""
        return self.get("mandates", record["links"]["mandate"])
