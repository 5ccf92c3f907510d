"""Receipts of ours that do not stand any more: incoming payments carry no change stamp, so they are looked for (facts, section 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

from mlc.core.intents import Mark
from mlc.core.keys import marker
from mlc.passes.scene import Scene, chunks
from mlc.systems.sap import back

_CHECKED = "sap/receipts-checked"
_WINDOW = timedelta(days=92)
_DAY, _AT_ONCE = 86400.0, 400


@dataclass(slots=True)
class Lost:
    """Payments whose receipt was cancelled or is gone, and the cursor that says when all were looked at."""

    payments: list[str] = field(default_factory=list)
    cursors: dict[str, str] = field(default_factory=dict)


def lost(scene: Scene) -> Iterator[Lost]:
    """Yield those that somebody cancelled, in every run by one request; and once a day those that SAP no longer knows."""
    links, first = scene.journal.links, max(scene.rules.start, scene.today - _WINDOW)
    if next(links.all_in_state("payment", "posted"), None) is None:
        return
    for page in back.cancelled_receipts(scene.sap, first):
        marks = links.of_others("payment", [str(one.doc_entry) for one in page])
        yield from _batches([one for one in marks if one.state == "posted"])
    now, last = scene.clock.now(), float(scene.journal.cursor(_CHECKED) or 0)
    if 0 <= now - last < _DAY:
        return
    batch: list[Mark] = []
    for mark in links.all_in_state("payment", "posted"):
        if str(mark.data.get("day") or "") >= first.isoformat():
            batch.append(mark)
        if len(batch) == _AT_ONCE:
            yield from _batches(_absent(scene, batch))
            batch = []
    yield from _batches(_absent(scene, batch))
    yield Lost(cursors={_CHECKED: str(now)})


def _absent(scene: Scene, marks: list[Mark]) -> list[Mark]:
    """Return those payments of which no live receipt carries our mark."""
    found = scene.sap.receipts_by_marker([marker(one.key) for one in marks]) if marks else {}
    return [one for one in marks if not any(not receipt.cancelled for receipt in found.get(marker(one.key), []))]


def _batches(marks: list[Mark]) -> Iterator[Lost]:
    for part in chunks((one.key for one in marks), 40):
        yield Lost(part)
