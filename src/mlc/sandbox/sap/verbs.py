"""Scenario verbs for people who play: `POST /sandbox/<verb>` does in the books what a colleague at the SAP client would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from mlc.sandbox.kit import Request, Response
from mlc.sandbox.sap.books import Books
from mlc.sandbox.sap.errors import SapError
from mlc.sandbox.sap.ledger import CLEARING, LOSSES
from mlc.sandbox.sap.sessions import Sessions

Play = Callable[[Mapping[str, Any]], Any]


class Verbs:
    """The verbs of one company."""

    def __init__(self, books: Books, sessions: Sessions) -> None:
        self.books = books
        self.sessions = sessions
        self.plays: dict[str, Play] = {
            "add_partner": self._add_partner,
            "add_invoice": self._add_invoice,
            "receipt": self._receipt,
            "refund": self._refund,
            "refund_by_entry": self._refund_by_entry,
            "cancel_payment": lambda given: books.cancel_payment(int(given["payment"]), _day(given.get("date"))),
            "cancel_payment_today": lambda given: books.cancel_payment_today(int(given["payment"])),
            "cancel_refund": lambda given: books.cancel_refund(int(given["payment"]), _day(given.get("date"))),
            "cancel_invoice": lambda given: books.cancel_invoice(int(given["invoice"])),
            "credit_memo": lambda given: books.credit_memo(int(given["invoice"]), _amount(given.get("amount"))),
            "close_document": lambda given: books.close_document(int(given["invoice"])),
            "reopen_document": lambda given: books.reopen_document(int(given["invoice"])),
            "write_off": self._write_off,
            "change_due_date": self._change_due_date,
            "touch": self._touch,
            "approve_draft": lambda given: books.approve_draft(int(given["draft"])),
            "remove_draft": lambda given: bool(books.remove_draft(int(given["draft"]))),
            "close_period": lambda given: books.close_period(int(given["year"]), int(given["month"])),
            "open_period": lambda given: books.open_period(int(given["year"]), int(given["month"])),
            "lock_account": lambda given: books.lock_account(given["account"], given.get("how", "frozen")),
            "unlock_account": lambda given: books.unlock_account(given["account"], given.get("how", "frozen")),
            "set_rate": self._set_rate,
            "expire_sessions": lambda _: sessions.expire(),
            "lock_user": lambda given: sessions.locked.add(given["user"]),
            "unlock_user": lambda given: sessions.locked.discard(given["user"]),
            "stall_node": lambda given: sessions.stall(given.get("node", ".node1")),
            "balance": lambda given: books.balance(given["account"]),
            "partner_balance": lambda given: books.partner_balance(given["card_code"]),
            "open_balance": lambda given: books.open_balance(int(given["invoice"])),
            "check": lambda _: books.check(),
        }

    def answer(self, verb: str, request: Request) -> Response:
        """Do one verb; the answer is {"ok": true, "result": ...} or what was wrong."""
        play = self.plays.get(verb)
        if play is None or request.method != "POST":
            return Response.of_json(404, {"ok": False, "verbs": sorted(self.plays)})
        try:
            given = dict(request.json()) if request.body else {}
            return Response.of_json(200, {"ok": True, "result": play(given)})
        except KeyError as error:
            return Response.of_json(400, {"ok": False, "error": f"missing or unknown: {error.args[0]}"})
        except (SapError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            return Response.of_json(400, {"ok": False, "error": str(error)})
        except AssertionError as error:
            return Response.of_json(409, {"ok": False, "error": str(error)})

    def _add_partner(self, given: Mapping[str, Any]) -> Any:
        fields = {key: value for key, value in given.items() if key not in ("card_code", "name")}
        return self.books.add_partner(given["card_code"], given["name"], **fields)

    def _add_invoice(self, given: Mapping[str, Any]) -> Any:
        if given["card_code"] not in self.books.partners:
            raise KeyError(given["card_code"])
        today = self.books.today()
        lines = [
            (
                str(one.get("description", "")),
                _amount(one.get("quantity", 1)) or Decimal(1),
                _amount(one["price"]) or Decimal(0),
                _amount(one.get("tax", 19)) or Decimal(0),
            )
            for one in given["lines"]
        ]
        entry = self.books.add_invoice(
            given["card_code"],
            lines,
            doc_date=_day(given.get("doc_date")) or today,
            due_date=_day(given.get("due_date")),
            currency=given.get("currency"),
            **given.get("fields", {}),
        )
        return {"DocEntry": entry, "DocNum": self.books.invoice(entry).doc_num}

    def _receipt(self, given: Mapping[str, Any]) -> Any:
        applied = {int(entry): _amount(amount) or Decimal(0) for entry, amount in given.get("applied", {}).items()}
        total = _amount(given.get("amount"))
        return self.books.add_receipt(
            given["card_code"],
            sum(applied.values(), Decimal(0)) if total is None else total,
            applied,
            date=_day(given.get("date")) or self.books.today(),
            means=given.get("means", "transfer"),
            reference=given.get("reference", ""),
            account=given.get("account", ""),
            installment=int(given.get("installment", 1)),
        )

    def _refund(self, given: Mapping[str, Any]) -> Any:
        memos = {int(entry): _amount(amount) or Decimal(0) for entry, amount in given.get("memos", {}).items()}
        total = _amount(given.get("amount"))
        return self.books.add_refund(
            given["card_code"],
            sum(memos.values(), Decimal(0)) if total is None else total,
            reference=given.get("reference", ""),
            account=given.get("account", CLEARING),
            date=_day(given.get("date")),
            memos=memos,
        )

    def _refund_by_entry(self, given: Mapping[str, Any]) -> Any:
        return self.books.refund_by_entry(
            self.books.partners[given["card_code"]].card_code,
            _amount(given["amount"]) or Decimal(0),
            account=given.get("account", CLEARING),
            reference=given.get("reference", ""),
            date=_day(given.get("date")),
        )

    def _write_off(self, given: Mapping[str, Any]) -> Any:
        return self.books.write_off(
            int(given["invoice"]),
            _amount(given.get("amount")),
            account=given.get("account", LOSSES),
            date=_day(given.get("date")),
        )

    def _change_due_date(self, given: Mapping[str, Any]) -> None:
        self.books.change_due_date(int(given["invoice"]), date.fromisoformat(str(given["due_date"])))

    def _touch(self, given: Mapping[str, Any]) -> None:
        self.books.touch(int(given["invoice"]), **given.get("fields", {}))

    def _set_rate(self, given: Mapping[str, Any]) -> None:
        self.books.set_rate(given["currency"], _amount(given["rate"]) or Decimal(1), _day(given.get("date")))


def _amount(value: Any) -> Decimal | None:
    if value is None:
        return None
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"no amount: {value}") from None
    if not amount.is_finite():
        raise ValueError(f"no amount: {value}")
    return amount


def _day(value: Any) -> date | None:
    return None if value is None else date.fromisoformat(str(value))
