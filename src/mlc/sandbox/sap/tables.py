"""The property tables of the entities that are served: name:kind[!][=attribute], where ! is read-only and sNN is a length."""

from __future__ import annotations

ENUMS: dict[str, dict[str, str]] = {
    "BoYesNoEnum": {"tNO": "N", "tYES": "Y"},
    "BoDocumentTypes": {"dDocument_Items": "I", "dDocument_Service": "S"},
    "BoStatus": {"bost_Open": "O", "bost_Close": "C", "bost_Paid": "P", "bost_Delivered": "D"},
    "CancelStatusEnum": {"csYes": "Y", "csNo": "N", "csCancellation": "C"},
    "BoCardTypes": {"cCustomer": "C", "cSupplier": "S", "cLid": "L"},
    "BoCardCompanyTypes": {"cCompany": "C", "cPrivate": "I", "cGovernment": "G", "cEmployee": "E"},
    "BoAddressType": {"bo_ShipTo": "S", "bo_BillTo": "B"},
    "BoRcptTypes": {"rCustomer": "C", "rAccount": "A", "rSupplier": "S"},
    "BoRcptInvTypes": {
        "it_Invoice": "13", "it_CredItnote": "14", "it_Receipt": "24", "it_JournalEntry": "30", "it_PaymentAdvice": "46",
        "it_DownPayment": "203",
    },
    "BoORCTPaymentTypeEnum": {
        "bopt_None": "N", "bopt_Electronic": "E", "bopt_Post": "P", "bopt_Telegraph": "T", "bopt_Express": "X",
    },
    "BoPaymentsObjectType": {"bopot_IncomingPayments": "24", "bopot_OutgoingPayments": "46"},
    "PaymentsAuthorizationStatusEnum": {
        "pasWithout": "-", "pasPending": "W", "pasApproved": "Y", "pasRejected": "N", "pasGenerated": "P",
        "pasGeneratedbyAuthorizer": "A", "pasCancelled": "C",
    },
    "DocumentAuthorizationStatusEnum": {
        "dasWithout": "-", "dasPending": "W", "dasApproved": "Y", "dasRejected": "N", "dasGenerated": "P",
        "dasGeneratedbyAuthorizer": "A", "dasCancelled": "C",
    },
    "DownPaymentTypeEnum": {"dptRequest": "N", "dptInvoice": "Y"},
    "PaymentMeansTypeEnum": {
        "pmtNotAssigned": "", "pmtChecks": "CHK", "pmtBankTransfer": "BTR", "pmtCash": "CAS", "pmtCreditCard": "CRD",
    },
    "TransTypesEnum": {
        "ttAllTransactions": "-1", "ttOpeningBalance": "-2", "ttARInvoice": "13", "ttARCredItnote": "14", "ttReceipt": "24",
        "ttJournalEntry": "30", "ttVendorPayment": "46", "ttDownPayment": "203", "ttInternalReconciliation": "321",
    },
    "CardOrAccountEnum": {"coaCard": "C", "coaAccount": "A"},
    "CreditOrDebitEnum": {"codCredit": "C", "codDebit": "D"},
    "ReconTypeEnum": {
        "rtManual": "0", "rtAutomatic": "1", "rtSemiAutomatic": "2", "rtPayment": "3", "rtCreditMemo": "4", "rtReversal": "5",
        "rtZeroValue": "6", "rtCancellation": "7",
    },
    "ReconSelectDateTypeEnum": {"rsdtPostDate": "R", "rsdtDueDate": "D", "rsdtDocDate": "T"},
    "BoAccountTypes": {"at_Revenues": "I", "at_Expenses": "E", "at_Other": "N"},
    "CurrenciesDecimalsEnum": {
        "cd1Digit": "1", "cd2Digits": "2", "cd3Digits": "3", "cd4Digits": "4", "cd5Digits": "5", "cd6Digits": "6",
        "cdDefault": "-1", "cdWithoutDecimals": "0",
    },
    "PeriodStatusEnum": {"ltUnlocked": "N", "ltUnlockedExceptSales": "S", "ltPeriodClosing": "C", "ltLocked": "Y"},
    "BoSubPeriodTypeEnum": {"spt_Year": "Y", "spt_Quarters": "Q", "spt_Months": "M", "spt_Days": "D"},
    "PrintStatusEnum": {"psNo": "N", "psYes": "Y", "psAmended": "A"},
    "SEPASequenceTypeEnum": {"sstOOFF": "OOFF", "sstFRST": "FRST", "sstRCUR": "RCUR", "sstFNAL": "FNAL"},
}  # fmt: skip

