"""The clearing proof of a tenant: reads the provider's balance and SAP's account, and lets the core set them against each other.

Reads: Stripe's balance and every movement since the start, SAP's account, receipts cancelled there, what the journal knows; of
    GoCardless its balances and the payouts that bounced. Writes nothing, and takes no lock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time

from mlc.core.clearing import BEFORE, Line, Pair, Section, Statement, Totals, prove
from mlc.core.keys import is_marker
from mlc.core.money import from_decimal
from mlc.passes.scene import Scene
from mlc.store.pairing import Pairing
from mlc.systems.gocardless.balance import GoCardlessBalance
from mlc.systems.sap import back
from mlc.systems.sap.balances import AccountBalance, SapBalances
from mlc.systems.stripe.balance import StripeBalance

_TRIES = 3  # so often the reading is begun anew where money moves meanwhile
_LOOKS = 50  # so many booked payments without a movement are looked at one by one
_MARGIN = 3600  # a run may not see at once what happened just before it


@dataclass(slots=True)
class Proof:
    """One account's statement with what a reader wants beside it."""

    statement: Statement
    since: date
    account: AccountBalance | None = None
    available: int = 0
    pending: int = 0
    held: dict[str, int] = field(default_factory=dict)  # GoCardless: what its balances say
    notes: list[str] = field(default_factory=list)
    no_account: bool = False  # SAP does not have the configured account: nothing is proved


class ClearingProof:
    """Reads and proves. `shown` is the day from which the provider's columns are shown; the proof itself is always whole."""

    def __init__(self, scene: Scene, pairing: Pairing, shown: date | None = None) -> None:
        self.scene, self.pairing = scene, pairing
        self.sap = SapBalances(scene.sap.system)
        self.shown = max(shown, scene.rules.start) if shown else scene.rules.start
        self._looks = 0

    def proofs(self) -> Iterator[Proof]:
        """Yield the proof of every provider and currency."""
        if self.scene.stripe_account is not None:
            yield from self._stripe()
        if self.scene.organisation is not None and self.scene.debits.accounts.get("clearing_account"):
            yield from self._gocardless()

    # --- Stripe -----------------------------------------------------------------------------------------------------

    def _stripe(self) -> Iterator[Proof]:
        stripe, steady = StripeBalance(self.scene.stripe.system), False
        for _ in range(_TRIES):
            before = stripe.now(), self._account()
            totals = self._read(stripe)
            if steady := (stripe.now(), self._account()) == before:
                break
        balances, account = before
        seen = self._seen()
        used = [one for one, (available, pending) in balances.items() if available or pending]
        for currency in sorted({self.scene.currency, *used, *totals, *self.pairing.currencies()}):
            available, pending = balances.get(currency, (0, 0))
            local = currency == self.scene.currency
            there = account if local else None
            proof = Proof(prove(
                "Stripe", currency, available + pending, totals.get(currency, Totals()), self.pairing.pairs(currency),
                from_decimal(there.balance, currency).minor if there is not None else None, seen=seen, missing=self._missing(stripe),
                besides=self._bounced() if local and self._shared() else None,
            ), self.shown, there, available, pending)  # fmt: skip
            if not local:
                proof.notes.append(
                    f"SAP's account is in {self.scene.currency}: {currency} is not compared, this version does not book it"
                )
            elif there is None:
                proof.no_account = True
                proof.notes.append(f"SAP has no account {self.scene.rules.account(currency)}: nothing can be compared")
            if not steady:
                proof.notes.append("money moved while this was read, again and again: a drift may be that; ask again")
            yield proof

    def _account(self) -> AccountBalance | None:
        code = self.scene.rules.account(self.scene.currency)
        return self.sap.account(code) if code else None

    def _shared(self) -> bool:
        if self.scene.organisation is None:
            return False
        return self.scene.debits.account("clearing_account", self.scene.currency) == self.scene.rules.account(
            self.scene.currency
        )

    def _read(self, stripe: StripeBalance) -> dict[str, Totals]:
        """Put every movement, and what the journal knows of it, onto the table; return the sums by currency."""
        totals: dict[str, Totals] = {}
        first = int(datetime.combine(self.shown, time(), self.scene.rules.zone).timestamp())
        self.pairing.clear()
        for page in stripe.movements_since(int(self.scene.first_moment().timestamp())):
            for one in page:
                totals.setdefault(one.currency, Totals()).add(one, first)
            self.pairing.move(page)
        for receipts in back.cancelled_receipts(self.scene.sap, self.scene.rules.start):
            self.pairing.cancelled((receipt.doc_entry, receipt.doc_num) for receipt in receipts if is_marker(receipt.reference))
        self.pairing.know()
        return totals

    def _seen(self) -> dict[str, int]:
        """Return up to when the passes have seen everything: younger movements wait for the next run."""
        last = {run["pass"]: int(run["success"] or 0) - _MARGIN for run in self.scene.journal.runs.last()}
        posted = last.get("post-payments", 0)
        return {"payments": posted, "refunds_disputes": posted, "payouts": last.get("reconcile-payouts", 0)}

    def _missing(self, stripe: StripeBalance) -> Missing:
        return Missing(stripe, int(self.scene.first_moment().timestamp()))

    # --- GoCardless -------------------------------------------------------------------------------------------------

    def _gocardless(self) -> Iterator[Proof]:
        """GoCardless' payouts go straight to the bank: its clearing account holds only what bounced and was not paid again."""
        scene = self.scene
        currency = scene.currency
        code = scene.debits.account("clearing_account", currency)
        there = self.sap.account(code) if code else None
        bounced = self._bounced()
        statement = Statement(
            "GoCardless", currency, 0, 0, Totals(), from_decimal(there.balance, currency).minor if there else None
        )
        statement.booked = {"bounced": bounced.minor}
        if bounced.count:
            statement.explained["bounced"] = bounced
        proof = Proof(statement, self.shown, there)
        for owned, kind, minor in GoCardlessBalance(scene.gocardless.system).now():
            proof.held[f"{kind} {owned}"] = proof.held.get(f"{kind} {owned}", 0) + minor
        if there is None:
            proof.no_account = True
            proof.notes.append(f"SAP has no account {code or 'that is configured'}: nothing can be compared")
        if scene.stripe_account is not None and self._shared():
            proof.statement.account = None
            proof.notes.append("it is Stripe's account too: compared there")
        yield proof

    def _bounced(self) -> Section:
        """Return the payouts that bounced, were booked so, and were not paid again: few, so each is read."""
        found = Section()
        for mark in self.scene.journal.links.all_in_state("payout", "bounced-booked"):
            payout = self.scene.gocardless.payout(mark.key)
            if payout is not None:
                fx = payout.exchange
                minor = fx.amount if fx is not None and fx.amount is not None else payout.amount.minor
                found.add(Line(mark.key, minor, "bounced", "the bank sent it back, and it was not paid again yet"))
        return found


@dataclass(slots=True)
class Missing:
    """Looks at payments that are booked and never moved, so many and no more."""

    stripe: StripeBalance
    start: int
    left: int = _LOOKS

    def __call__(self, pair: Pair) -> tuple[str, str]:
        """Return why a booked thing has no movement, "" where nothing says so."""
        if pair.kind != "payment" or not self.left:
            return "", ""
        self.left -= 1
        at = self.stripe.reached(pair.key)
        if at is None:
            return "", ""
        if not at:
            return "not_in_balance", "it succeeded, and has not reached Stripe's balance yet"
        return (BEFORE, "it reached Stripe's balance before the start") if at < self.start else ("", "")
