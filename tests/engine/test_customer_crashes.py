"""A sync of customers killed at every write point: the next runs bring both sides to what an undisturbed run leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worlds import in_a_copy, open_names, quick_folder, settle, write_points

from harness import Company

CONFIG = "customers: {create_in_sap: true, pause_subscriptions: true}"
POINTS = 40


def story(folder: Path) -> Company:
    """Two partners that are customers, and then: changes on either side, a hold, a new customer, a deleted one."""
    company = Company(folder, stripe_config=CONFIG)
    account, books = company.account, company.books
    for card in ("C1", "C2"):
        company.partner(card, f"Name {card}")
        company.invoice(card)
    company.run()
    company.run()
    of = {one["metadata"]["sap_card_code"]: one["id"] for one in account.all("customer")}
    account.add_subscription(of["C1"])
    company.run()
    account.update_customer(of["C1"], {"phone": "0221 1", "address": {"line1": "Weg 1", "city": "Köln", "country": "DE"}})
    books.change_partner("C1", EmailAddress="new@example.com", Frozen="tYES")
    account.add_customer("Neu", "neu@example.com")
    account.delete_customer(of["C2"])
    company.invoice("C2", net="10.00")
    return company


def picture(company: Company) -> dict[str, Any]:
    """What stands on both sides, without the ids that depend on the way."""
    account = company.account
    people = {}
    for one in account.all("customer"):
        data = {key: value for key, value in one["metadata"].items() if key != "mlc_key"}
        people[data["sap_card_code"]] = (one["name"], one["email"], one["phone"], one["address"], data)
    partners = {
        code: (one.name, sorted((k, v) for k, v in one.fields.items() if v)) for code, one in company.books.partners.items()
    }
    paused = [one["pause_collection"] for one in account.all("subscription")]
    return {"people": people, "partners": partners, "paused": paused, "held": company.held()}


def _at_once(company: Company) -> None:
    company.clock.pass_time(60)


def _a_day_later(company: Company) -> None:
    company.clock.pass_time(25 * 3600)
    company.clock.boot, company.clock.up = "boot-2", 60.0


def _without_state(company: Company) -> None:
    company.clock.pass_time(60)
    company.forget()


RECOVERIES: dict[str, tuple[Callable[[Company], None], int]] = {
    "at once": (_at_once, 3), "a day later": (_a_day_later, 8), "no state": (_without_state, 8)
}  # fmt: skip


@pytest.mark.parametrize("recovery", RECOVERIES)
def test_a_killed_sync_ends_like_an_undisturbed_one(tmp_path: Path, recovery: str) -> None:
    """Wherever it is killed, nobody is created twice, nothing is lost or echoed; without its state SAP has the say."""
    (tmp_path / "calm").mkdir()
    calm = story(tmp_path / "calm")
    settle(calm)
    wanted, ground = picture(calm), quick_folder()
    assert set(wanted["partners"]) == {"C1", "C2", *(code for code in wanted["partners"] if code.startswith("ST"))}
    assert len(wanted["people"]) == len(calm.account.all("customer")) == len(wanted["partners"]) == 3
    (tmp_path / "story").mkdir()
    company, (recover, share) = story(tmp_path / "story"), RECOVERIES[recovery]
    points: list[str] = []
    failures: list[str] = []

    def die(where: str) -> None:
        points.append(where)
        if len(points) % (share if where.startswith("after") else 5 * share):
            return

        def go_on() -> None:
            recover(company)
            settle(company)
            found = picture(company)
            assert len(company.account.all("customer")) == 3
            assert not open_names(company)
            if recovery == "no state":  # what was not agreed on yet is SAP's, and who a deleted customer was is forgotten
                found["held"], wanted["held"] = {}, {}
                assert found["people"].keys() == wanted["people"].keys()
                assert found["paused"] == wanted["paused"]
            else:
                assert found == wanted

        if failure := in_a_copy(company, ground / f"point-{len(points)}", go_on):
            failures.append(f"killed at point {len(points)}, {where}:\n{failure}")

    with write_points(company, die):
        company.run("sync-customers")
    settle(company)
    assert picture(company) == wanted
    assert len(points) >= POINTS
    assert not failures, f"{len(failures)} of {len(points)}\n" + "\n".join(failures[:2])