_DOCUMENT = """
DocEntry:i!=doc_entry DocNum:i=doc_num DocType:BoDocumentTypes HandWritten:yn Printed:PrintStatusEnum DocDate:d=doc_date
DocDueDate:d=due_date TaxDate:d=tax_date VatDate:d CardCode:s15=card_code CardName:s100=card_name Address:s Address2:s
NumAtCard:s100 DocTotal:n=total DocTotalFc:n=total_fc DocTotalSys:n!=total_sys DocCurrency:s3=currency DocRate:n=rate
Reference1:s Reference2:s Comments:s254 JournalMemo:s50 PaymentGroupCode:i DocTime:t=create_time SalesPersonCode:i
Confirmed:yn ContactPersonCode:i Series:i ShipToCode:s PayToCode:s Indicator:s2 FederalTaxID:s32 DiscountPercent:n
PaymentReference:s27 CreationDate:d!=create_date UpdateDate:d!=update_date UpdateTime:t!=update_time TransNum:i!=trans_id
VatSum:n!=vat VatSumFc:n!=vat_fc VatSumSys:n! VatPercent:n TotalDiscount:n!=discount RequriedDate:d CancelDate:d
BlockDunning:yn PaymentMethod:s15 PaymentBlock:yn PaymentBlockEntry:i CentralBankIndicator:s Project:s20 Rounding:yn=rounded
RoundingDiffAmount:n=rounding RoundingDiffAmountFC:n! DocumentStatus:BoStatus!=status Cancelled:yn!=cancelled
CancelStatus:CancelStatusEnum!=cancel_status ControlAccount:s15 BPL_IDAssignedToInvoice:i=branch BPLName:s! VATRegNum:s!
DownPayment:n DownPaymentAmount:n DownPaymentPercentage:n DownPaymentType:DownPaymentTypeEnum DownPaymentTrasactionID:s
WTApplied:n! WTAmount:n! WTAmountFC:n! WTAmountSC:n! BaseAmount:n! NumberOfInstallments:i=installment_count
PaidToDate:n!=paid PaidToDateFC:n!=paid_fc PaidToDateSys:n!=paid_sys DataVersion:i!=version ExtraMonth:i ExtraDays:i
CashDiscountDateOffset:i OpeningRemarks:s ClosingRemarks:s ReserveInvoice:yn DocumentsOwner:i UserSign:i
FinancialPeriod:i! PeriodIndicator:s! LanguageCode:i TrackingNumber:s EDocNum:s ImportFileNum:i TransportationCode:i
AuthorizationStatus:DocumentAuthorizationStatusEnum! DocumentLines:[DocumentLine]=lines
DocumentInstallments:[DocumentInstallment]=installments WithholdingTaxDataCollection:[WithholdingTaxData]
DownPaymentsToDraw:[DownPaymentToDraw] DocumentAdditionalExpenses:[DocumentAdditionalExpense]
DocumentReferences:[DocumentReference]
"""

_DOCUMENT_LINE = """
LineNum:i=line_num ItemCode:s50 ItemDescription:s100=description ItemDetails:s Quantity:n=quantity ShipDate:d Price:n=price
UnitPrice:n=price GrossPrice:n=price_after_vat PriceAfterVAT:n=price_after_vat Currency:s3=currency Rate:n DiscountPercent:n
LineTotal:n=total RowTotalFC:n=total_fc RowTotalSC:n! TaxTotal:n=tax NetTaxAmount:n!=tax NetTaxAmountFC:n!=tax_fc
GrossTotal:n=gross GrossTotalFC:n=gross_fc VatGroup:s8 TaxCode:s8 TaxPercentagePerRow:n=tax_percent TaxLiable:yn
AccountCode:s15=account WarehouseCode:s8 SalesPersonCode:i CostingCode:s8 CostingCode2:s8 CostingCode3:s8 CostingCode4:s8
CostingCode5:s8 COGSCostingCode:s8 ProjectCode:s20 LineStatus:BoStatus=status BaseType:i=base_type BaseEntry:i=base_entry
BaseLine:i=base_line OpenAmount:n!=open_amount OpenAmountFC:n! RemainingOpenQuantity:n! FreeText:s100 BarCode:s VendorNum:s
SupplierCatNum:s MeasureUnit:s DocEntry:i!=doc_entry VisualOrder:i=line_num AgreementNo:i LocationCode:i WTLiable:yn
Text:s! UoMCode:s! UoMEntry:i UnitsOfMeasurment:n
"""

