"""Deciding one payout: what stands in the way of its entry, or the entry itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import ROUND_HALF_UP, Decimal

from mlc.core.clues import Balances
from mlc.core.commands import EntryLine, Part, PostEntry
from mlc.core.debits import Payout
from mlc.core.identities import Problem, unsound
from mlc.core.money import Money
from mlc.core.placing import Case, Placer
from mlc.core.postings import Accounts, Terms, build
from mlc.passes.payout_batch import ROLES, Opened, PayoutFacts, rates_of
from mlc.passes.scene import Scene


@dataclass(slots=True)
class Outcome:
    """What became of a payout: its entry, or why there is none yet."""

    entry: PostEntry | None = None
    problems: list[Problem] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    lines: tuple[EntryLine, ...] = ()
    estimated_vat: int | None = None  # local minor units, where the rate of the tax is not confirmed yet


def outcome(scene: Scene, facts: PayoutFacts, one: Opened, shelf: Balances) -> Outcome:
    """Return the entry of a paid payout that SAP does not hold yet; `shelf` is drawn from."""
    payout = one.payout
    if one.gone:
        text = f"{payout.id} of {payout.created.date()} is older than six months: GoCardless no longer tells what is in it"
        return Outcome(problems=[Problem("payout_too_old", text, amount=payout.amount)])
    stop = _gates(scene, facts, payout) or unsound(payout, one.items, facts.payments) or _foreign(scene, one, facts)
    if stop is not None:
        return Outcome(problems=[stop])
    rules = scene.debits
    bank_currency = payout.exchange.currency if payout.exchange is not None else payout.amount.currency
    case = Case(
        payout, one.items, rates_of(payout, facts, scene.currency), facts.payments, facts.clues, facts.payers, facts.history,
        facts.reopenable, facts.left,
        facts.paid_elsewhere, rules.on_unmatched, _code(facts, rules.account("unallocated_account", bank_currency)),
    )  # fmt: skip
    placed = Placer(case, shelf, rules.habits).place()
    if placed.problems:
        return Outcome(problems=placed.problems, parts=placed.parts)
    terms = terms_of(scene, facts, payout)
    if isinstance(terms, Problem):
        return Outcome(problems=[terms], parts=placed.parts)
    entry = build(payout, one.items, placed.parts, terms)
    if isinstance(entry, Problem):
        return Outcome(problems=[entry], parts=placed.parts)
    stop = _codes(facts, entry) or _period(facts, entry)
    if stop is not None:
        return Outcome(problems=[replace(stop, amount=payout.amount)], parts=placed.parts, lines=entry.lines)
    return Outcome(entry, parts=placed.parts, lines=entry.lines, estimated_vat=_estimated(one, entry, terms))


def _code(facts: PayoutFacts, configured: str) -> str:
    account = facts.accounts.get(configured)
    return account.code if account is not None else configured


def _gates(scene: Scene, facts: PayoutFacts, payout: Payout) -> Problem | None:
    """Refuse what is not final, and what would need a rate that nobody named."""
    fx, local = payout.exchange, scene.currency
    amount = payout.amount
    if payout.arrival is None:
        return Problem("rate_not_final", f"{payout.id} is paid, but has no arrival date yet", amount=amount)
    if fx is None:
        if amount.currency != local and facts.rates.get(payout.id) is None:
            text = f"{payout.id} is in {amount.currency}, and SAP has no rate of it for {payout.arrival}"
            return Problem("currency", text, amount=amount)
        return None
    if fx.amount is None or fx.rate is None:
        return Problem(
            "rate_not_final", f"{payout.id} is paid in {fx.currency}, and its exchange rate is not final", amount=amount
        )
    if local not in (fx.currency, amount.currency):
        text = f"{payout.id} was collected in {amount.currency}, arrives in {fx.currency}, and the books are in {local}: book it by hand"
        return Problem("triangulation", text, amount=amount)
    if fx.currency != local:
        text = f"{payout.id} was collected in {local} and arrives in {fx.currency}: book it by hand"
        return Problem("currency", text, amount=amount)
    exact = (Decimal(amount.minor) * fx.rate).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    if abs(exact - fx.amount) > 1:
        text = f"{payout.id}: {amount} at {fx.rate} is {Money(int(exact), fx.currency)}, GoCardless says {Money(fx.amount, fx.currency)}"
        return Problem("does_not_tie", text, amount=amount)
    return None


def _foreign(scene: Scene, one: Opened, facts: PayoutFacts) -> Problem | None:
    """A payout with payments of another company is not this company's money alone."""
    for item in one.items:
        payment = facts.payments.get(item.payment)
        company = dict(payment.metadata).get("sap_company", "") if payment else ""
        if company and company != scene.rules.company:
            text = f"{one.payout.id} holds {item.payment}, which belongs to the company {company}"
            return Problem("other_company", text, amount=one.payout.amount)
    return None


