"""A batch of customers as both sides have them now: read here, decided by `customer_merge` and `customer_figures`.

Stripe's side is read afresh wherever something may have changed; nothing of an event but its id is used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal

from mlc.core.facts import Partner, ProcessorCustomer, Subscription
from mlc.core.intents import Mark
from mlc.core.merge import differing, of_partner
from mlc.core.money import exponent
from mlc.passes.scene import Scene
from mlc.store.held import Held
from mlc.store.records import Stored

VERBS = ("customer", "update-customer", "update-partner", "note-figures", "field")
_NOT_ON_HOLD = ("", "0", "n", "no", "tno", "false")


@dataclass(slots=True)
class CustomerBatch:
    """What is known of some partners and the customers they are linked to."""

    links: dict[str, Mark] = field(default_factory=dict)  # CardCode -> link; also where the customer is gone
    partners: dict[str, Partner] = field(default_factory=dict)
    customers: dict[str, ProcessorCustomer | None] = field(default_factory=dict)  # read in this run; None where it is gone
    contacts: dict[str, Mark] = field(default_factory=dict)  # CardCode -> last agreed values
    noted: dict[str, Mark] = field(default_factory=dict)  # CardCode -> figures last written
    figures: dict[str, dict[str, str]] = field(default_factory=dict)  # CardCode -> figures as they should be
    subscriptions: dict[str, list[Subscription]] = field(default_factory=dict)  # CardCode -> where they may have to be paused
    asked: dict[str, list[Mark]] = field(
        default_factory=dict
    )  # CardCode -> invoices open at Stripe, of those whose customer is gone
    held: dict[str, list[Held]] = field(default_factory=dict)  # CardCode -> what waits
    rivals: dict[str, list[str]] = field(default_factory=dict)  # CardCode -> customers that were seen to name it beside its own
    stored: dict[str, Stored] = field(default_factory=dict)  # name -> what was refused before


class BatchReader:
    """Reads batches; what waits for a person is looked up once a run."""

    def __init__(self, scene: Scene, *, thorough: bool = False) -> None:
        """`thorough` looks at everything, also where nothing says that it moved: a person asks."""
        self.scene = scene
        self._thorough = thorough
        self._held: dict[str, list[Held]] = {}
        for held in scene.journal.held.all(dismissed=True):
            if held.name.split("/")[1] in VERBS and held.about.get("card_code"):
                self._held.setdefault(str(held.about["card_code"]), []).append(held)

    def both(
        self, customers: Mapping[str, ProcessorCustomer | None], cards: Iterable[str] = (), *, hinted: Iterable[str] = ()
    ) -> CustomerBatch:  # fmt: skip
        """Read everything about customers that were read just now, and about partners whose customers are to be read.

        `hinted` are customers of whose subscriptions something is new.
        """
        scene, batch = self.scene, CustomerBatch(customers=dict(customers))
        links, company = scene.journal.links, scene.rules.company
        ours = [one.card_code for one in customers.values() if one is not None and one.company == company and one.card_code]
        batch.links = links.many("customer", [*cards, *ours])
        batch.links |= {mark.key: mark for mark in links.of_others("customer", customers)}
        for link in batch.links.values():
            if link.other not in batch.customers and link.state != "gone":
                batch.customers[link.other] = scene.stripe.customer(link.other)
        batch.partners = scene.sap.owing_partners(batch.links, scene.rules.customers.hold_field)
        self._complete(batch, set(hinted))
        return batch

    def partners(
        self, partners: Mapping[str, Partner], links: Mapping[str, Mark], decided: Iterable[str] = ()
    ) -> CustomerBatch:
        """Read what is needed of partners that were read just now: their customers only where their contact data moved.

        The figures of those that are `decided` elsewhere in this run are left out.
        """
        scene, batch = self.scene, CustomerBatch(dict(links), {card: partners[card] for card in links if card in partners})
        batch.contacts = scene.journal.links.many("contact", links)
        for card, partner in batch.partners.items():
            if differing(agreed(batch, card), of_partner(partner)):
                batch.customers[links[card].other] = scene.stripe.customer(links[card].other)
        self._complete(batch, set(), set(decided))
        return batch

    def _complete(self, batch: CustomerBatch, hinted: set[str], decided: Iterable[str] = ()) -> None:
        scene, journal = self.scene, self.scene.journal
        read = [card for card, link in batch.links.items() if link.other in batch.customers]
        for mark in journal.links.of_others("stripe-card", read):
            if mark.state == "unlinked" and mark.key != batch.links[mark.other].other:
                batch.rivals.setdefault(mark.other, []).append(mark.key)
                if mark.key not in batch.customers:
                    batch.customers[mark.key] = scene.stripe.customer(mark.key)
        gone = [card for card, link in batch.links.items() if batch.customers.get(link.other, link) is None]
        batch.asked = {card: journal.links.asked_of(card) for card in gone}
        batch.contacts = batch.contacts or journal.links.many("contact", batch.links)
        batch.noted = journal.links.many("figures", batch.links)
        living = {
            card: one
            for card, one in batch.partners.items()
            if batch.links[card].state != "gone" and card not in gone and card not in decided
        }
        overdue = scene.sap.overdue_of(living, scene.today)  # who owes nothing in sum may owe an invoice all the same
        batch.figures = {card: _figures(scene, one, overdue.get(card, Decimal(0))) for card, one in living.items()}
        names = [scene.name(verb, card) for card in batch.links for verb in VERBS]
        refused = [name for name, state in journal.states(names).items() if state == "refused"]
        batch.stored = {name: stored for name in refused if (stored := journal.find(name)) is not None}
        batch.held = {card: self._held[card] for card in batch.links if card in self._held}
        if scene.rules.customers.pause:
            self._read_subscriptions(batch, hinted)

    def _read_subscriptions(self, batch: CustomerBatch, hinted: set[str]) -> None:
        """Read subscriptions where the hold came or went, and where a customer on hold has a new one."""
        for card, figures in batch.figures.items():
            other, was = batch.links[card].other, noted(batch, card).get("sap_on_hold")  # None: nobody knows
            if self._thorough or was != figures["sap_on_hold"] or (was == "true" and other in hinted):
                batch.subscriptions[card] = self.scene.stripe.subscriptions_of(other)


def agreed(batch: CustomerBatch, card: str) -> dict[str, str | None]:
    """Return the last agreed values of a partner and the customer it is linked to now; nothing where it is another one."""
    mark = batch.contacts.get(card)
    return dict(mark.data) if mark is not None and mark.other == batch.links[card].other else {}


def noted(batch: CustomerBatch, card: str) -> dict[str, str]:
    """Return the figures that stand at Stripe: as just read, else as last written."""
    link, mark = batch.links[card], batch.noted.get(card)
    customer = batch.customers.get(link.other)
    if customer is not None:
        return dict(customer.figures)
    return dict(mark.data) if mark is not None and mark.other == link.other else {}


def _figures(scene: Scene, partner: Partner, overdue: Decimal) -> dict[str, str]:
    """Return what shall stand in the metadata, in major units of the company's local currency."""
    one = Decimal(1).scaleb(-exponent(scene.currency))
    amounts = [str(amount.quantize(one, ROUND_HALF_UP) + 0) for amount in (partner.balance, overdue)]
    return {
        "sap_open_balance": amounts[0], "sap_overdue": amounts[1], "sap_currency": scene.currency,
        "sap_on_hold": "true" if on_hold(partner, scene.rules.customers.hold_field) else "false",
    }  # fmt: skip


def on_hold(partner: Partner, hold_field: str) -> bool:
    """Tell whether a partner is on credit hold: by the configured user field, else by SAP's Frozen."""
    if hold_field:
        return dict(partner.fields).get(hold_field, "").strip().lower() not in _NOT_ON_HOLD
    return partner.frozen
