"""Which invoices a payment at GoCardless pays: tiers R1 to R10, the first with a result decides, two results are never a guess.

The same facts give the same result, whatever their order. Nothing is matched by points, tolerance or the name of a company; what is
only likely is a suggestion that a person confirms.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import combinations

from mlc.core.clues import Balances, Claim, Clue, Habits, Unclear, Verdict
from mlc.core.facts import Invoice
from mlc.core.money import Money, MoneyError

_SEPARATORS = re.compile(r"[,;|]")
_GREATEST = 2**31 - 1  # SAP's numbers are Edm.Int32
_SHORTEST = 4  # a number of fewer characters is no evidence in a free text
_SUBSET = 12  # so many open invoices are tried together
_NEAR = timedelta(days=10)
_AROUND = timedelta(days=3)


def match(clue: Clue, shelf: Balances, habits: Habits) -> Verdict | Unclear:
    """Decide what a payment pays; takes nothing from the shelf."""
    try:
        return _match(clue, shelf, habits)
    except MoneyError as error:
        return Unclear("currency_mismatch", str(error))


def _match(clue: Clue, shelf: Balances, habits: Habits) -> Verdict | Unclear:
    if clue.decision is not None:
        return _by_decision(clue, shelf)
    named = _named(clue, shelf, habits)
    if named is not None:
        return named
    if clue.recorded and (again := _by_record(clue, shelf)) is not None:
        return again
    if clue.payer.conflict:
        return Unclear("conflict", clue.payer.conflict, _fitting(clue, shelf))
    told = _told(clue, shelf, habits)
    if told is not None:
        return told
    return _by_amount(clue, shelf) if clue.payer.card_code else _by_company(clue, shelf)


# --- R1: a person ----------------------------------------------------------------------------------------------------


def _by_decision(clue: Clue, shelf: Balances) -> Verdict | Unclear:
    assert clue.decision is not None
    named = list(dict.fromkeys(clue.decision))
    invoices = [shelf.invoices[entry] for entry in named if entry in shelf.invoices]
    if len(invoices) != len(named):
        return Unclear("no_open_invoice", f"{clue.payment.id}: SAP has no invoice of those that were named")
    if not invoices:
        card = clue.payer.card_code
        if not card:
            return Unclear("no_customer", f"{clue.payment.id}: on account of whom? Its customer is linked to nobody in SAP")
        return Verdict(card, (), clue.payment.amount, "R1", "a person's decision: on account")
    return _allocate(clue, shelf, invoices, "R1", "a person's decision")


# --- R2, R3: identifiers ---------------------------------------------------------------------------------------------


def _named(clue: Clue, shelf: Balances, habits: Habits) -> Verdict | Unclear | None:
    sources = [("R2", f"metadata of {clue.payment.id}", dict(clue.payment.metadata))]
    if clue.plan is not None:
        sources.append(("R3", f"metadata of {clue.plan.id}", dict(clue.plan.metadata)))
    for rule, where, data in sources:
        invoices: list[Invoice] = []
        for told, field_, value in said(data, habits):
            hits = _candidates(shelf, field_, value)
            if field_ == "doc_entry" and told.startswith("sap_doc_entry"):
                wrong = _untrusted(data, hits)
                if wrong:
                    return Unclear("conflict", f"{clue.payment.id}: {where} {told}, {wrong}")
            if not hits:
                return Unclear(
                    "no_open_invoice", f"{clue.payment.id}: {where} says {told}, and SAP has no such invoice", _own(clue, shelf)
                )
            if len(hits) > 1:
                who = ", ".join(f"docentry:{one.doc_entry} of {one.card_code}" for one in hits)
                return Unclear("ambiguous", f"{clue.payment.id}: {where} says {told}, and SAP has {len(hits)}: {who}",
                               _numbers(hits))  # fmt: skip
            if hits[0] not in invoices:
                invoices.append(hits[0])
        if invoices:
            told = ", ".join(told for told, _, _ in said(data, habits))
            evidence = f"{where}: {told} -> invoice {', '.join(_numbers(invoices))}"
            stranger = _contradicted(clue, invoices)
            if stranger:
                return Unclear("conflict", f"{clue.payment.id}: {evidence}, but {stranger}", _numbers(invoices))
            return _allocate(clue, shelf, invoices, rule, evidence)
    return None


def said(data: Mapping[str, str], habits: Habits) -> list[tuple[str, str, int]]:
    """Return (as it stands there, field of the invoice, number) of every invoice that metadata names, each once.

    Values that are no whole numbers name no SAP document and are left alone.
    """
    entry = data.get("sap_doc_entry", "").strip()
    if data.get("sap_company") == habits.company and entry.isdecimal() and len(entry) < 11 and int(entry) <= _GREATEST:
        return [(f"sap_doc_entry={data['sap_doc_entry'].strip()}", "doc_entry", int(data["sap_doc_entry"]))]
    found: dict[tuple[str, int], str] = {}
    for key in habits.keys:
        for part in _SEPARATORS.split(data.get(key, "")):
            text = part.strip()
            if text.isdecimal() and len(text) < 11 and text == str(int(text)) and int(text) <= _GREATEST:
                found.setdefault(("doc_entry" if key.lower() == "docentry" else "doc_num", int(text)), f"{key}={text}")
    return [(told, field_, number) for (field_, number), told in found.items()]


def _candidates(shelf: Balances, field_: str, value: int) -> list[Invoice]:
    """Return the invoices of a number, those that are open where any is: DocNum is unique per series only."""
    if field_ == "doc_entry":
        hits = [shelf.invoices[value]] if value in shelf.invoices and not shelf.invoices[value].cancelled else []
    else:
        hits = shelf.numbered(value)
    return [one for one in hits if _left(shelf, one) > 0] or hits


def _left(shelf: Balances, one: Invoice) -> int:
    """Return what is open, 0 where the figure is of no known currency."""
    try:
        return shelf.open(one).minor
    except MoneyError:
        return 0


def _untrusted(data: Mapping[str, str], hits: Sequence[Invoice]) -> str:
    """A DocEntry is trusted only with the number and customer that stand beside it: a restored company reuses entries."""
    one = hits[0] if hits else None
    if one is not None and not data.get("sap_doc_num", "").strip():
        return "without the sap_doc_num that belongs to it"
    for key, value in (("sap_doc_num", one and one.doc_num), ("sap_card_code", one and one.card_code)):
        there = data.get(key, "").strip()
        if one is not None and there and there != str(value):
            return f"but its {key} is {there} and SAP says {value}"
    return ""


def _contradicted(clue: Clue, invoices: Sequence[Invoice]) -> str:
    """Say where the payer is known to be somebody else than whose invoice it is."""
    if clue.payer.conflict:
        return clue.payer.conflict
    known = clue.payer.card_code if not clue.payer.weak else ""  # an e-mail alone contradicts nobody's metadata
    strangers = [one for one in invoices if known and one.card_code != known]
    if not strangers:
        return ""
    return f"the payer is {clue.payer.card_code} ({clue.payer.evidence}) and invoice {strangers[0].doc_num} is of {strangers[0].card_code}"


def _by_record(clue: Clue, shelf: Balances) -> Verdict | None:
    """The same payment collected again: onto the invoices it was booked on before, where they are open again for it."""
    if sum(minor for _, minor in clue.recorded) != clue.payment.amount.minor:
        return None
    claims = []
    wanted: dict[int, int] = {}
    for entry, minor in clue.recorded:
        wanted[entry] = wanted.get(entry, 0) + minor
    for entry, minor in wanted.items():
        one = shelf.invoices.get(entry)
        if one is None or shelf.open(one).currency != clue.payment.amount.currency or shelf.open(one).minor < minor:
            return None
        claims.append(Claim(entry, one.doc_num, one.card_code, Money(minor, clue.payment.amount.currency), one.branch))
    zero = Money(0, clue.payment.amount.currency)
    numbers = ", ".join(str(claim.doc_num) for claim in claims)
    evidence = f"{clue.payment.id} was booked on invoice {numbers} before and taken back"
    return Verdict(claims[0].card_code, tuple(claims), zero, "recorded", evidence)


# --- R4, R5: free texts ----------------------------------------------------------------------------------------------


def _told(clue: Clue, shelf: Balances, habits: Habits) -> Verdict | Unclear | None:
    plan = clue.plan
    for rule, where, text in (
        ("R4", "description", clue.payment.description), ("R5", "reference", clue.payment.reference),
        ("R5", f"name of {plan.id}" if plan else "", plan.name if plan else ""),
    ):  # fmt: skip
        tokens = tokens_of(text, habits)
        numbers = sorted({int(token) for token in tokens if token.isdecimal() and len(token) < 19 and token == str(int(token))})
        hits = sorted((one for number in numbers for one in shelf.numbered(number)), key=lambda one: one.doc_entry)
        mine = [one for one in hits if one.card_code == clue.payer.card_code]
        owing = [one for one in hits if _left(shelf, one) > 0]
        open_ = [one for one in owing if shelf.open(one).currency == clue.payment.amount.currency]
        evidence = f"{where} {text!r}"
        if not open_:
            if len(mine) == 1 and mine[0] in owing:
                return _other_currency(clue, mine[0], shelf.open(mine[0]))
            if len(mine) == 1:
                return _closed(clue, shelf, mine, f"its {evidence}")
            continue
        if len(open_) > 1:
            return Unclear("ambiguous", f"{clue.payment.id}: its {evidence} names {len(open_)} open invoices", _numbers(open_))
        one = open_[0]
        left = shelf.open(one)
        once = tokens.count(str(one.doc_num)) == 1
        if once and one.card_code == clue.payer.card_code and left == clue.payment.amount:
            return _allocate(clue, shelf, [one], rule, f"{evidence} -> invoice {one.doc_num}, {clue.payer.evidence}")
        if clue.payer.card_code and one.card_code != clue.payer.card_code:
            why = f"it is of {one.card_code}, the payer is {clue.payer.card_code}"
            return Unclear(
                "conflict", f"{clue.payment.id}: its {evidence} names invoice {one.doc_num}, but {why}", _numbers([one])
            )
        why = f"{left} are open on it" if clue.payer.card_code else "nobody says who the payer is"
        return Unclear("suggestion", f"{clue.payment.id}: its {evidence} names invoice {one.doc_num}; {why}", _numbers([one]))
    return None


def tokens_of(text: str, habits: Habits) -> list[str]:
    """Return what looks like an invoice number in a free text, as often as it stands there."""
    if not text:
        return []
    found = []
    for hit in re.finditer(habits.pattern, text):
        around = text[max(0, hit.start() - 1) : hit.start()] + text[hit.end() : hit.end() + 1]
        number = hit[1] if hit.re.groups and hit[1] else hit[0]  # a pattern may name its number by a group: INV-(\\d+)
        if not any(one.isalnum() for one in around) and len(number) >= _SHORTEST:
            found.append(number)
    return found


# --- R6 to R10: amounts ----------------------------------------------------------------------------------------------


def _by_amount(clue: Clue, shelf: Balances) -> Verdict | Unclear:
    card, amount = clue.payer.card_code, clue.payment.amount
    own = shelf.of(card, amount.currency)
    equal = [one for one, left in own if left == amount]
    who = f"{card} ({clue.payer.evidence})"
    if len(equal) == 1:
        return _allocate(clue, shelf, equal, "R6", f"the only open invoice of {who} over {amount}")
    if own and sum(left.minor for _, left in own) == amount.minor:
        return _allocate(clue, shelf, [one for one, _ in own], "R7", f"all open invoices of {who} together are {amount}")
    if len(equal) > 1:
        return _nearest(clue, equal, who)
    return _subset(clue, own, who) or _nothing(clue, shelf, who)


def _nearest(clue: Clue, equal: Sequence[Invoice], who: str) -> Unclear:
    """R8: of several equal balances the one due nearest to the day of the charge is likely, never certain."""
    amount, day = clue.payment.amount, clue.payment.charged
    text = f"{clue.payment.id}: {who} has {len(equal)} open invoices over {amount}"
    if day is None:
        return Unclear("ambiguous", text, _numbers(equal))
    by_distance = sorted(equal, key=lambda one: (abs(one.due_date - day), one.doc_entry))
    first, second = (abs(one.due_date - day) for one in by_distance[:2])
    if first < second and first <= _NEAR:
        return Unclear("suggestion", f"{text}; {by_distance[0].doc_num} is due nearest to {day}", _numbers(by_distance))
    return Unclear("ambiguous", text, _numbers(by_distance))


def _subset(clue: Clue, own: Sequence[tuple[Invoice, Money]], who: str) -> Unclear | None:
    """R9: one subset, and only one, of at most twelve open invoices adds up to the payment."""
    if not 2 <= len(own) <= _SUBSET:
        return None
    sums = [
        chosen
        for size in range(2, len(own))
        for chosen in combinations(own, size)
        if sum(left.minor for _, left in chosen) == clue.payment.amount.minor
    ]
    if not sums:
        return None
    numbers = [_numbers([one for one, _ in chosen]) for chosen in sums]
    text = f"{clue.payment.id}: of the open invoices of {who}, "
    if len(sums) == 1:
        return Unclear("suggestion", f"{text}{' + '.join(numbers[0])} add up to {clue.payment.amount}", numbers[0])
    every = tuple(dict.fromkeys(number for part in numbers for number in part))
    return Unclear("ambiguous", f"{text}{len(sums)} choices add up to {clue.payment.amount}", every)


def _by_company(clue: Clue, shelf: Balances) -> Unclear:
    """R10: without a customer, an amount that is unique in the whole company and due around the day of the charge."""
    payment = clue.payment
    equal = shelf.equal(payment.amount)
    day = payment.charged
    if len(equal) == 1 and day is not None and abs(equal[0].due_date - day) <= _AROUND:
        one = equal[0]
        text = f"{payment.id}: nobody says who the payer is; only invoice {one.doc_num} of {one.card_code} is over {payment.amount}"
        return Unclear("suggestion", text, _numbers([one]))
    text = f"{payment.id} over {payment.amount}: its customer is linked to nobody in SAP"
    return Unclear("no_customer", text + (f"; {clue.payer.evidence}" if clue.payer.evidence else ""), _numbers(equal[:_SUBSET]))


def _nothing(clue: Clue, shelf: Balances, who: str) -> Unclear:
    amount = clue.payment.amount
    others = [one for one in shelf.every_of(clue.payer.card_code) if _left(shelf, one) > 0]
    foreign = [one for one in others if shelf.open(one).currency != amount.currency]
    own = _own(clue, shelf)
    if not own and foreign:
        return _other_currency(clue, foreign[0], shelf.open(foreign[0]))
    text = f"{clue.payment.id} over {amount}: " + (f"no open invoice of {who} fits" if own else f"{who} has no open invoice")
    return Unclear("no_open_invoice", text, own)


# --- what they share -------------------------------------------------------------------------------------------------


def _allocate(clue: Clue, shelf: Balances, invoices: Sequence[Invoice], rule: str, evidence: str) -> Verdict | Unclear:
    """Put the amount on named invoices, in the order named; never more than is open."""
    payment = clue.payment
    owners = sorted({(one.card_code, one.branch) for one in invoices}, key=str)
    if len(owners) > 1:
        who = ", ".join(card + (f" (branch {branch})" if branch is not None else "") for card, branch in owners)
        return Unclear(
            "several_partners", f"{payment.id}: {evidence}: they are of {who}; one payment is never split", _numbers(invoices)
        )
    foreign = [one for one in invoices if shelf.open(one).currency != payment.amount.currency]
    if foreign:
        return _other_currency(clue, foreign[0], shelf.open(foreign[0]))
    if all(shelf.open(one).minor <= 0 for one in invoices):
        return _closed(clue, shelf, invoices, evidence)
    left = payment.amount.minor
    claims: list[Claim] = []
    rejected = []
    for one in invoices:
        takes = min(left, shelf.open(one).minor)
        if takes > 0:
            claims.append(Claim(one.doc_entry, one.doc_num, one.card_code, Money(takes, payment.amount.currency), one.branch))
            left -= takes
        else:
            rejected.append(f"{one.doc_num}: {'nothing is left for it' if shelf.open(one).minor > 0 else 'is closed'}")
    named = {one.doc_entry for one in invoices}
    for one, open_ in shelf.of(owners[0][0], payment.amount.currency)[:_SUBSET]:
        if one.doc_entry not in named:
            rejected.append(f"{one.doc_num}: {open_} open, due {one.due_date}, not named by {rule}")
    rest = Money(left, payment.amount.currency)
    return Verdict(owners[0][0], tuple(claims), rest, rule, evidence, tuple(rejected))


def _closed(clue: Clue, shelf: Balances, invoices: Sequence[Invoice], evidence: str) -> Unclear:
    told = []
    for one in invoices:
        by = shelf.closed_by.get(one.doc_entry)
        told.append(f"{one.doc_num} is already closed" + (f" by {by}" if by else " in SAP"))
    text = f"{clue.payment.id}: {evidence}; {', '.join(told)}"
    return Unclear("no_open_invoice", text, _own(clue, shelf), closed=tuple(one.doc_entry for one in invoices))


def _other_currency(clue: Clue, one: Invoice, left: Money) -> Unclear:
    text = f"{clue.payment.id} is in {clue.payment.amount.currency}, invoice {one.doc_num} in {left.currency}"
    return Unclear("currency_mismatch", text, _numbers([one]))


def _own(clue: Clue, shelf: Balances) -> tuple[str, ...]:
    """Return the payer's open invoices, those over the amount first."""
    own = shelf.of(clue.payer.card_code, clue.payment.amount.currency) if clue.payer.card_code else []
    fitting = sorted(own, key=lambda pair: pair[1] != clue.payment.amount)
    return _numbers([one for one, _ in fitting[:_SUBSET]]) or _fitting(clue, shelf)


def _fitting(clue: Clue, shelf: Balances) -> tuple[str, ...]:
    return _numbers(shelf.equal(clue.payment.amount)[:_SUBSET])


def _numbers(invoices: Iterable[Invoice]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one.doc_num) for one in invoices))
