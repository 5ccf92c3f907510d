"""Which customers may have changed at Stripe: by their events, by what waits, and by listing them all where events cannot be trusted.

They are listed on the first run, once a day, when the events were last read more than 29 days ago, and with `--since`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

from mlc.core.facts import Hint
from mlc.core.inbox import CUSTOMER
from mlc.passes.customer_batch import VERBS
from mlc.passes.customer_births import VERB as CREATE
from mlc.passes.scene import Scene, letters
from mlc.systems.stripe.reads import delivered

EVENTS = "stripe/customer-events"
READ = "stripe/customer-events-read"
SWEPT = "stripe/customers-swept"
_OVERLAP = 600
_DAY = 86400
_KEPT = 30 * _DAY
MANY = 50  # changed customers that are read one by one; beyond that they are listed, a hundred a request


@dataclass(slots=True)
class News:
    """Customers to be read afresh, and whether new ones, or all, are to be listed."""

    changed: list[str] = field(default_factory=list)
    hinted: set[str] = field(default_factory=set)  # customers of whose subscriptions something is new
    created: bool = False
    every: bool = False
    cards: list[str] = field(default_factory=list)  # partners whose links are in question
    events: list[str] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)
    notes: list[tuple[str, str]] = field(default_factory=list)
    settled: list[str] = field(default_factory=list)  # names of held items that no longer wait

    def add(self, customer: str) -> None:
        """Take a customer once."""
        if customer and customer not in self.changed:
            self.changed.append(customer)


def read_news(scene: Scene) -> News:
    """Read the events since the last run; what our own requests caused is no news."""
    cursor, now = scene.journal.cursor(EVENTS), scene.clock.now()
    newest, own = int(cursor or 0), quote(scene.rules.company, safe="_.-") + "/"
    last = float(scene.journal.cursor(READ) or now)
    too_old, swept = now - last > _KEPT - _DAY, float(scene.journal.cursor(SWEPT) or 0)
    news = News(every=cursor is None or too_old or scene.since is not None or not 0 <= now - swept < _DAY)
    if cursor is None:
        news.notes.append((EVENTS, "first run: the customers at Stripe are listed themselves"))
    elif too_old:
        text = f"customer events were last read {int((now - last) // _DAY)} days ago, Stripe keeps 30: the customers are listed instead"
        news.notes.append(("", text))
    if scene.since is not None and now - scene.start_moment() > _KEPT:
        news.notes.append(
            ("", f"{scene.start} is further back than Stripe keeps events (30 days): the customers are listed themselves")
        )
    pages = scene.stripe.customer_events_since(max(0, newest - _OVERLAP), subscriptions=scene.rules.customers.pause)
    for letters_ in letters(scene, CUSTOMER, delivered, news.notes):
        _take(scene, [hint for _, hint in letters_], news, own)
    for page in pages:
        _take(scene, page, news, own)
        newest = max([newest, *(hint.created for hint in page)])
        if cursor is None:
            break
    if cursor is None:  # nothing is linked yet; what is there is listed
        news.changed, news.hinted = [], set()
    if news.every:
        news.cursors[SWEPT] = str(now)
    news.cursors |= {EVENTS: str(newest), READ: str(now)}
    _look_again(scene, news)
    return news


def _take(scene: Scene, page: list[Hint], news: News, own: str) -> None:
    """Take what a page of events says is new; what our own requests caused is none."""
    fresh = set(scene.journal.unseen([hint.event for hint in page])) - set(news.events)
    for hint in page:
        if hint.event not in fresh:
            continue
        news.events.append(hint.event)
        if hint.key.startswith((own, "mlc-")):
            continue
        news.created = news.created or hint.type == "customer.created"
        news.add(hint.id)
        if hint.kind == "subscription":
            news.hinted.add(hint.id)


def _look_again(scene: Scene, news: News) -> None:
    """Look again at whatever waits: links in question, fields SAP did not take, customers that are gone."""
    for held in scene.journal.held.all(dismissed=True):
        verb, card, customer = (
            held.name.split("/")[1],
            str(held.about.get("card_code") or ""),
            str(held.about.get("customer") or ""),
        )
        if verb in VERBS or held.reason == "gone_from_stripe":
            news.cards.append(card)
        if verb == CREATE:
            news.add(customer)
        for one in held.candidates if verb == "customer" else ():
            news.add(one)
        if verb == "gone-customer":
            still = {mark.key for mark in scene.journal.links.asked_of(card)} & {
                str(one) for one in held.facts.get("invoices", [])
            }
            news.settled += [] if still else [held.name]
    news.cards = [card for card in dict.fromkeys(news.cards) if card]


def chunks_of(customers: list[str]) -> Iterator[list[str]]:
    """Yield customers in lists of a size that one batch takes."""
    for start in range(0, len(customers), MANY):
        yield customers[start : start + MANY]