_PARTNER = """
CardCode:s15=card_code CardName:s100=name CardType:BoCardTypes=card_type GroupCode:i Address:s ZipCode:s MailAddress:s
MailZipCode:s Phone1:s20 Phone2:s20 Cellular:s50 Fax:s20 ContactPerson:s90 Notes:s100 PayTermsGrpCode:i CreditLimit:n
MaxCommitment:n DiscountPercent:n FederalTaxID:s32 VatIDNum:s AdditionalID:s FreeText:s PriceListNum:i SalesPersonCode:i
Currency:s3=currency City:s County:s Country:s MailCity:s MailCountry:s BillToState:s ShipToState:s Block:s
EmailAddress:s100 Website:s CardForeignName:s100 AliasName:s CurrentAccountBalance:n!=balance OpenOrdersBalance:n!
OpenDeliveryNotesBalance:n! VatGroup:s8 IBAN:s DebitorAccount:s15=control_account Valid:yn ValidFrom:d ValidTo:d
ValidRemarks:s Frozen:yn FrozenFrom:d FrozenTo:d FrozenRemarks:s PeymentMethodCode:s15 BlockDunning:yn DunningTerm:s
DunningLevel:i! HouseBank:s HouseBankAccount:s HouseBankCountry:s PaymentBlock:yn ProjectCode:s20 LanguageCode:i Series:i
CompanyPrivate:BoCardCompanyTypes CompanyRegistrationNumber:s BilltoDefault:s ShipToDefault:s FatherCard:s15 Industry:i
Territory:i DefaultBankCode:s DefaultAccount:s DefaultBranch:s GlobalLocationNumber:s OwnerCode:i AttachmentEntry:i
CreateDate:d!=create_date CreateTime:t!=create_time UpdateDate:d!=update_date UpdateTime:t!=update_time DataVersion:i!=version
BPAddresses:[BPAddress] ContactEmployees:[ContactEmployee] BPBankAccounts:[BPBankAccount] BPPaymentMethods:[BPPaymentMethod]
BPBranchAssignment:[BPBranchAssignmentItem] BPCurrenciesCollection:[BPCurrencies]
"""

_PAYMENT = """
DocEntry:i!=doc_entry DocNum:i=doc_num DocType:BoRcptTypes DocTypte:BoRcptTypes HandWritten:yn Printed:yn DocDate:d=date
DueDate:d=due_date TaxDate:d=tax_date VatDate:d CardCode:s15=card_code CardName:s100=card_name Address:s
DocCurrency:s3=currency DocRate:n=rate LocalCurrency:yn CurrencyIsLocal:yn TransferAccount:s15=transfer_account
TransferSum:n=transfer_sum TransferDate:d=transfer_date TransferReference:s27=transfer_reference TransferRealAmount:n
CashAccount:s15=cash_account CashSum:n=cash_sum CashSumFC:n! CashSumSys:n! CheckAccount:s15 CounterReference:s8 Reference1:s
Reference2:s Remarks:s254=remarks JournalRemarks:s50 SplitTransaction:yn ContactPersonCode:i ApplyVAT:yn Series:i BankCode:s
BankAccount:s DiscountPercent:n ProjectCode:s20 DeductionPercent:n DeductionSum:n BillOfExchangeAmount:n WTAmount:n
PayToBankCode:s PayToBankAccountNo:s PayToCode:s BankChargeAmount:n=bank_charge BankChargeAmountInFC:n!
UnderOverpaymentdifference:n! TransactionCode:s4 PaymentType:BoORCTPaymentTypeEnum DocObjectCode:BoPaymentsObjectType
LocationCode:i Cancelled:yn!=cancelled ControlAccount:s15 AuthorizationStatus:PaymentsAuthorizationStatusEnum!=authorization
BPLID:i=branch BPLName:s! VATRegNum:s! BlanketAgreement:i PaymentInvoices:[PaymentInvoice]=rows
PaymentAccounts:[PaymentAccount] PaymentCreditCards:[PaymentCreditCard] PaymentChecks:[PaymentCheck]
CashFlowAssignments:[CashFlowAssignment]
"""

