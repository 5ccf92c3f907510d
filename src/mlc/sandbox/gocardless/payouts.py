"""Payouts: what waits becomes one, is paid or bounces, is converted; and what settles with it says so."""

from __future__ import annotations

from decimal import Decimal

from .base import Record
from .errors import state
from .money import FEES, Item, converted, whole
from .refunds import Refunds

SETTLED = {"payment_charged_back": "chargeback_settled", "payment_failed": "late_failure_settled"}


class Payouts(Refunds):
    """What payouts go through."""

    def make_payout(self, currency: str | None = None, *, creditor: str | None = None, partner: bool = False) -> str | None:
        """Put all that waits in a currency into a payout; None while the balance is not positive."""
        payer, kind = creditor or self.creditor, "partner" if partner else "merchant"
        if currency is None:
            open_ones = [key[1] for key, items in self.waiting.items() if items and key[0] == payer and key[2] == kind]
            currency = open_ones[0] if open_ones else "GBP"
        items = self.waiting.get((payer, currency, kind), [])
        amount = whole(sum(one.tenths for one in items), self.switches.half)
        if amount < 1:
            return None
        self.waiting[payer, currency, kind] = []
        fees = [one for one in items if one.type in FEES]
        others = sum(one.tenths for one in items if one.type not in FEES) // 10
        made = self._payout(payer, currency, kind, amount, 0 if partner else others - amount, items)
        made["tax_currency"] = self.switches.tax_currency if any(one.tax for one in fees) else None
        self.cause = None
        if not partner:
            self._settle(made)
        return str(made["id"])

    def _payout(self, creditor: str, currency: str, kind: str, amount: int, fees: int, items: list[Item]) -> Record:
        account, target = self.payout_account(creditor, currency)
        made = self.put(
            "payouts",
            amount=amount,
            arrival_date=None,
            currency=currency,
            deducted_fees=fees,
            fx=None,
            metadata={},
            payout_type=kind,
            reference=None,
            status="pending",
            tax_currency=None,
            links={"creditor": creditor, "creditor_bank_account": account},
            _items=items,
            _target=target,
            _rate=None,
            _fx_amount=None,
            _announced=False,
            _tax_rate=None,
            _replaces=None,
        )
        made["reference"] = f"ACME-{made['id'][2:]}"
        return made

    def _settle(self, payout: Record) -> None:
        """Tell of everything that a payout settles."""
        link = {"payout": str(payout["id"])}
        for item in payout["_items"]:
            if item.type in ("payment_refunded", "refund"):
                refund = self.get("refunds", item.refund)
                refund["_payout"] = payout["id"]
                self.emit("refunds", refund, "refund_settled", "refund_settled", links=link)
            elif item.payment is not None and item.refund is None:
                self._settle_payment(payout, item, link)

    def _settle_payment(self, payout: Record, item: Item, link: dict[str, str]) -> None:
        payment = self.get("payments", item.payment)
        if item.type == "payment_paid_out" and item.round == payment["_round"] and payment["status"] == "confirmed":
            payment["status"], payment["links"]["payout"] = "paid_out", payout["id"]
            self.emit("payments", payment, "paid_out", "payment_paid_out", links=link)
        elif item.type in SETTLED and item.tenths < 0:
            self.emit("payments", payment, SETTLED[item.type], SETTLED[item.type], links=link)
        elif item.type == "surcharge_fee":
            action = "surcharge_fee_debited" if item.tenths < 0 else "surcharge_fee_credited"
            self.emit("payments", payment, action, action, links=link)

    def pay_payout(self, ident: str, rate: str | None = None) -> str:
        """Pay a payout; one that is converted stays pending until its rate is confirmed, which a given `rate` does at once."""
        payout = self.get("payouts", ident)
        if payout["status"] != "pending" or payout["_announced"]:
            raise state("payout_invalid_state", "The payout is not pending", links={"payout": ident})
        payout["_announced"] = True
        self.emit("payouts", payout, "paid", "payout_paid")
        if payout["_target"] is None:
            self._arrive(payout)
        elif rate is not None or not self.switches.fx_late:
            self.confirm_fx_rate(ident, rate)
        return ident

    def confirm_fx_rate(self, ident: str, rate: str | None = None) -> str:
        """Confirm the rate of a paid FX payout: only now its status is paid."""
        payout = self.get("payouts", ident)
        if payout["_target"] is None or payout["status"] != "pending" or not payout["_announced"]:
            raise state("payout_invalid_state", "The payout waits for no rate", links={"payout": ident})
        payout["_rate"] = f"{Decimal(rate or self.rate(payout['currency'], payout['_target'])):.10f}"
        payout["_fx_amount"] = converted(payout["amount"], payout["_rate"])
        self._arrive(payout)
        self.emit("payouts", payout, "fx_rate_confirmed", "payout_fx_rate_confirmed")
        return ident

    def _arrive(self, payout: Record) -> None:
        payout["status"], payout["arrival_date"] = "paid", self.today(1)

    def confirm_tax_rates(self, ident: str, rate: str | None = None) -> str:
        """Confirm what the taxes of a payout amount to in the currency in which they are owed."""
        payout = self.get("payouts", ident)
        if payout["tax_currency"] in (None, payout["currency"]) or payout["_tax_rate"]:
            raise state("payout_invalid_state", "The payout has no taxes to be converted", links={"payout": ident})
        payout["_tax_rate"] = f"{Decimal(rate or self.rate(payout['currency'], payout['tax_currency'])):.10f}"
        self.emit("payouts", payout, "tax_exchange_rates_confirmed", "payout_tax_exchange_rates_confirmed")
        return ident

    def rate(self, source: str, target: str) -> str:
        """Return the estimated rate from one currency to another."""
        return self.rates.get((source, target), "1.1000000000")

    def bounce(self, ident: str) -> str:
        """Have the creditor's bank refuse a paid payout."""
        payout = self.get("payouts", ident)
        if payout["status"] != "paid":
            raise state("payout_invalid_state", "The payout is not paid", links={"payout": ident})
        payout["status"] = "bounced"
        links = {"payout": ident} if self.switches.bounce_names_payout else {}
        creditor = self.get("creditors", payout["links"]["creditor"])
        account = {"bank_account_id": payout["links"]["creditor_bank_account"]}
        self.emit("creditors", creditor, "bounced_payout", "bounced_payout", links=links, **account)
        return ident

    def retry(self, ident: str) -> str:
        """Send a bounced payout again, pending until it is paid; returns the id it has now."""
        old = self.get("payouts", ident)
        if old["status"] != "bounced" or any(one["_replaces"] == ident for one in self.tables["payouts"].values()):
            raise state("payout_invalid_state", "The payout has not bounced or was already sent again", links={"payout": ident})
        fresh = {"status": "pending", "arrival_date": None, "_announced": False, "_rate": None, "_fx_amount": None}
        if self.switches.bounced_keeps_id:
            old.update(fresh)
            return ident
        creditor, fees = old["links"]["creditor"], old["deducted_fees"]
        made = self._payout(creditor, old["currency"], old["payout_type"], old["amount"], fees, old["_items"])
        made.update(_replaces=ident, tax_currency=old["tax_currency"], _tax_rate=old["_tax_rate"])
        for payment in self.tables["payments"].values():
            if payment["links"].get("payout") == ident:
                payment["links"]["payout"] = made["id"]
        for refund in self.tables["refunds"].values():
            if refund["_payout"] == ident:
                refund["_payout"] = made["id"]
        return str(made["id"])

    def share_revenue(self, amount: int, currency: str = "GBP", creditor: str | None = None) -> None:
        """Let a share of revenue wait for the next partner payout."""
        self.wait(creditor or self.creditor, currency, [Item("revenue_share", 10 * amount)], "partner")
