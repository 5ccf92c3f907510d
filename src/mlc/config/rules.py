"""Rules over several settings, applied to what the file says so that they are reported together with everything else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult

from mlc.config.document import Loc, Problem
from mlc.config.models import GOCARDLESS_HOSTS, STRIPE_HOST, Settings
from mlc.config.references import NO_LITERALS
from mlc.config.values import is_loopback, looks_secret, split_url
from mlc.core.errors import ConfigError

_CLAIM = "the claim table comes with a later version; set claim: false"
_LATER: tuple[tuple[tuple[str, ...], tuple[str, ...], str], ...] = (
    (("sap", "claim"), ("true", "yes", "on", "1", "y", "t"), _CLAIM),
)
# A part that cannot follow or undo what it starts with money names itself here: mode test may try it, mode live refuses it.
NOT_LIVE: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
    (
        ("sap", "claim"),
        ("true", "yes", "on", "1", "y", "t"),
        "is not followed to its end yet and refused in mode live; set claim: false",
    ),
]


def unsupported(settings: Settings) -> list[str]:
    """Return one line for each setting whose name is known and which this version does not do yet."""
    return [f"{'.'.join(map(str, found.loc))}: {found.text}" for found in _later(settings)]


def findings(data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield everything the rules find in the raw data of a file."""
    yield from _secrets(data, ())
    yield from _later(data)
    for name, tenant in _tenants(data):
        yield from unfit_for_mode(name, tenant)
    yield from _same_books(data)


def unfit_for_mode(name: str, tenant: Any) -> Iterator[Problem]:
    """Yield what does not fit a tenant's mode: hosts, plain http, and in mode live every part that NOT_LIVE names."""
    yield from _hosts(name, tenant)
    if _dig(tenant, "mode") != "live":
        return
    sap = _address(tenant, "sap", "url")
    if sap is not None and sap.scheme == "http":
        yield Problem(("tenants", name, "sap", "url"), "is http, which is allowed in mode test only; write https")
    for path, values, text in NOT_LIVE:
        if str(_dig(tenant, *path)).lower() in values:
            yield Problem(("tenants", name, *path), text)


def _dig(node: Any, *path: str) -> Any:
    """Follow keys through maps or models; None where the way ends."""
    for part in path:
        node = node.get(part) if isinstance(node, dict) else getattr(node, part, None)
    return node


def _tenants(data: Any) -> Iterator[tuple[str, Any]]:
    tenants = _dig(data, "tenants")
    if isinstance(tenants, dict):
        yield from tenants.items()


def _later(data: Any) -> Iterator[Problem]:
    for name, tenant in _tenants(data):
        for path, values, text in _LATER:
            if str(_dig(tenant, *path)).lower() in values:
                yield Problem(("tenants", name, *path), text)


def _secrets(node: Any, loc: Loc) -> Iterator[Problem]:
    """Find texts in the shape of a key or token anywhere; they are never shown."""
    if isinstance(node, dict):
        for key, value in node.items():
            if looks_secret(str(key)):
                yield Problem((*loc, key), NO_LITERALS)
            yield from _secrets(value, (*loc, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _secrets(value, (*loc, index))
    elif isinstance(node, str) and looks_secret(node):
        yield Problem(loc, NO_LITERALS)


def _address(tenant: Any, *path: str) -> SplitResult | None:
    """Return a configured address taken apart, None where there is none or it is reported as wrong elsewhere."""
    text = _dig(tenant, *path)
    try:
        return split_url(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _hosts(name: str, tenant: Any) -> Iterator[Problem]:
    mode = "live" if _dig(tenant, "mode") == "live" else "test"
    for block, url in (("stripe", STRIPE_HOST), ("gocardless", GOCARDLESS_HOSTS[mode])):
        parts = _address(tenant, block, "url")
        if parts is None or _plain(parts) == url:
            continue
        if is_loopback(parts.hostname):
            if mode == "live":
                text = f"points to this machine, which is allowed in mode test only; write {url}"
                yield Problem(("tenants", name, block, "url"), text)
            continue
        yield Problem(("tenants", name, block, "url"), f"is not the host of mode {mode}; write {url} or leave the key out")


def _plain(parts: SplitResult) -> str:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    usual = port == (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}{'' if usual else f':{port}'}{parts.path.rstrip('/')}"


def _books(tenant: Any) -> str | None:
    """Return a text that is equal for two ways to write the same company."""
    parts = _address(tenant, "sap", "url")
    company = _dig(tenant, "sap", "company_db")
    if parts is None or not isinstance(company, str):
        return None
    server = _plain(parts).removesuffix("/b1s/v1").removesuffix("/b1s/v2")
    return f"{server.casefold()} {company.strip().casefold()}"


def _same_books(data: Any) -> Iterator[Problem]:
    seen: dict[tuple[str, str, str, str], str] = {}
    for name, tenant in _tenants(data):
        for block, key in (("stripe", "secret_key"), ("gocardless", "access_token")):
            books, reference = _books(tenant), _dig(tenant, block, key)
            if books is None or not isinstance(reference, dict) or "keyring" in reference:
                continue  # the store and the keyring hold a secret per tenant: the keys themselves are compared at login
            url = _address(tenant, block, "url")
            account = (books, block, _plain(url) if url else STRIPE_HOST, json.dumps(reference, sort_keys=True, default=str))
            if account in seen:
                text = (
                    f"is the same company and the same {block} account as tenant {seen[account]}; keep one of the two tenants"
                )
                yield Problem(("tenants", name), text)
            seen.setdefault(account, name)


def refuse_shared_companies(settings: Settings) -> None:
    """Refuse two tenants on one company: both would push the same invoices."""
    seen: dict[str, str] = {}
    for tenant in settings.tenants.values():
        other = seen.setdefault(tenant.sap.company_db, tenant.name)
        if other != tenant.name:
            raise ConfigError(
                f"tenants {other} and {tenant.name} name the same company {tenant.sap.company_db}: its invoices would be asked for twice",
                hint="keep one of them; two companies of one name on two servers want two configurations with two state files",
            )
