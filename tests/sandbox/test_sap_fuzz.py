"""Whatever is posted to the simulated Service Layer, it answers cleanly and its books add up."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from test_sap_support import MAY, D, Sap, invoice, payment, sap

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**18), 10**18),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000),
    st.text(max_size=30),
    st.sampled_from([[], {}, [None], [{}], "2026-02-30", "tYES", "1e400", "0", "-0", "it_Invoice", "C1", "1361", "USD"]),
)
LINES = [{"AccountCode": "1200", "Debit": D(5)}, {"ShortName": "C1", "Credit": D(5), "Reference1": "PM1"}]
ROW = {"Selected": "tYES", "TransId": 1, "TransRowId": 0, "ReconcileAmount": D(5)}
BODIES: dict[str, dict[str, Any]] = {
    "IncomingPayments": payment((1, "5"), total="7", BPLID=1, DocCurrency="EUR", DocRate=1, CashSum=1, CashAccount="1000"),
    "VendorPayments": {
        "DocType": "rCustomer",
        "CardCode": "C1",
        "TransferAccount": "1361",
        "TransferSum": D(20),
        "TransferReference": "re_1",
        "PaymentInvoices": [
            {"DocEntry": 1, "SumApplied": D(7), "InvoiceType": "it_CredItnote"},
            {"DocEntry": 4, "DocLine": 1, "SumApplied": D(3), "InvoiceType": "it_JournalEntry"},
        ],
    },
    "JournalEntries": {"ReferenceDate": "2026-05-02", "Memo": "m", "Reference2": "r", "JournalEntryLines": LINES},
    "InternalReconciliations": {
        "ReconDate": "2026-05-02",
        "InternalReconciliationOpenTransRows": [ROW, {**ROW, "TransId": 2, "TransRowId": 1}],
    },
    "Invoices": {
        "CardCode": "C1",
        "DocType": "dDocument_Service",
        "DocumentLines": [{"AccountCode": "4400", "LineTotal": 3, "Quantity": 1, "TaxCode": "S7"}],
        "DiscountPercent": 3,
        "RoundingDiffAmount": D("0.01"),
    },
    "CreditNotes": {"CardCode": "C1", "DocumentLines": [{"BaseType": 13, "BaseEntry": 1, "BaseLine": 0}]},
    "BusinessPartners": {"CardCode": "C5", "CardName": "x", "Currency": "##", "ContactEmployees": [{"Name": "a"}]},
    "InternalReconciliationsService_GetOpenTransactions": {
        "InternalReconciliationOpenTransParams": {
            "InternalReconciliationBPs": [{"BPCode": "C1"}],
            "FromDate": "2026-01-01",
            "CardOrAccount": "coaCard",
        }
    },
    "SBOBobService_SetCurrencyRate": {"Currency": "USD", "Rate": "0.9", "RateDate": "20260502"},
    "CompanyService_GetFinancePeriods": {"PeriodCategoryParams": {"AbsoluteEntry": 1}},
    "Login": {"CompanyDB": "SBODEMO", "UserName": "manager", "Password": "secret"},
}


def prepared() -> Sap:
    """Make a company with an invoice and a payment on account."""
    caller = sap(lock_after_failures=0)
    books = caller.service.books
    books.set_rate("USD", D("0.9"))
    invoice(books)
    caller.post("IncomingPayments", payment(total="50"))
    books.credit_memo(invoice(books, "C1"), D(9))
    books.reconcile([(3, 0, D(4)), (2, 1, D(4))])
    books.add_entry([books.line("1200", D(5)), books.line("", D(-5), partner="C1")], MAY)
    return caller


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List every place in a body that can be replaced."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in items for place in places(one, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], odd: Any) -> Any:
    """Copy a body with one place replaced."""
    if not path:
        return odd
    if isinstance(value, dict):
        return {key: replaced(one, path[1:], odd) if key == path[0] else one for key, one in value.items()}
    return [replaced(one, path[1:], odd) if number == path[0] else one for number, one in enumerate(value)]


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_any_body_is_answered(data: st.DataObject) -> None:
    """A valid body with one or two odd values is booked or refused; nothing breaks, and the books add up."""
    name = data.draw(st.sampled_from(sorted(BODIES)))
    body: Any = BODIES[name]
    for _ in range(data.draw(st.integers(0, 2))):
        body = replaced(body, data.draw(st.sampled_from(places(body))), data.draw(ODD))
    caller = prepared()
    before = len(caller.service.books.journal)
    answer = caller.post(name, body)
    assert answer.status in (200, 201, 204, 400, 401, 404), answer.body
    if answer.status >= 400:
        assert len(caller.service.books.journal) == before
        assert answer.error[2]
    caller.service.books.check()


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["BusinessPartners('C1')", "IncomingPayments(1)", "Invoices(1)", "JournalEntries(1)"]), st.data())
def test_any_change_is_answered(address: str, data: st.DataObject) -> None:
    """A PATCH of any property with any value is done or refused, and the object can be read afterwards."""
    caller = prepared()
    known = sorted(caller.get(address).body)
    name = data.draw(st.sampled_from(known))
    answer = caller.patch(address, {name: data.draw(ODD)})
    assert answer.status in (204, 400), answer.body
    assert caller.get(address).status == 200
    caller.service.books.check()


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="InvoicesBP()/'=1$,C", max_size=25), st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT"]))
def test_any_address_is_answered(path: str, method: str) -> None:
    """Any address with any verb is answered."""
    assert prepared().send(method, path).status < 500