_PAYMENT_INVOICE = """
LineNum:i=line_num DocEntry:i=doc_entry DocNum:i=doc_num SumApplied:n=shown AppliedFC:n=applied_fc AppliedSys:n DocRate:n=rate
DocLine:i=doc_line InvoiceType:BoRcptInvTypes=kind DiscountPercent:n PaidSum:n InstallmentId:i=installment
WitholdingTaxApplied:n! LinkDate:d! DistributionRule:s8 DistributionRule2:s8 DistributionRule3:s8 DistributionRule4:s8
DistributionRule5:s8 TotalDiscount:n TotalDiscountFC:n TotalDiscountSC:n!
"""

_ENTRY = """
JdtNum:i!=trans_id Number:i!=number ReferenceDate:d=date DueDate:d=due_date TaxDate:d=tax_date VatDate:d Memo:s50=memo
Reference:s100 Reference2:s100 Reference3:s27 TransactionCode:s4 ProjectCode:s20 Indicator:s2 UseAutoStorno:yn StornoDate:d
Series:i StampTax:yn AutoVAT:yn ReportEU:yn Report347:yn Printed:PrintStatusEnum!=printed LocationCode:i
OriginalJournal:TransTypesEnum!=origin Original:i!=original BaseReference:s! BlockDunningLetter:yn AutomaticWT:yn
AdjustTransaction:yn DocumentType:s DeferredTax:yn AttachmentEntry:i JournalEntryLines:[JournalEntryLine]=lines
"""

_ENTRY_LINE = """
Line_ID:i=line_id AccountCode:s15=account ShortName:s15=short_name ContraAccount:s15 ControlAccount:s15=control_account
Debit:n=debit Credit:n=credit FCDebit:n=fc_debit FCCredit:n=fc_credit FCCurrency:s3=currency DebitSys:n CreditSys:n
DueDate:d=due_date TaxDate:d VatDate:d ReferenceDate1:d ReferenceDate2:d LineMemo:s50 Reference1:s100 Reference2:s100
AdditionalReference:s27 ProjectCode:s20 CostingCode:s8 CostingCode2:s8 CostingCode3:s8 CostingCode4:s8 CostingCode5:s8
TaxGroup:s8 TaxCode:s8 VatLine:yn BaseSum:n VatAmount:n GrossValue:n PaymentBlock:yn BlockReason:i FederalTaxID:s32
BPLID:i=branch BPLName:s! VATRegNum:s! LocationCode:i CostElementCode:s
"""

_ACCOUNT = """
Code:s15=code Name:s100=name FormatCode:s=format_code Balance:n!=balance CashAccount:yn=cash ActiveAccount:yn=active
PrimaryAccount:yn! AccountLevel:i! FatherAccountKey:s ExternalCode:s AccountType:BoAccountTypes=kind AcctCurrency:s3=currency
Balance_syscurr:n! Balance_FrgnCurr:n! Protected:yn ReconciledAccount:yn ForeignName:s Details:s ProjectCode:s20
LockManualTransaction:yn=manual_lock BlockManualPosting:yn=manual_block ValidFor:yn=valid ValidFrom:d ValidTo:d
FrozenFor:yn=frozen FrozenFrom:d FrozenTo:d FrozenRemarks:s BudgetAccount:yn ProjectRelevant:yn DistributionRuleRelevant:yn
DistributionRule2Relevant:yn DistributionRule3Relevant:yn DistributionRule4Relevant:yn DistributionRule5Relevant:yn BPLID:i
TaxLiableAccount:yn DefaultVatGroup:s CashFlowRelevant:yn DatevAccount:s
"""

