"""Every behaviour of a Service Layer that is uncertain or differs between companies, as a switch that can be set both ways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Refusal = tuple[int, str]
Notification = Callable[[str, Mapping[str, Any]], Refusal | None]
MarkerFilter = Literal["works", "refused", "ignored", "always_empty"]


@dataclass(frozen=True)
class SapSwitches:
    """How this company and this Service Layer behave; the defaults are the most probable answers."""

    # --- sessions -------------------------------------------------------------------------------------------------
    # Minutes of inactivity after which a session is dead; what Login answers as SessionTimeout (30, hosters up to 1500).
    session_timeout_minutes: int = 30
    # The text of a dead session comes as 401/301, or as 400 under the generic code -5002.
    dead_session: Literal["301", "-5002"] = "301"
    # A write without the ROUTEID cookie: done as usual, or -1116 without, or -1116 although it was done.
    missing_route_id: Literal["accepted", "lost", "done"] = "lost"
    # Path attribute of the ROUTEID cookie; None is the prefix and /b1s.
    route_cookie_path: str | None = None
    # Wrong passwords in a row after which the user is locked (100000055); 0 is never.
    lock_after_failures: int = 3
    # Older versions answer a wrong password with 500 and 100000027 in place of 401 and -304.
    old_login_errors: bool = False
    # A second login within this many seconds of the one before is answered 500/299 (parallel logins).
    parallel_login_seconds: float = 0.0
    # The balancer's nodes, in the form of ROUTEID.
    nodes: tuple[str, ...] = (".node1", ".node2")
    version: str = "1000240"

    # --- reading --------------------------------------------------------------------------------------------------
    page_size: int = 20
    # The largest page the server grants; 0 is no limit.
    page_limit: int = 0
    # How the next link is written: relative to the service root, a path, a full address, another origin's address, or left out.
    next_link: Literal["relative", "path", "absolute", "foreign", "off"] = "relative"
    # The next link repeats $filter, $select and $orderby, or carries $skip alone.
    next_link_keeps_options: bool = True
    # An exactly full last page still has a link.
    full_page_has_link: bool = True
    # Scheme of absolute addresses (Location, next links).
    scheme: str = "http"
    # Order of rows where $orderby is absent.
    default_order: Literal["key", "reverse"] = "key"
    # Seconds count in UpdateTime and its filters, or only hour and minute.
    update_time_has_seconds: bool = True
    # Strings compare like a case-insensitive SQL Server collation.
    case_insensitive: bool = False
    # Dates in filters: every spelling seen in the wild, or the quoted 'YYYY-MM-DD' only.
    date_literals: Literal["all", "quoted"] = "all"
    # The code of an unknown property inside $filter.
    unknown_filter_code: Literal[-1000, 201] = -1000
    # What $filter on TransferReference of IncomingPayments and VendorPayments and on JournalEntries.Reference2 does.
    payment_marker_filter: MarkerFilter = "works"
    entry_marker_filter: MarkerFilter = "works"
    # Whether OriginalJournal and Original of JournalEntries filter.
    original_filters: bool = True
    # Document.PaidToDate exists (2024 metadata) or not (2021 list).
    has_paid_to_date: bool = True
    # User fields that exist, as "TABLE.U_Name" (tables ORCT, OJDT, JDT1, OINV, OCRD).
    user_fields: frozenset[str] = frozenset()

    # --- errors ---------------------------------------------------------------------------------------------------
    # The envelope: as in the manuals, v2 with message {lang, value}, or an old version's innererror beside it.
    error_style: Literal["standard", "message_dict", "innererror"] = "standard"
    # Messages come in another language; codes and [TABLE.Field] tags stay.
    localised: bool = False
    # Entity sets the user may only read: a write is 403/-6006.
    forbidden: frozenset[str] = frozenset()
    # PATCH or DELETE of something absent: 404 with this code.
    patch_missing_code: Literal[-2028, -5002] = -2028
    # Addresses that answer 404/-1008 in this version, such as "CompanyService_GetFinancePeriods".
    missing_apis: frozenset[str] = frozenset()

    # --- the company ----------------------------------------------------------------------------------------------
    enable_branches: bool = False
    # Account codes are internal (_SYS...), the visible ones stand in FormatCode.
    segmented_accounts: bool = False
    # The system currency; empty is the local one. Without its rate on the day documents are refused.
    system_currency: str = ""
    # Zone of UpdateDate and UpdateTime; empty is the company's zone.
    server_timezone: str = ""
    # A payment, credit memo or reconciliation moves the invoice's UpdateDate.
    payment_moves_update_date: bool = True
    # An invoice settled by internal reconciliation closes, or stays bost_Open without a balance.
    reconciliation_closes: bool = True
    # A numbering series for documents exists; without it they are refused with -10 and 10000521.
    numbering_series_defined: bool = True
    # The series is locked: nothing new may be numbered by it.
    series_locked: bool = False
    # CompanyInfo.MaxNumberOfDocumentsInPmt; 0 is no limit.
    max_documents_in_payment: int = 0
    # The company demands CashFlowAssignments on payments.
    cash_flow_required: bool = False
    # CompanyService_GetFinancePeriods refuses a call without PeriodCategoryParams.
    finance_periods_need_category: bool = True
    # Single values of SBOBobService come bare (12150.000000) or wrapped in {"value": ...}.
    function_values: Literal["bare", "wrapped"] = "bare"

    # Webhooks: a version before FP 2602 has none, later ones are off until EnableWebhook is set.
    webhooks: Literal["absent", "off", "on"] = "absent"
    # How a batch of messages is written: an array of events as in SAP's manual, or an object around plain messages.
    webhook_body: Literal["array", "object"] = "array"
    # How the HMAC over the raw body is written.
    webhook_signature: Literal["base64", "hex"] = "base64"
    # How often a batch is tried again (2, 4, 8 ... seconds apart); the manual says three, and five elsewhere.
    webhook_retries: int = 3

    # --- writing --------------------------------------------------------------------------------------------------
    # SumApplied of a foreign-currency payment is in local currency (AppliedFC foreign), or itself foreign.
    sum_applied_is_foreign: bool = False
    # SAP recalculates: the transfer sum is rounded to this step before it is booked.
    rounds_transfer_sum: Decimal | None = None
    # An approval procedure fires for incoming and outgoing payments, for all or some customers: the POST answers -2028 and a draft is saved.
    approval: bool = False
    approval_cards: frozenset[str] = frozenset()
    # SBO_SP_TransactionNotification: refuses writes with its own positive code and text, by callable or by card code.
    notification: Notification | None = None
    notification_cards: frozenset[str] = frozenset()
    # A negative it_Receipt row may use an earlier payment on account.
    receipt_rows: bool = True
    # A partner line of a journal entry: AccountCode may be given or left out, must be left out, or must be given.
    partner_line_account: Literal["either", "omitted", "given"] = "either"
    # Cancel of a payment or entry whose on-account part was reconciled by hand: refused, or the reconciliation is undone.
    cancel_reconciled: Literal["refused", "undone"] = "refused"
    # The entry that reverses another carries the same references.
    reversal_keeps_references: bool = True
    # User tables that exist, by the names of their entity sets, such as "U_MLC_CLAIM".
    user_tables: frozenset[str] = frozenset()
