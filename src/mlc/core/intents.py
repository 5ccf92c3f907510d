"""The four nouns as values: Intent, Effect (a Call that was sent), Receipt, Skip; and the Plan that holds what was decided."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlc.core.money import Money

if TYPE_CHECKING:
    from mlc.core.commands import Command


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a system answered, condensed: `IncomingPayment 512`."""

    system: str
    object: str
    id: str
    number: str = ""  # the number a person knows, where it is another one (DocNum)

    def __str__(self) -> str:
        return f"{self.object} {self.number or self.id}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something both sides agree on: `kind` and `key` on SAP's side, `other` at the processor, and how it stands.

    `data` is laid over what is known already.
    """

    kind: str
    key: str
    other: str = ""
    state: str = ""
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Intent:
    """What should become true, under a name that never changes."""

    name: str
    command: Command
    lane: str  # intents of one lane are carried one after another
    amount: Money | None = None
    says: str = ""  # one short sentence for people
    anew: bool = False  # a finished intent of this name is done again as its next generation


@dataclass(frozen=True, slots=True)
class Skip:
    """A wish that was considered and not made, with its reason. One that may heal is held and looked at again on every run."""

    name: str
    reason: str
    text: str
    held: bool = True
    amount: Money | None = None
    candidates: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)  # the thing's own ids and numbers: payment, invoice, doc_num ...
    facts: dict[str, Any] = field(default_factory=dict)  # what is needed to look at it again


@dataclass(frozen=True, slots=True)
class Adoption:
    """An intent that turned out to be done already: found by its marker in the other system."""

    intent: Intent
    receipt: Receipt
    marks: tuple[Mark, ...] = ()


@dataclass(slots=True)
class Plan:
    """What one batch of facts leads to. Deciding fills it, `Journal.accept` makes it promises."""

    intents: list[Intent] = field(default_factory=list)
    skips: list[Skip] = field(default_factory=list)
    adopted: list[Adoption] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    healed: list[str] = field(default_factory=list)  # names that no longer wait for anyone
    cursors: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)  # event ids that are dealt with
    notes: list[tuple[str, str]] = field(default_factory=list)  # (name, sentence) for the audit trail only
    seen: int = 0
    unchanged: int = 0


# --- what a recipe says and hears -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a system said to one Call. `told` is False where the journal answers for it."""

    status: int
    body: Any
    told: bool = True
    replayed: bool = False  # the system repeated a saved answer (Stripe: Idempotent-Replayed)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definitive no: nothing was done. `code` and `text` are the system's own."""

    status: int
    code: str
    text: str
    body: Any = None


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request of a recipe. A write becomes an Effect: frozen and stored before it is first sent.

    `find` looks in the other system whether this write was done: it yields reading Calls and returns the answer's body as the
    write would have given it, or None where nothing was done.
    """

    step: str
    system: str
    method: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    write: bool = False
    find: Callable[[], Finder] | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The intent is true now."""

    receipt: Receipt
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The system said no for good; `mlc replay` tries again when the cause is gone."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The recipe met something that a person must see; nothing is left half-done behind it."""

    reason: str
    text: str
    candidates: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Again:
    """This attempt ended for good without effect (a draft was deleted): start the next generation at once."""

    why: str


Outcome = Done | Refused | Hold | Again
Finder = Generator[Call, Answer | Refusal, Any]
Recipe = Generator[Call, Answer | Refusal, Outcome]
