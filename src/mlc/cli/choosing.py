"""Lets a person choose accounts from SAP's own chart: typed by code, or found by a part of the name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlc.core.facts import Account

_MOST = 12  # accounts on one screen
_ALL = 40  # where all are asked for
NONE = "-"  # typed where a role may be left out
# Words by which a bookkeeper may have named the account of a role, the likelier ones first.
LIKELY = {
    "stripe.clearing_account": ("stripe",),
    "stripe.fee_account": ("payment fee", "fees", "bank charge", "geb\u00fchr", "nebenkosten", "frais"),
    "stripe.bank_account": ("bank",),
    "gocardless.bank_account": ("bank",),
    "gocardless.fee_account": ("payment fee", "fees", "bank charge", "geb\u00fchr", "nebenkosten", "frais"),
    "gocardless.vat_account": ("input vat", "input tax", "vorsteuer", "tva d\u00e9ductible"),
}


def shown(account: Account) -> str:
    """Return the code as people know it and as the configuration takes it: that of segmented accounts is the visible one."""
    return account.shown or account.code


def fitting(chart: Iterable[Account], text: str) -> list[Account]:
    """Return the accounts whose code begins with a text, or whose name has every word of it."""
    words = text.casefold().split()
    return [
        one for one in chart
        if shown(one).casefold().startswith(text.casefold().strip()) or all(word in one.name.casefold() for word in words)
    ]  # fmt: skip


def likely(chart: Sequence[Account], role: str) -> Account | None:
    """Return the account that a role probably has: the only one that its words find, None where several or none fit."""
    for word in LIKELY.get(role, ()):
        found = [one for one in chart if word in one.name.casefold()]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def choose(
    chart: Sequence[Account], role: str, question: str, ask: Callable[[str, str | None], str], say: Callable[[str], None],
    *, optional: bool = False,
) -> str | None:  # fmt: skip
    """Ask until one account of the chart is named; what is no code is looked for in the names.

    `ask` takes a question and what is meant where nothing is typed; `say` shows a line. Returns the code, None where the role is
    `optional` and nobody wants it.
    """
    by_code = {shown(one): one for one in chart}
    guess = likely(chart, role)
    say(f"{question}{f' (probably {shown(guess)} {guess.name})' if guess else ''}")
    while True:
        usual = shown(guess) if guess else NONE if optional else None
        answer = ask(f"  its code, or a word of its name{f', or {NONE} for none' if optional else ''}", usual).strip()
        if optional and answer == NONE:
            return None
        if answer in by_code:
            say(f"  {answer} {by_code[answer].name}")
            return answer
        found = fitting(chart, answer)  # nothing typed: all of them
        if not found:
            say(f"  no account that may be posted to has {answer!r} in its code or name")
        most = _MOST if answer else _ALL
        for one in found[:most]:
            say(f"  {shown(one)}  {one.name}")
        if len(found) > most:
            say(f"  and {len(found) - most} more: type a part of the name")
