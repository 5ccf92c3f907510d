"""A machine that does anything in any order: documents, money, faults, kills, lost and older state files, time; then counts."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from worlds import PASSES, open_names, quick_folder, still

from harness import TODAY, Company
from mlc.sandbox.kit import Fault

EXAMPLES = 60
STEPS = 25
SETTLED = 60.0  # longer than write time-out and settling time together
pick = st.integers(min_value=0, max_value=50)


class Kill(BaseException):
    """The process ends here."""


class Machine(RuleBasedStateMachine):
    """One company under everything that may happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir=quick_folder()))
        self.company = Company(self.folder)
        self.entries: list[int] = []
        self.payments: set[str] = set()

    @initialize()
    def begin(self) -> None:
        """Two customers, one without an e-mail."""
        self.company.partner("C1")
        self.company.partner("C2", email="")

    # --- documents and money ------------------------------------------------------------------------------------------

    def _open(self) -> list[str]:
        return sorted(one["id"] for one in self.company.account.all("invoice", status="open"))

    @rule(card=st.sampled_from(["C1", "C2"]), net=st.integers(min_value=10, max_value=400))
    def add_invoice(self, card: str, net: int) -> None:
        """Somebody bills."""
        self.entries.append(self.company.invoice(card, f"{net}.00"))

    @precondition(lambda self: self._open())
    @rule(which=pick, how=st.sampled_from(["full", "part", "late", "many"]))
    def pay(self, which: int, how: str) -> None:
        """A customer pays what Stripe asks for."""
        account, candidates = self.company.account, self._open()
        invoice = account.read(candidates[which % len(candidates)])
        if account.in_flight(invoice["id"]):
            return
        if how == "part" and invoice["amount_remaining"] > 300:
            self.payments.add(account.pay_partly(invoice["id"], invoice["amount_remaining"] // 3))
        elif how == "late":
            self.payments.add(account.pay_late(invoice["id"]))
        elif how == "many":
            same = [
                one for one in candidates if account.read(one)["customer"] == invoice["customer"] and not account.in_flight(one)
            ]
            self.payments.add(account.pay_many(same[:3]))
        else:
            self.payments.add(account.pay(invoice["id"]))

    @rule(amount=st.integers(min_value=100, max_value=9000))
    def pay_without_invoice(self, amount: int) -> None:
        """Money that names nothing."""
        customers = self.company.account.all("customer")
        if customers:
            self.payments.add(self.company.account.pay_without_invoice(customers[0]["id"], amount))

    @rule(works=st.booleans())
    def late_money_ends(self, *, works: bool) -> None:
        """What was on its way arrives or fails."""
        for one in self.company.account.all("payment_intent", status="processing"):
            (self.company.account.settle_late if works else self.company.account.fail_late)(one["id"])

    @rule(which=pick)
    def key_by_hand(self, which: int) -> None:
        """An accountant keys a receipt."""
        owed = [one for one in self.entries if self.company.books.open_balance(one) > 0]
        if owed:
            entry = owed[which % len(owed)]
            amount, card = self.company.books.open_balance(entry), self.company.books.invoice(entry).card_code
            self.company.books.add_receipt(card, Decimal(amount), {entry: Decimal(amount)}, date=TODAY)

    @rule(which=pick)
    def cancel(self, which: int) -> None:
        """An accountant cancels an invoice that nobody has paid."""
        whole = [one for one in self.entries if self.company.books.invoice(one).paid == 0]
        if whole:
            entry = whole[which % len(whole)]
            self.company.books.cancel_invoice(entry)
            self.entries.remove(entry)

    # --- trouble ------------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(["lost", "late", "never", "lost_html", "html"]), system=st.sampled_from(["sap", "stripe"]),
          skip=st.integers(0, 4), delay=st.integers(0, 24))  # fmt: skip
    def fault(self, kind: str, system: str, skip: int, delay: int) -> None:
        """One writing request to come goes wrong."""
        path = "/IncomingPayments$" if system == "sap" else "/v1/"
        made = Fault(kind, method="POST|DELETE", path=path, skip=skip, delay=float(delay))
        (self.company.sap if system == "sap" else self.company.stripe).faults.append(made)

    @rule(name=st.sampled_from(PASSES))
    def one_pass(self, name: str) -> None:
        """A timer fires."""
        self.company.run(name)

    @rule()
    def all_passes(self) -> None:
        """Everything in the safe order."""
        self.company.run()

    @rule(name=st.sampled_from(PASSES), at=st.integers(0, 30), after=st.booleans())
    def killed_pass(self, name: str, at: int, *, after: bool) -> None:
        """A run dies at one of its requests."""
        left = [at]

        def die(_request: httpx.Request, _response: object = None) -> None:
            left[0] -= 1
            if left[0] == -1:
                raise Kill

        for wire in self.company.wires.values():
            wire.before, wire.after = (None, die) if after else (die, None)
        try:
            self.company.run(name)
        except Kill:
            pass
        finally:
            still(self.company)

    @rule(hours=st.sampled_from([0, 1, 7, 25, 50]))
    def time_passes(self, hours: int) -> None:
        """Time passes, and what the systems still work on gets done."""
        self.company.clock.pass_time(SETTLED + hours * 3600)

    @rule()
    def lose_state(self) -> None:
        """The state file is gone, after the settling time."""
        self.company.clock.pass_time(SETTLED)
        self.company.forget()

    @rule()
    def keep_copy(self) -> None:
        """Somebody makes a backup."""
        if (self.folder / "mlc.db").exists():
            shutil.copy(self.folder / "mlc.db", self.folder / "copy")

    @precondition(lambda self: (self.folder / "copy").exists())
    @rule()
    def put_copy_back(self) -> None:
        """The backup is put back, after the settling time."""
        self.company.clock.pass_time(SETTLED)
        self.company.forget()
        shutil.copy(self.folder / "copy", self.folder / "mlc.db")

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_doubled(self) -> None:
        """Never two live invoices for a document, never two live receipts for a payment."""
        self.company.pushed()
        doubled = {marker: len(found) for marker, found in self.company.posted().items() if len(found) > 1}
        assert not doubled, doubled
        cards = Counter(one["metadata"].get("sap_card_code") for one in self.company.account.all("customer"))
        assert not [card for card, count in cards.items() if card and count > 1], cards

    def teardown(self) -> None:
        """In calm weather every payment comes to stand in SAP once, or waits for a person with a reason."""
        self.late_money_ends(works=True)
        self.company.sap.faults.clear()
        self.company.stripe.faults.clear()
        for _ in range(6):
            self.company.clock.pass_time(25 * 3600)
            self.company.run()
        self.company.check()
        self.nothing_is_doubled()
        held, posted, account = self.company.held(), self.company.posted(), self.company.account
        arrived = {one for one in self.payments if account.read(one)["status"] == "succeeded"}
        lost = [one for one in sorted(arrived) if one not in posted and not held.get(f"post-payment/stripe/{one}")]
        assert not lost, f"neither in SAP nor held: {lost}"
        assert set(posted) <= arrived
        assert open_names(self.company) == []
        pushed = self.company.pushed()
        unasked = [one for one in self.entries if one not in pushed and self.company.books.open_balance(one) > 0]
        assert not [one for one in unasked if not held.get(f"push-invoice/stripe/{one}")], unasked
        shutil.rmtree(self.folder, ignore_errors=True)


def test_the_number_of_histories_is_known() -> None:
    """How much is tried stands here, so that it is never lowered silently."""
    print(f"{EXAMPLES} histories of up to {STEPS} steps")  # noqa: T201
    assert EXAMPLES * STEPS >= 1500


Machine.TestCase.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), phases=(Phase.generate, Phase.shrink),
)  # fmt: skip
TestMachine = Machine.TestCase
