"""mlc explain: what mlc knows of one thing, in time order: an invoice, a customer, a payment, a payout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.session import Session, simple
from mlc.core.errors import ConfigError
from mlc.core.keys import thing_of

if TYPE_CHECKING:
    from mlc.core.intents import Mark
    from mlc.store.journal import Journal


def explain(
    wish: Annotated[str, typer.Argument(metavar="ANYTHING", help="An invoice number, a CardCode, a customer, payment or payout.")],
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False, quiet: o.Quiet = False, verbose: o.Verbose = 0,
) -> None:  # fmt: skip
    """Tell the story of one thing from the journal and the trail: who, what stands where, what happened when."""
    found: list[bool] = []

    def work(session: Session) -> None:
        from mlc.cli.books import reading

        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), reading(settings, one) as journal:
                for kind, text, data in story(journal, one.sap.company_db, wish.strip()):
                    found.append(True)
                    if json:
                        session.voice.emit("story", tenant=one.name, about=kind, text=text, data=data)
                    else:
                        session.voice.out(text)
        if not found and not session.codes:
            raise ConfigError(f"nothing is known of {wish}", hint="give an invoice number, a CardCode, or an id of a processor")

    simple(o.common(config, tenant, json=json, quiet=quiet, verbose=verbose), work)


def story(journal: Journal, book: str, wish: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (kind, sentence, data): what stands first, then what happened, oldest first."""
    if not wish:
        return
    related = {wish}
    for mark in _people(journal, wish):
        related.add(mark.key)
        yield (
            "customer",
            f"GoCardless customer {mark.key} {mark.data.get('name') or ''} is {mark.other or 'linked to nobody'}",
            mark.data,
        )
        for mandate in journal.links.of_others("mandate", [mark.key]):
            related.add(mandate.key)
            yield "mandate", f"mandate {mandate.key} {mandate.data.get('reference') or ''} is {mandate.state}", mandate.data
            for debit in journal.links.of_others("debit", [mandate.key]):
                related.add(debit.key)
                yield "payment", _debit(debit), debit.data
    debit_ = journal.links.get("debit", wish)
    if debit_ is not None:
        yield "payment", _debit(debit_), debit_.data
    for mark in _parts(journal, wish):
        data = mark.data
        number = (
            f"invoice {data['doc_num']}" if data.get("doc_num") else data.get("card_code") or f"account {data.get('account')}"
        )
        amount = f"{data['amount'] / 100:.2f} {data['currency']}"
        payout = mark.key.split("/")[0]
        stands = (
            f"{data['day']}  {data['thing']} {amount} of payout {payout} -> {number} in entry {data['trans']} ({mark.state})"
        )
        yield "booking", f"{stands}; {data.get('rule')}: {data.get('evidence')}", data
    items = {one.name: one for one in journal.held.search(wish)}
    items |= {one.name: one for one in journal.held.all() if one.about.get("card_code") == wish}
    for item in items.values():
        yield "held", f"held {item.reason}: {item.text}", dict(item.about)
    seen = set()
    for word in sorted(related):
        for row in journal.audit.rows(book=book, name=word):
            if row.seq not in seen:
                seen.add(row.seq)
                told = row.data.get("text") or row.data.get("says") or row.data.get("receipt") or row.data.get("reason") or ""
                yield "trail", f"{row.at}  {thing_of(row.name) or row.pass_} {row.what} {told}".rstrip(), row.data


def _debit(mark: Mark) -> str:
    payment = mark.data.get("payment") or {}
    amount = payment.get("amount") or {}
    return (
        f"payment {mark.key} over {amount.get('minor', 0) / 100:.2f} {amount.get('currency', '')} is {mark.data.get('status')}"
    )


def _people(journal: Journal, wish: str) -> list[Mark]:
    customers = journal.links.of_others("gc-customer", [wish])
    known = journal.links.get("gc-customer", wish)
    return [known] if known is not None else customers


def _parts(journal: Journal, wish: str) -> list[Mark]:
    """Return the parts of entries that a payment, payout, invoice number or customer has."""
    links = journal.links
    found = {mark.key: mark for mark in links.of_others("part", [wish])}
    for field in ("doc_num", "card_code", "thing"):
        found |= {mark.key: mark for mark in links.find("part", field, wish)}
    if wish.startswith("PO"):
        found |= {mark.key: mark for mark in links.beginning("part", f"{wish}/")}
    return [found[key] for key in sorted(found)]


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.command("explain", short_help="What is known of one thing, in time order.")(explain)
