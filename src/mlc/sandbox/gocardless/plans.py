"""Subscriptions and instalment schedules: plans that make payments of their own."""

from __future__ import annotations

from .errors import state
from .money import CURRENCIES
from .payouts import Payouts
from .people import ALIVE


class Plans(Payouts):
    """Plans as somebody in the dashboard would have made them."""

    def add_subscription(self, mandate: str, amount: int, name: str, metadata: dict[str, str] | None = None) -> str:
        """Create a monthly subscription; it makes no payment before `subscription_payment`."""
        on = self.get("mandates", mandate)
        if on["status"] not in ALIVE:
            raise state("mandate_is_inactive", "Mandate is failed, cancelled or expired", links={"mandate": mandate})
        made = self.put(
            "subscriptions",
            amount=amount,
            app_fee=None,
            count=None,
            currency=CURRENCIES[on["scheme"]],
            day_of_month=None,
            earliest_charge_date_after_resume=None,
            end_date=None,
            interval=1,
            interval_unit="monthly",
            metadata=dict(metadata or {}),
            month=None,
            name=name,
            parent_plan_paused=False,
            payment_reference=None,
            retry_if_possible=False,
            start_date=self.today(3),
            status="active",
            upcoming_payments=[{"charge_date": self.today(3), "amount": amount}],
            links={"mandate": mandate},
        )
        self.emit("subscriptions", made, "created", "subscription_created", origin="api")
        return str(made["id"])

    def subscription_payment(self, ident: str) -> str:
        """Let a subscription make its next payment, described by its name; returns the payment."""
        plan = self.get("subscriptions", ident)
        metadata = plan["metadata"] if self.switches.subscription_metadata else None
        mandate, amount = plan["links"]["mandate"], plan["amount"]
        made = self.add_payment(mandate, amount, plan["name"], metadata, subscription=ident, origin="gocardless")
        self.emit("subscriptions", plan, "payment_created", "payment_created", links={"payment": made})
        return made

    def add_instalment_schedule(
        self, mandate: str, amounts: list[int], name: str, metadata: dict[str, str] | None = None
    ) -> str:
        """Create a schedule and all of its payments."""
        on = self.get("mandates", mandate)
        if on["status"] not in ALIVE:
            raise state("mandate_is_inactive", "Mandate is failed, cancelled or expired", links={"mandate": mandate})
        made = self.put(
            "instalment_schedules",
            currency=CURRENCIES[on["scheme"]],
            metadata=dict(metadata or {}),
            name=name,
            payment_errors={},
            status="active",
            total_amount=sum(amounts),
            links={"customer": on["links"]["customer"], "mandate": mandate, "payments": []},
        )
        self.emit("instalment_schedules", made, "created", "instalment_schedule_created", origin="api")
        for number, amount in enumerate(amounts):
            made["links"]["payments"].append(
                self.add_payment(
                    mandate,
                    amount,
                    name,
                    charge_date=self.today(3 + 30 * number),
                    instalment_schedule=made["id"],
                    cause="instalment_schedule_created",
                )
            )
        return str(made["id"])
