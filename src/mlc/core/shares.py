"""Splitting an amount over profit centres: in proportion, exactly, by the largest remainder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from mlc.core.facts import Invoice, Partner

Codes = tuple[str, str, str, str, str]
NO_CODES: Codes = ("", "", "", "", "")


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Where each of the five cost centres of a line comes from: (invoice | customer_field | fixed, value)."""

    rules: Mapping[int, tuple[str, str]]

    @property
    def by_invoice(self) -> bool:
        """Tell whether any of them is taken from an invoice's lines."""
        return any(kind == "invoice" for kind, _ in self.rules.values())

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the user fields of the business partner that are needed."""
        return tuple(dict.fromkeys(value for kind, value in self.rules.values() if kind == "customer_field"))

    def codes(self, partner: Partner | None, of_line: Sequence[str] = ()) -> Codes:
        """Return the five codes of one line; of the invoice's, those that the rules take from it."""
        fields = dict(partner.fields) if partner else {}
        found = []
        for number in range(1, 6):
            kind, value = self.rules.get(number, ("", ""))
            if kind == "invoice":
                found.append(of_line[number - 1] if len(of_line) >= number else "")
            elif kind == "customer_field":
                found.append(fields.get(value, ""))
            else:
                found.append(value if kind == "fixed" else "")
        return found[0], found[1], found[2], found[3], found[4]


def split(amount: int, weights: Sequence[Decimal]) -> list[int]:
    """Return whole shares in proportion to the weights that add up to the amount exactly.

    What rounding down leaves goes to the largest remainders, the first of equal ones. A negative weight (a discount line of its
    own) has a share of the other sign. Without any weight the first takes all.
    """
    if amount < 0:
        return [-share for share in split(-amount, weights)]
    total = sum((Fraction(weight) for weight in weights), Fraction(0))
    if total == 0:
        return [amount, *([0] * (len(weights) - 1))]
    exact = [Fraction(amount) * Fraction(weight) / total for weight in weights]
    shares = [part.numerator // part.denominator for part in exact]  # rounded down
    by_remainder = sorted(range(len(exact)), key=lambda number: (shares[number] - exact[number], number))
    for number in by_remainder[: amount - sum(shares)]:
        shares[number] += 1
    return shares


def groups(invoice: Invoice | None, partner: Partner | None, dimensions: Dimensions) -> list[tuple[Codes, str, Decimal]]:
    """Return (codes, project, weight) of an invoice's lines, those of equal codes together, in the order of the lines."""
    if invoice is None or not dimensions.by_invoice or not invoice.lines:
        return [(dimensions.codes(partner), "", Decimal(1))]
    found: dict[tuple[Codes, str], Decimal] = {}
    for line in invoice.lines:
        key = (dimensions.codes(partner, line.codes), line.project)
        found[key] = found.get(key, Decimal(0)) + line.gross
    whole = [(codes, project, gross) for (codes, project), gross in found.items() if gross]
    if not whole or sum(gross for _, _, gross in whole) <= 0:
        return [(dimensions.codes(partner), "", Decimal(1))]
    return whole
