"""The part of `mlc demo` in which customers pay by direct debit: payouts, matches with their rules, entries, an invoice that heals."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlc.core.errors import UnexpectedAnswerError

if TYPE_CHECKING:
    from mlc.cli.session import Session
    from mlc.sandbox.world import Week, World


def show_a_week(session: Session, world: World, run: Callable[..., None]) -> None:
    """Play a week of direct debits and reconcile it; `run` runs passes as the command line would."""
    say = session.voice.say
    say("\n5. Other customers pay by direct debit, in two currencies and for two profit centres:", "bold")
    week = world.collect_a_week()
    for line in week.told:
        say(f"   {line}")
    say("\n6. mlc reconcile-payouts --dry-run: each payout as the entry it would become", "bold")
    run("reconcile-payouts", dry_run=True)
    say("\n7. mlc reconcile-payouts: the entries are posted and close the invoices", "bold")
    run("reconcile-payouts")
    say("\n8. Money goes back, and one payment comes before its invoice:", "bold")
    for line in week.go_on():
        say(f"   {line}")
    run("reconcile-payouts")
    number = week.write_the_late_invoice()
    say(f"\n9. Invoice {number} is written in SAP; the next run heals by itself", "bold")
    run("reconcile-payouts")
    run("reconcile-payouts")
    _payouts(session, week)


def _payouts(session: Session, week: Week) -> None:
    """Set GoCardless' payouts beside the bank lines in SAP; mlc's journal is not asked."""
    rows = week.proof()
    if session.options.json:
        exact = [
            {name: int(value * 100) if isinstance(value, Decimal) else value for name, value in row.items()} for row in rows
        ]
        session.voice.emit("payouts", tied=all(row["paid_out"] == row["in_sap"] for row in rows), payouts=exact)
    else:
        session.voice.say("\nEvery payout, read from GoCardless and from SAP's bank accounts:", "bold")
        told = [(row["payout"], row["currency"], f"{row['paid_out']:.2f}", f"{row['in_sap']:.2f}", _tied(row)) for row in rows]
        session.voice.table(["payout", "", "paid out", "bank in SAP", ""], told, right=(2, 3))
    if any(row["paid_out"] != row["in_sap"] for row in rows):
        raise UnexpectedAnswerError("the payouts of the demo do not tie")


def _tied(row: dict[str, Any]) -> str:
    return "=" if row["paid_out"] == row["in_sap"] else "DIFFERS"
