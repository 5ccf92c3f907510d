"""What a posted payout leaves behind for later: a bounce, parked money, an invoice that was paid twice, VAT whose rate comes late.

Names: `<company>/bounce/gocardless/<payout>/<n>`, `<company>/parked/gocardless/<payout>/<payment>`, `.../paid-twice/...`, `.../tax/...`;
references in SAP: `PO1/bounced/1`, `PO1/paid/2`, `PO1/match/PM9`, `PO1/tax/1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from mlc.core.clues import Clue, Payer, Unclear
from mlc.core.commands import Part, PostEntry
from mlc.core.debits import Collection, Payout
from mlc.core.facts import Booked
from mlc.core.intents import Intent, Mark, Plan, Skip
from mlc.core.money import Money, from_decimal
from mlc.core.placing import Problem, Rates
from mlc.core.postings import Accounts, Fees, Terms, fees_of, part_lines, two_lines, unusable
from mlc.core.tiers import match
from mlc.passes import settling
from mlc.passes.payout_case import accounts_of
from mlc.passes.payout_facts import Opened, PayoutFacts, PayoutReader, balances
from mlc.passes.scene import Scene
from mlc.passes.settling import Placed
from mlc.systems.sap.entries import live, part_marks

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

    parked: list[Placed] = field(default_factory=list)
    twice: list[Placed] = field(default_factory=list)
    decided: dict[str, Clue] = field(default_factory=dict)  # payment -> what a person said
    batch: PayoutFacts = field(default_factory=PayoutFacts)
    taxes: list[tuple[Mark, Opened]] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    only: set[str] | None = None


def gather(scene: Scene, reader: PayoutReader, only: set[str] | None = None) -> Iterator[StandingFacts]:
    """Yield what waits, with the decisions of people and the entries that stand for them already."""
    links = scene.journal.links
    facts = StandingFacts(only=only)
    facts.known = {one.name for one in scene.journal.held.all(pass_=reader.name, dismissed=True)}
    wanted = [mark for mark in links.all_in_state("part", "parked") if only is None or mark.key.split("/")[0] in only]
    facts.parked = [settling.placed(mark) for mark in wanted if not mark.data.get("undone")]
    twice = [mark for mark in links.all_in_state("part", "twice") if only is None or mark.key.split("/")[0] in only]
    facts.twice = [settling.placed(mark) for mark in twice if not mark.data.get("undone")]
    batch = facts.batch
    if facts.parked:
        batch.entries = scene.sap.entries_by_reference(_reference(one.part) for one in facts.parked)
        _read_decisions(scene, reader, facts)
    for mark in [] if only is not None else links.all_in_state("tax", "open"):
        payout = scene.gocardless.payout(mark.key)
        if payout is not None:
            facts.taxes.append((mark, reader.open(payout)))
    if facts.taxes:
        batch.entries |= scene.sap.entries_by_reference(f"{mark.key}/tax/1" for mark, _ in facts.taxes)
    if facts.decided or facts.taxes:
        reader.read_accounts(batch)
    if facts.parked or facts.twice or facts.taxes or any("/parked/" in name or "/paid-twice/" in name for name in facts.known):
        yield facts


def _reference(part: Part) -> str:
    return f"{part.key.split('/')[0]}/match/{part.thing}"


def _read_decisions(scene: Scene, reader: PayoutReader, facts: StandingFacts) -> None:
    for one in facts.parked:
        decision = reader.decision(one.part.payment)
        if not decision or not decision.get("invoices") or live(facts.batch.entries.get(_reference(one.part), [])):
            continue
        payment = scene.gocardless.collection(one.part.payment)
        if payment is not None:
            payment = _over(payment, one.part.amount)
            facts.decided[one.part.payment] = Clue(
                payment, Payer(), decision=tuple(int(entry) for entry in decision["invoices"])
            )
    entries = {entry for clue in facts.decided.values() for entry in clue.decision or ()}
    if entries:
        facts.batch.invoices = scene.sap.debts(entries=entries, whole=scene.debits.dimensions.by_invoice)
        facts.batch.taken = reader.taken()
        cards = sorted({one.card_code for one in facts.batch.invoices.values()})
        facts.batch.partners = scene.sap.payers(cards, scene.debits.dimensions.fields)


def _over(payment: Collection, minor: int) -> Collection:
    from dataclasses import replace

    return replace(payment, amount=Money(minor, payment.amount.currency))


def decide(scene: Scene, facts: StandingFacts) -> Plan:
    """List what waits, allocate what a person decided, correct the VAT that was estimated."""
    plan = Plan(seen=len(facts.parked) + len(facts.twice))
    names = set()
    for one in facts.parked:
        name = scene.name("parked", f"{one.part.key.split('/')[0]}/{one.part.thing}", "gocardless")
        found = live(facts.batch.entries.get(_reference(one.part), []))
        clue = facts.decided.get(one.part.payment)
        if found:
            _allocated(scene, one, found[0], plan)
        elif clue is not None:
            names |= _allocate(scene, facts, one, clue, name, plan)
        else:
            names.add(name)
            plan.skips.append(_parked(one, name, one.part.evidence))
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


def _parked(one: Placed, name: str, why: str) -> Skip:
    part = one.part
    text = f"{part.thing} stands on account {part.account}: {why}; mlc held match {part.thing} DOCNUM, or dismiss it"
    candidates = tuple(number for number in part.rejected if number.isdecimal())
    return Skip(name, "parked", text, amount=Money(part.amount, part.currency), candidates=candidates, about=_about(part))


def _allocate(scene: Scene, facts: StandingFacts, one: Placed, clue: Clue, name: str, plan: Plan) -> set[str]:
    """Move parked money onto the invoices that a person named; returns the name where it still waits."""
    part, batch = one.part, facts.batch
    result = match(clue, balances(scene, batch), scene.debits.habits)
    if part.currency != scene.currency:
        plan.skips.append(_parked(one, name, f"it is in {part.currency}: book it by hand"))
        return {name}
    if isinstance(result, Unclear) or result.rest.minor:
        why = result.text if isinstance(result, Unclear) else f"{result.rest} more than is open on the invoices that were named"
        plan.skips.append(_parked(one, name, why))
        return {name}
    stem = f"{part.key.split('/')[0]}/match/{part.thing}"
    moved = Part(
        f"{stem}/0", part.type, part.thing, part.payment, "moved", -part.amount, part.currency, -part.local, account=part.account,
        branch=part.branch, undoes=part.key, rule="R1", evidence="a person's decision",
    )  # fmt: skip
    parts = [moved] + [
        Part(f"{stem}/{number}", part.type, part.thing, part.payment, "invoice", claim.amount.minor, part.currency, claim.amount.minor,
             result.card_code, doc_entry=claim.doc_entry, doc_num=claim.doc_num, branch=claim.branch, rule="R1",
             evidence="a person's decision")
        for number, claim in enumerate(result.claims, 1)
    ]  # fmt: skip
    day = scene.today
    terms = Terms(Accounts(), scene.debits.dimensions, Rates(scene.currency), scene.currency, day, part.branch, invoices=batch.invoices,
                  partners=batch.partners)  # fmt: skip
    lines = tuple(line for each in parts for line in part_lines(each, terms))
    memo = f"GoCardless {part.thing} allocated"
    command = PostEntry(part.key.split("/")[0], _reference(part), day, day, memo, scene.currency, lines, tuple(parts))
    numbers = ", ".join(str(claim.doc_num) for claim in result.claims)
    says = f"allocate parked {part.thing} to invoice {numbers} (R1: a person's decision)"
    intent = Intent(scene.name("match", f"{part.key.split('/')[0]}/{part.thing}", "gocardless"), command, f"payout/{part.key.split('/')[0]}",
                    Money(part.amount, part.currency), says)  # fmt: skip
    plan.intents.append(intent)
    return set()


def _allocated(scene: Scene, one: Placed, booked: Booked, plan: Plan) -> None:
    """Parked money that an entry of ours moved already: the journal did not know."""
    part = one.part
    stem = f"{part.key.split('/')[0]}/match/{part.thing}"
    plan.marks.append(Mark("part", part.key, data={"undone": f"{stem}/0"}))
    for number, line in enumerate((line for line in booked.lines if line.short_name), 1):
        minor = -from_decimal(line.local, scene.currency).minor
        made = Part(
            f"{stem}/{number}", part.type, part.thing, part.payment, "invoice", minor, part.currency, minor, line.short_name,
            doc_num=int(line.reference2) if line.reference2.isdecimal() else 0, branch=line.branch, rule="found in SAP",
        )  # fmt: skip
        plan.marks += part_marks(made, "settled", booked.trans, [line.line_id], booked.day.isoformat())


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