_SMALL = """
DocumentInstallment:
    InstallmentId:i!=number DueDate:d=due_date Percentage:n=percentage Total:n=total TotalFC:n=total_fc
    LastDunningDate:d! DunningLevel:i PaymentOrdered:yn!
WithholdingTaxData:
    WTCode:s WTAmount:n WTAmountFC:n TaxableAmount:n
DownPaymentToDraw:
    DocEntry:i AmountToDraw:n DownPaymentType:DownPaymentTypeEnum!
DocumentAdditionalExpense:
    ExpenseCode:i LineTotal:n LineTotalFC:n! TaxCode:s VatGroup:s TaxSum:n
DocumentReference:
    LineNumber:i RefDocEntr:i RefDocNum:i Remark:s
BPAddress:
    AddressName:s Street:s Block:s ZipCode:s City:s County:s Country:s State:s FederalTaxID:s TaxCode:s
    BuildingFloorRoom:s AddressType:BoAddressType AddressName2:s AddressName3:s StreetNo:s BPCode:s RowNum:i
ContactEmployee:
    CardCode:s Name:s50 Position:s Address:s Phone1:s Phone2:s MobilePhone:s Fax:s E_Mail:s100 InternalCode:i Title:s
    Active:yn FirstName:s MiddleName:s LastName:s Remarks1:s
BPBankAccount:
    BPCode:s IBAN:s AccountNo:s AccountName:s BankCode:s BICSwiftCode:s Branch:s Country:s Street:s City:s ZipCode:s
    InternalKey:i MandateID:s SignatureDate:d MandateExpDate:d SEPASeqType:SEPASequenceTypeEnum
BPPaymentMethod:
    PaymentMethodCode:s RowNumber:i BPCode:s
BPBranchAssignmentItem:
    BPCode:s! BPLID:i DisabledForBP:yn
BPCurrencies:
    CurrencyCode:s Include:yn
PaymentAccount:
    LineNum:i AccountCode:s15 SumPaid:n SumPaidFC:n Decription:s VatGroup:s AccountName:s GrossAmount:n ProfitCenter:s8
    ProjectCode:s20 VatAmount:n
PaymentCreditCard:
    LineNum:i CreditCard:i CreditAcct:s15 CreditCardNumber:s CreditSum:n CreditCur:s VoucherNum:s
PaymentCheck:
    LineNum:i DueDate:d CheckNumber:i BankCode:s CheckSum:n CheckAccount:s15 Currency:s3
CashFlowAssignment:
    CashFlowAssignmentsID:i! CashFlowLineItemID:i Credit:n PaymentMeans:PaymentMeansTypeEnum CheckNumber:s AmountLC:n
    AmountFC:n JDTLineId:i
InternalReconciliation:
    ReconNum:i!=number ReconDate:d!=date CardOrAccount:CardOrAccountEnum!=scope ReconType:ReconTypeEnum!=kind
    Total:n!=total CancelAbs:i!=cancelled_by InternalReconciliationRows:[InternalReconciliationRow]=rows
InternalReconciliationRow:
    LineSeq:i!=line_seq ShortName:s!=short_name TransId:i!=trans_id TransRowId:i!=row_id SrcObjTyp:s!=source_type
    SrcObjAbs:i!=source_entry CreditOrDebit:CreditOrDebitEnum!=side ReconcileAmount:n!=amount CashDiscount:n!
InternalReconciliationOpenTrans:
    ReconDate:d CardOrAccount:CardOrAccountEnum BPLId:i
    InternalReconciliationOpenTransRows:[InternalReconciliationOpenTransRow]
InternalReconciliationOpenTransRow:
    Selected:yn ShortName:s! TransId:i TransRowId:i SrcObjTyp:s! SrcObjAbs:i! CreditOrDebit:CreditOrDebitEnum!
    ReconcileAmount:n CashDiscount:n
InternalReconciliationOpenTransParams:
    ReconDate:d CardOrAccount:CardOrAccountEnum AccountNo:s DateType:ReconSelectDateTypeEnum FromDate:d ToDate:d
    InternalReconciliationBPs:[InternalReconciliationBP]
InternalReconciliationBP:
    BPCode:s
Currency:
    Code:s3=code Name:s=name DocumentsCode:s InternationalDescription:s HundredthName:s EnglishName:s=name
    Decimals:CurrenciesDecimalsEnum=decimals RoundingInPayment:yn MaxIncomingAmtDiff:n MaxOutgoingAmtDiff:n
ProfitCenter:
    CenterCode:s8=key CenterName:s GroupCode:s InWhichDimension:i CostCenterType:s EffectiveFrom:d EffectiveTo:d
    Active:yn
Dimension:
    DimensionCode:i!=key DimensionName:s! IsActive:yn DimensionDescription:s
BusinessPlace:
    BPLID:i!=key BPLName:s BPLNameForeign:s VATRegNum:s Address:s MainBPL:yn Disabled:yn DefaultCustomerID:s
    DefaultWarehouseID:s FederalTaxID:s Street:s ZipCode:s City:s Country:s AliasName:s PaymentClearingAccount:s
Project:
    Code:s20=key Name:s ValidFrom:d ValidTo:d Active:yn
FinancePeriod:
    AbsoluteEntry:i=number PeriodCode:s=code PeriodName:s=code PostingDateFrom:d=first PostingDateTo:d=last
    ValueDateFrom:d=first ValueDateTo:d=last TaxDateFrom:d=first TaxDateTo:d=last ActiveforFeed:yn Locked:yn=locked
    AdditionalSubPeriods:yn! PeriodIndicator:s=indicator SubNum:i!=month PeriodStatus:PeriodStatusEnum=status
FinancePeriodParams:
    AbsoluteEntry:i PeriodIndicator:s
PeriodCategoryParams:
    AbsoluteEntry:i
Series:
    Document:s DocumentSubType:s InitialNumber:i LastNumber:i NextNumber:i Prefix:s Suffix:s Remarks:s Locked:yn PeriodIndicator:s
    Name:s SeriesProperty:i IsDigitalSeries:yn DigitNumber:i IsManual:yn! BPLID:i
PeriodCategory:
    AbsoluteEntry:i! BeginningofFinancialYear:d PeriodCategoryProperty:s SubPeriodType:BoSubPeriodTypeEnum
    NumberOfPeriods:i PeriodName:s FromPostingDate:d ToPostingDate:d FinancialYear:i
AdminInfo:
    Code:i CompanyName:s Address:s Country:s LocalCurrency:s SystemCurrency:s TotalsAccuracy:i AccuracyofQuantities:i
    PriceAccuracy:i RateAccuracy:i PercentageAccuracy:i DirectIndirectRate:yn EnableBranches:yn FederalTaxID:s
    EnableApprovalProcedureInDI:yn AccountSegmentsSeparator:s DecimalSeparator:s ThousandsSeparator:s RoundTaxAmounts:yn
    UseNegativeAmounts:yn AllowFuturePostingDate:yn
EventSubscription:
    WebhookID:s40=key WebhookURL:s254 AuthenticationType:WebhookAuthEnum AuthenticationCred:s Handshake:yn
    VerifyCertificate:yn State:WebhookStateEnum WorkMode:WebhookModeEnum EventCollection:[SubscribedEvent]
SubscribedEvent:
    BusinessObject:s TransactionType:s
CompanyInfo:
    Version:i! EnableAccountSegmentation:yn EnableBillOfExchange:yn MaxRecordsInChooseFromList:i CompanyName:s!
    EnableSharingSeries:yn EnableTransactionNotification:yn MaxNumberOfDocumentsInPmt:i Localization:s
"""


