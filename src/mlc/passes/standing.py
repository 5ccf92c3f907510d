"""What a posted payout leaves behind for later: a bounce, parked money, an invoice that was paid twice, VAT whose rate comes late.

Names: `<company>/bounce/gocardless/<payout>/<n>`, `<company>/parked/gocardless/<payout>/<payment>`, `.../paid-twice/...`, `.../tax/...`;
references in SAP: `PO1/bounced/1`, `PO1/paid/2`, `PO1/match/PM9`, `PO1/tax/1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlc.core.commands import Part, PostEntry
from mlc.core.debits import Payout
from mlc.core.identities import Problem
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.money import Money
from mlc.core.postings import Fees, fees_of, two_lines, unusable
from mlc.passes import parked, settling
from mlc.passes.parked import ParkedFacts
from mlc.passes.payout_batch import Opened, PayoutFacts
from mlc.passes.payout_case import accounts_of
from mlc.passes.payout_facts import PayoutReader
from mlc.passes.scene import Scene
from mlc.passes.settling import Placed
from mlc.systems.sap.entries import live

BOUNCES = ("bounced", "bounced-booked", "bounced-again")


# --- bounced payouts -------------------------------------------------------------------------------------------------


def decide_known(scene: Scene, facts: PayoutFacts, payout: Payout, state: str, plan: Plan, *, insist: bool) -> None:
    """Decide a payout whose entry stands in SAP: its bank may send it back, and GoCardless may send it again."""
    name = scene.name("reconcile-payout", payout.id, "gocardless")
    booked = bool(live(facts.entries.get(f"{payout.id}/bounced/1", [])))
    again = bool(live(facts.entries.get(f"{payout.id}/paid/2", [])))
    if payout.status == "bounced" and not again:
        if booked:
            plan.marks.append(Mark("payout", payout.id, state="bounced-booked"))
            plan.healed.append(name)
        elif insist:
            _wish(scene, facts, payout, 1, plan)
        else:
            plan.marks.append(Mark("payout", payout.id, state="bounced"))
            plan.skips.append(_bounced(scene, facts, payout, name))
    elif payout.status == "bounced":
        text = (
            f"{payout.id} bounced again, or is sent again under another id: decided when that one arrives; else book it by hand"
        )
        plan.marks.append(Mark("payout", payout.id, state="bounced-again"))
        plan.skips.append(Skip(name, "bounced", text, amount=payout.amount, about={"payout": payout.id}))
    elif payout.status == "paid" and booked and not again:
        _wish(scene, facts, payout, 2, plan)
    elif payout.status == "paid":
        if state in BOUNCES:
            plan.marks.append(Mark("payout", payout.id, state="posted"))
            plan.notes.append((name, f"{payout.id} bounced and was paid after all"))
        plan.healed += [held for held in facts.held.get(payout.id, []) if held == name]
        plan.unchanged += 1


def sent_again(scene: Scene, facts: PayoutFacts, one: Opened, twin: str, state: str, plan: Plan) -> None:
    """A payout that repeats a bounced one under an id of its own: the receivables are settled already."""
    old = scene.name("reconcile-payout", twin, "gocardless")
    plan.marks += [Mark("payout", one.payout.id, twin, "ignored", {"repeats": twin}), Mark("payout", twin, state="resent")]
    plan.notes.append((scene.name("reconcile-payout", one.payout.id, "gocardless"), f"{one.payout.id} is {twin} sent again"))
    plan.healed.append(old)
    if state == "bounced-booked":
        _wish(scene, facts, one.payout, 2, plan, twin=twin)


def _entry(scene: Scene, facts: PayoutFacts, payout: Payout, ident: str, number: int, state: str) -> PostEntry | str:
    """Return the entry of a bounce (1) or of its end (2), bank against clearing; or why there can be none."""
    accounts = accounts_of(scene, facts, payout)
    for role, account in (("clearing_account", accounts.clearing), ("bank_account", accounts.bank)):
        told = unusable(role, account, accounts.names.get(role, ""))
        if told:
            return told
    fx = payout.exchange
    if payout.amount.currency != scene.currency and (fx is None or fx.amount is None or fx.currency != scene.currency):
        return f"it is in {payout.amount.currency}: book it by hand"
    assert accounts.clearing is not None
    assert accounts.bank is not None
    minor = fx.amount if fx is not None and fx.amount is not None else payout.amount.minor
    there, bank = accounts.clearing.code, accounts.bank.code
    branch = scene.debits.branches.get(payout.creditor) if scene.ledger.branches else None
    words = f"GoCardless {ident} {'bounced' if number == 1 else 'paid after all'}"
    return two_lines(
        f"{ident}/bounced/1" if number == 1 else f"{ident}/paid/2",
        scene.today if number == 1 else payout.arrival or scene.today,
        (there, bank) if number == 1 else (bank, there), minor, words, scene.currency, branch, states=((f"payout {ident}", state),),
    )  # fmt: skip


def _bounced(scene: Scene, facts: PayoutFacts, payout: Payout, name: str) -> Skip:
    entry = _entry(scene, facts, payout, payout.id, 1, "bounced-booked")
    if isinstance(entry, str):
        take = f"its entry would be Dr clearing, Cr bank, but {entry}"
    else:
        debit, credit = entry.lines
        take = f"it would take Dr {debit.account} {payout.amount}, Cr {credit.account} {payout.amount} as {entry.reference2}"
    text = f"the bank sent {payout.id} over {payout.amount} back; {take}; wait for the retry, or book it: mlc replay {payout.id} --again"
    return Skip(name, "bounced", text, amount=payout.amount, about={"payout": payout.id})


def _wish(scene: Scene, facts: PayoutFacts, payout: Payout, number: int, plan: Plan, twin: str = "") -> None:
    ident = twin or payout.id
    name = scene.name("reconcile-payout", ident, "gocardless")
    state = "bounced-booked" if number == 1 else "resent" if twin else "posted"
    command = _entry(scene, facts, payout, ident, number, state)
    if isinstance(command, str):
        plan.skips.append(Skip(name, "account", f"{ident}: {command}", amount=payout.amount, about={"payout": ident}))
        return
    wish = scene.name("bounce", f"{ident}/{number}", "gocardless")
    plan.intents.append(Intent(wish, command, f"payout/{ident}", payout.amount, f"book {command.reference2}"))
    plan.healed.append(name)


# --- what is parked, and what was paid twice --------------------------------------------------------------------------


@dataclass(slots=True)
class StandingFacts:
    """Parts of posted payouts that wait for a person, and what the person decided."""

    parked: ParkedFacts = field(default_factory=ParkedFacts)
    twice: list[Placed] = field(default_factory=list)
    batch: PayoutFacts = field(default_factory=PayoutFacts)
    taxes: list[tuple[Mark, Opened]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    only: set[str] | None = None


def gather(scene: Scene, reader: PayoutReader, only: set[str] | None = None) -> Iterator[StandingFacts]:
    """Yield what waits, with the decisions of people and the entries that stand for them already."""
    links = scene.journal.links
    facts = StandingFacts(only=only)
    facts.known = {one.name for one in scene.journal.held.all(pass_=reader.name, dismissed=True)}
    facts.parked = parked.gather(scene, reader, only)
    twice = [mark for mark in links.all_in_state("part", "twice") if only is None or mark.key.split("/")[0] in only]
    facts.twice = [settling.placed(mark) for mark in twice if not mark.data.get("undone")]
    batch = facts.batch
    for mark in [] if only is not None else links.all_in_state("tax", "open"):
        payout = scene.gocardless.payout(mark.key)
        if payout is not None:
            facts.taxes.append((mark, reader.open(payout)))
    if facts.taxes:
        batch.entries |= scene.sap.entries_by_reference(f"{mark.key}/tax/1" for mark, _ in facts.taxes)
        reader.read_accounts(batch)
    if (
        facts.parked.parked
        or facts.twice
        or facts.taxes
        or any("/parked/" in name or "/paid-twice/" in name for name in facts.known)
    ):
        yield facts


def decide(scene: Scene, facts: StandingFacts) -> Plan:
    """List what waits, allocate what a person decided, correct the VAT that was estimated."""
    plan = Plan(seen=len(facts.parked.parked) + len(facts.twice))
    names = parked.decide(scene, facts.parked, plan)
    for one in facts.twice:
        name = scene.name("paid-twice", f"{one.part.key.split('/')[0]}/{one.part.thing}", "gocardless")
        names.add(name)
        text = f"{one.part.thing} paid invoice {one.part.doc_num}, which {one.part.twice} had paid already; it stands on account of"
        text += f" {one.part.card_code}: refund it by hand, then dismiss this"
        plan.skips.append(
            Skip(name, "paid_twice", text, amount=Money(one.part.amount, one.part.currency), about=_about(one.part))
        )
    for mark, opened in facts.taxes:
        _decide_tax(scene, facts, mark, opened, plan)
    ours = {name for name in facts.known if "/parked/" in name or "/paid-twice/" in name}
    in_sight = {name for name in ours if facts.only is None or name.split("/")[3] in facts.only}
    plan.healed += sorted(in_sight - names)
    return plan


def _about(part: Part) -> dict[str, object]:
    about = {"payment": part.payment, "payout": part.key.split("/")[0], "doc_num": part.doc_num, "card_code": part.card_code}
    return {key: value for key, value in about.items() if value}


# --- VAT whose rate comes late ----------------------------------------------------------------------------------------


def _decide_tax(scene: Scene, facts: StandingFacts, mark: Mark, opened: Opened, plan: Plan) -> None:
    """Book the difference between the VAT as it was estimated and as GoCardless confirmed it, against the fees."""
    payout = opened.payout
    accounts = accounts_of(scene, facts.batch, payout)
    fees = fees_of(payout, opened.items, scene.currency, surcharges_apart=bool(accounts.names.get("surcharge_account")))
    if (
        isinstance(fees, Problem)
        or not isinstance(fees, Fees)
        or fees.vat_local is None
        or accounts.vat is None
        or accounts.fee is None
    ):
        plan.unchanged += 1
        return
    off = fees.vat_local - int(mark.data.get("vat") or 0)
    if not off or live(facts.batch.entries.get(f"{payout.id}/tax/1", [])):
        plan.marks.append(Mark("tax", mark.key, state="done"))
        return
    reference = f"{payout.id}/tax/1"
    branch = scene.debits.branches.get(payout.creditor) if scene.ledger.branches else None
    command = two_lines(
        reference, scene.today, (accounts.vat.code, accounts.fee.code), off, f"VAT of GoCardless {payout.id} confirmed", scene.currency,
        branch, states=((f"tax {payout.id}", "done"),),
    )  # fmt: skip
    name = scene.name("tax", f"{payout.id}/1", "gocardless")
    plan.intents.append(Intent(name, command, f"payout/{payout.id}", Money(off, scene.currency), f"book {reference}"))
