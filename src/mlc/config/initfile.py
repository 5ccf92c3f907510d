"""Writes the text of a first configuration from a few answers, commented, ready to load."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Literal

from mlc.core.errors import ConfigError

_STRIPE_ACCOUNTS = {
    "clearing_account": "money that Stripe holds for you; its balance equals the balance at Stripe",
    "fee_account": "Stripe's fees",
    "bank_account": "where Stripe's payouts arrive",
    "suspense_account": "optional: money that nobody can explain yet",
}
_GOCARDLESS_ACCOUNTS = {
    "bank_account": 'where payouts arrive; or a map by currency: {GBP: "1200", EUR: "1210"}',
    "fee_account": "GoCardless's fees",
    "vat_account": "VAT on the fees; without it a payout with VAT is held",
    "unallocated_account": "only for on_unmatched: park",
    "clearing_account": "money on its way",
    "fx_account": "gain or loss where a payout is exchanged; without it such a payout is held",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InitAnswers:
    """What `mlc init` asks for; accounts are named by their keys, such as `clearing_account`."""

    sap_url: str
    company_db: str
    username: str
    start_date: str
    tenant: str = "acme"
    timezone: str = "Europe/Berlin"
    state: str | None = None
    secrets: Literal["keyring", "file", "env", "systemd"] = "keyring"
    ca_bundle: str | None = None
    verify_tls: bool = True
    stripe: bool = True
    stripe_url: str | None = None
    stripe_accounts: dict[str, str] = field(default_factory=dict)
    gocardless: bool = False
    gocardless_url: str | None = None
    gocardless_accounts: dict[str, str] = field(default_factory=dict)


def template(answers: InitAnswers) -> str:
    """Return the text of a commented config.yaml; accounts not answered get the codes of the documentation.

    Raises:
        ConfigError: neither Stripe nor GoCardless was chosen.
    """
    if not (answers.stripe or answers.gocardless):
        raise ConfigError("a tenant needs stripe, gocardless or both", hint="choose at least one of the two")
    parts = [_head(answers), _sap(answers)]
    if answers.stripe:
        parts.append(_stripe(answers))
    if answers.gocardless:
        parts.append(_gocardless(answers))
    parts.append(_CALENDAR)
    return "".join(parts)


def _quoted(text: str) -> str:
    """Return a text as a double-quoted YAML scalar (JSON's quoting is YAML's)."""
    return json.dumps(text, ensure_ascii=False)


def _secret(answers: InitAnswers, key: str, name: str) -> str:
    """Return the line of one secret: a reference to a variable, or a comment on where the store keeps it."""
    if answers.secrets == "env":
        variable = re.sub(r"\W", "_", f"{answers.tenant}_{name}").upper()
        variable = f"_{variable}" if variable[0].isdigit() else variable
        return f"      {key}: {{env: {variable}}}\n"
    if answers.secrets == "systemd":
        return f"      # {key}: left out = credential mlc_{answers.tenant}_{name} (LoadCredentialEncrypted=)\n"
    place = "encrypted file" if answers.secrets == "file" else "OS keyring"
    return f"      # {key}: left out = {place}; mlc secret set {answers.tenant} {name}\n"


def _webhook(answers: InitAnswers, name: str) -> str:
    """Return the line of a webhook's secret, as a comment: nothing needs it before `mlc webhooks serve`."""
    line = _secret(answers, "webhook_secret", name).lstrip(" #")
    return f"      # {line}"


def _accounts(given: dict[str, str], known: dict[str, str], samples: dict[str, str], required: set[str]) -> str:
    """Return one line per account; those that are neither answered nor required are comments."""
    lines = []
    for key, comment in known.items():
        active = key in given or key in required
        code = given.get(key, samples[key])
        lines.append(f"      {'' if active else '# '}{key}: {_quoted(code)}  # {comment}\n")
    return "".join(lines)


def _head(answers: InitAnswers) -> str:
    state = f"state: {_quoted(answers.state)}" if answers.state else "# state: ~/.local/state/mlc/mlc.db"
    store = answers.secrets if answers.secrets in {"systemd", "file"} else "keyring"
    return f"""\
# Configuration of mlc. Check it with `mlc config check`; single values can be overridden by MLC_... variables.
{state}  # one SQLite file: state, audit, cursors
secrets: {{store: {store}}}  # where secrets without a reference are kept; never in this file
limits: {{max_writes: 1000, max_amount: {{EUR: 1000000}}}}  # per tenant, pass and run; beyond: stop with exit code 7
alert_after: 3d  # held items older than this make every run end with 3
tenants:
  {answers.tenant}:
    timezone: {_quoted(answers.timezone)}  # of the SAP server
    mode: test  # live = real money: live keys and hosts, and a state file that never served mode test
    first_run: ask  # the first writing run of a pass shows its plan and wants a yes
    start_date: {_quoted(answers.start_date)}  # nothing older is pushed or posted
    currencies: {{"€": EUR}}  # SAP's own codes that are not ISO 4217
    closed_period: hold  # hold | next_open_day
"""


def _sap(answers: InitAnswers) -> str:
    if answers.ca_bundle:
        tls = f"      ca_bundle: {_quoted(answers.ca_bundle)}\n"
    elif answers.verify_tls:
        tls = "      # ca_bundle: /etc/mlc/sap-ca.pem  # for a self-signed certificate\n"
    else:
        tls = "      verify_tls: false  # warns on every run; a ca_bundle is better\n"
    return f"""\
    sap:
      url: {_quoted(answers.sap_url)}
      company_db: {_quoted(answers.company_db)}
      username: {_quoted(answers.username)}
{_secret(answers, "password", "sap.password")}{tls}"""


def _stripe(answers: InitAnswers) -> str:
    url = f"      url: {_quoted(answers.stripe_url)}\n" if answers.stripe_url else ""
    samples = {"clearing_account": "1361", "fee_account": "6855", "bank_account": "1200", "suspense_account": "1590"}
    return (
        f"    stripe:\n{url}"
        + _secret(answers, "secret_key", "stripe.secret_key")
        + _webhook(answers, "stripe.webhook_secret")
        + "      # SAP account codes, in quotes; each may be a map by currency\n"
        + _accounts(answers.stripe_accounts, _STRIPE_ACCOUNTS, samples, {"clearing_account", "fee_account", "bank_account"})
        + "      on_unmatched: hold  # hold | on_account\n"
        + "      delivery: none  # none | stripe_email: whether Stripe mails the invoice\n"
    )


def _gocardless(answers: InitAnswers) -> str:
    url = f"      url: {_quoted(answers.gocardless_url)}\n" if answers.gocardless_url else ""
    samples = {
        "bank_account": "1200",
        "fee_account": "6855",
        "vat_account": "1576",
        "unallocated_account": "1590",
        "clearing_account": "1362",
        "fx_account": "6880",
    }
    return (
        f"    gocardless:\n{url}"
        + _secret(answers, "access_token", "gocardless.access_token")
        + _webhook(answers, "gocardless.webhook_secret")
        + "      # SAP account codes, in quotes; each may be a map by currency\n"
        + _accounts(answers.gocardless_accounts, _GOCARDLESS_ACCOUNTS, samples, {"bank_account", "fee_account"})
        + "      on_unmatched: hold  # hold | park | on_account\n"
    )


_CALENDAR = """\
    calendar: {push-invoices: "*:0/15", post-payments: "*:0/5", reconcile-payouts: "Mon..Fri 07:30", sync-customers: hourly}  # mlc schedule
"""