def _sections(text: str) -> dict[str, str]:
    """Split the small types: an unindented line names a type, indented ones hold its properties."""
    result: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.endswith(":"):
            name = line[:-1]
        elif line:
            result[name] = result.get(name, "") + line
    return result


TYPES: dict[str, str] = {
    "Document": _DOCUMENT,
    "DocumentLine": _DOCUMENT_LINE,
    "BusinessPartner": _PARTNER,
    "Payment": _PAYMENT,
    "PaymentInvoice": _PAYMENT_INVOICE,
    "JournalEntry": _ENTRY,
    "JournalEntryLine": _ENTRY_LINE,
    "ChartOfAccount": _ACCOUNT,
    **_sections(_SMALL),
}
# The database table whose user fields a type carries.
USER_FIELDS_OF = {
    "Document": "OINV",
    "DocumentLine": "INV1",
    "BusinessPartner": "OCRD",
    "Payment": "ORCT",
    "JournalEntry": "OJDT",
    "JournalEntryLine": "JDT1",
    "ChartOfAccount": "OACT",
}
# What FP 2602 and later have: no published metadata names them yet, the codes are those of table OEVC.
WEBHOOK_ENUMS: dict[str, dict[str, str]] = {
    "WebhookAuthEnum": {"None": "N", "Basic": "B", "HMAC": "H", "OAuth": "O"},
    "WebhookStateEnum": {"Active": "A", "Inactive": "I", "Exceptional": "X"},
    "WebhookModeEnum": {"Standard": "S", "Replay": "R"},
}
WEBHOOK_TYPES = frozenset({"EventSubscription", "SubscribedEvent"})
