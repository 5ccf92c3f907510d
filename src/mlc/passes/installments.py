"""Invoices that are due in installments: what of each is open, and which of them a payment takes.

SAP publishes no sum paid per installment (facts, section 5): each is a row of the invoice's own journal entry, in their order, and what
of it is open stands among the customer's open rows. Where these do not add up to the balance nobody guesses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mlc.core.commands import Allocation
from mlc.core.facts import Installment, Invoice
from mlc.core.money import Money, MoneyError, from_decimal
from mlc.passes.scene import Scene

Plans = Mapping[int, tuple[Installment, ...]]


def read(scene: Scene, invoices: Iterable[Invoice]) -> dict[int, tuple[Installment, ...]]:
    """Return DocEntry -> installments with what is open of each; () where that cannot be told to the minor unit."""
    several = [one for one in invoices if one.installments > 1 and scene.is_local(one.currency)]
    if not several:
        return {}
    whole = {
        key: one if one.plan else None for key, one in scene.sap.invoices([o.doc_entry for o in several], whole=True).items()
    }
    entries = scene.sap.entries_by_number({one.trans_num for one in whole.values() if one is not None and one.trans_num})
    open_rows = {(item.trans, item.row): item.amount for item in scene.sap.open_items({one.card_code for one in several})}
    found: dict[int, tuple[Installment, ...]] = {}
    for doc_entry, one in whole.items():
        found[doc_entry] = ()
        entry = entries.get(one.trans_num) if one is not None else None
        if one is None or entry is None:
            continue
        rows = [line.line_id for line in entry.lines if line.short_name == one.card_code]
        if len(rows) != len(one.plan):
            continue
        try:
            plan = tuple(
                replace(part, open=from_decimal(open_rows.get((one.trans_num, row), 0 * one.total), scene.currency).minor)
                for part, row in zip(one.plan, rows, strict=True)
            )
            balance = from_decimal(one.balance, scene.currency).minor
        except MoneyError:
            continue
        if sum(part.open or 0 for part in plan) == balance:
            found[doc_entry] = plan
    return found


def spread(parts: Sequence[Allocation], plans: Plans, used: dict[tuple[int, int], int]) -> tuple[Allocation, ...] | None:
    """Return the allocations by installment, the earliest due first; None where what is open of them cannot be told.

    `used` is what payments of this batch took already.
    """
    found: list[Allocation] = []
    for part in parts:
        if part.doc_entry not in plans:
            found.append(part)
            continue
        left = part.amount.minor
        for one in sorted(plans[part.doc_entry], key=lambda each: (each.due, each.number)):
            there = (one.open or 0) - used.get((part.doc_entry, one.number), 0)
            takes = min(left, there)
            if takes > 0:
                used[part.doc_entry, one.number] = used.get((part.doc_entry, one.number), 0) + takes
                amount = Money(takes, part.amount.currency)
                found.append(Allocation(part.doc_entry, part.doc_num, amount, one.number))
                left -= takes
        if left:
            return None
    return tuple(found)


def next_due(plan: Sequence[Installment]) -> Installment | None:
    """Return the installment that is due next and not paid."""
    owed = [one for one in plan if one.open]
    return min(owed, key=lambda one: (one.due, one.number)) if owed else None