def terms_of(scene: Scene, facts: PayoutFacts, payout: Payout) -> Terms | Problem:
    """Return what the entry is built by, or why it cannot be: accounts, branch, rates."""
    accounts = accounts_of(scene, facts, payout)
    branch = _branch(scene, payout)
    if isinstance(branch, Problem):
        return branch
    foreign = payout.amount.currency != scene.currency
    code = ""
    if foreign:
        used = {one.currency for one in facts.invoices.values() if scene.rules.iso(one.currency) == payout.amount.currency}
        code = min(used) if used else payout.amount.currency
    return Terms(
        accounts, scene.debits.dimensions, rates_of(payout, facts, scene.currency), scene.currency,
        scene.day_of(payout.created), branch, code,
        bank_is_foreign=foreign and payout.exchange is None, invoices=facts.whole or facts.invoices, partners=facts.partners,
    )  # fmt: skip


def accounts_of(scene: Scene, facts: PayoutFacts, payout: Payout) -> Accounts:
    """Return the accounts of a payout: the bank's by creditor bank account or by the currency that arrives."""
    rules = scene.debits
    arrives = payout.exchange.currency if payout.exchange is not None else payout.amount.currency
    names = {role: rules.account(role, *((payout.bank, arrives) if role == "bank_account" else (arrives,))) for role in ROLES}
    found = {role: facts.accounts.get(code) if code else None for role, code in names.items()}
    return Accounts(
        found["bank_account"], found["fee_account"], found["vat_account"],
        found["surcharge_account"] if names["surcharge_account"] else None,
        found["unallocated_account"], found["clearing_account"], found["fx_account"], names,
    )  # fmt: skip


def _branch(scene: Scene, payout: Payout) -> int | Problem | None:
    """Return the branch of the whole entry, which the configuration names for the creditor."""
    if not scene.ledger.branches:
        return None
    configured = scene.debits.branches.get(payout.creditor)
    if configured is not None:
        return configured
    text = f"{payout.id}: the company has branches, and gocardless.branches names none for {payout.creditor}"
    return Problem("account", text, amount=payout.amount)


def _codes(facts: PayoutFacts, entry: PostEntry) -> Problem | None:
    """Check that every cost centre and project exists and is active before it is used."""
    for line in entry.lines:
        for dimension, code in enumerate(line.codes, 1):
            if code and not any(
                one.code == code and one.dimension == dimension and one.usable(entry.day) for one in facts.centres
            ):
                of = f" of invoice {line.reference2}" if line.reference2 else ""
                text = f"{entry.payout}: cost centre {code}{of} is not active in dimension {dimension} of SAP on {entry.day}"
                return Problem("dimension", text)
        if line.project and line.project not in facts.projects:
            return Problem(
                "dimension", f"{entry.payout}: project {line.project} of invoice {line.reference2} is not active in SAP"
            )
    return None


def _period(facts: PayoutFacts, entry: PostEntry) -> Problem | None:
    """Check the posting period before anything is sent; the date is never moved."""
    if not facts.periods or any(one.first <= entry.day <= one.last and one.open for one in facts.periods):
        return None
    period = next((one for one in facts.periods if one.first <= entry.day <= one.last), None)
    which = f" {period.code}" if period is not None and period.code else ""
    return Problem("closed_period", f"{entry.payout}: the posting period{which} of {entry.day} is closed in SAP; open it")


def _estimated(one: Opened, entry: PostEntry, terms: Terms) -> int | None:
    """Return the VAT that was converted by the payout's rate, where GoCardless will still confirm another one."""
    owed = [tax for item in one.items for tax in item.taxes if tax.destination is None]
    vat = terms.accounts.vat
    if one.payout.amount.currency == terms.local or one.payout.tax_currency != terms.local or not owed or vat is None:
        return None
    return sum(line.local for line in entry.lines if line.title == "VAT on fees")
