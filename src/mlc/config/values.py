"""The small kinds of value a configuration is made of: durations, account codes, addresses, dates, paths."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

Account = str | dict[str, str]
_UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}
_SECRET = re.compile(r"\b(?:(?:sk|rk|pk)_(?:live|test)_|whsec_)[A-Za-z0-9]|\b(?:live|sandbox)_[A-Za-z0-9_-]{30,}")
_SECRET_WORD = re.compile(r"\b(?:(?:sk|rk|pk)_(?:live|test)_|whsec_)[A-Za-z0-9]\S*|\b(?:live|sandbox)_[A-Za-z0-9_-]{30,}")


class FromEnvironment(str):
    """A value that came from an environment variable: relative paths in it start at the working directory."""

    __slots__ = ()


def looks_secret(text: str) -> bool:
    """Tell whether a text has the shape of a key or token of Stripe or GoCardless."""
    return _SECRET.search(text) is not None


def mask(text: str) -> str:
    """Replace everything in a text that has the shape of a secret."""
    return _SECRET_WORD.sub("***", text)


def suggest(word: str, known: list[str]) -> str:
    """Return `did you mean "x"?` for the nearest known word, or the known words where none is near."""
    folded = {name.lower().replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), list(folded), n=1)
    return f'did you mean "{folded[near[0]]}"?' if near else f"known here: {', '.join(known) or 'nothing'}"


def account_for(value: Account | None, currency: str) -> str | None:
    """Return the account code for a currency (or another key of the map), None where none is configured."""
    return value.get(currency) if isinstance(value, dict) else value


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, Decimal)):
        raise ValueError("must be text; put it in quotes")  # noqa: TRY004
    text = str(value)
    if not text.strip():
        raise ValueError("must not be empty; write a value or leave the key out")
    if text != text.strip() or any(ord(letter) < 32 for letter in text):
        raise ValueError("begins or ends with a space, or has a line break or another control character in it; take it out")
    return text


def no_boolean(value: Any) -> Any:
    """Refuse true and false where a number is wanted; Python would take them for 1 and 0."""
    if isinstance(value, bool):
        raise ValueError("must be a number; write digits only")  # noqa: TRY004
    return value


def _currency(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError("must be a currency code of three capital letters; write for example EUR")
    return str(value)


def _amount(value: Any) -> Decimal:
    text = str(value)
    if isinstance(value, (bool, float)) or not re.fullmatch(r"\d+(\.\d+)?", text):
        raise ValueError("must be an amount in major units; write for example 1000000 or 2500.50")
    return Decimal(text)


def _duration(value: Any) -> timedelta:
    if isinstance(value, timedelta):
        return value
    parts = re.findall(r"(\d{1,6})([wdhms])", value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("must be a duration; write for example 3d, 12h or 30m")
    return timedelta(seconds=sum(int(number) * _UNITS[unit] for number, unit in parts))


def duration_text(value: timedelta) -> str:
    """Return a duration as it is written in the file, such as `3d` or `1h30m`."""
    rest, out = int(value.total_seconds()), ""
    for unit, seconds in _UNITS.items():
        if unit != "w" and rest >= seconds:
            out, rest = f"{out}{rest // seconds}{unit}", rest % seconds
    return out or "0s"


def _day(value: Any) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("is a day that does not exist; write for example 2026-11-01") from None
    raise ValueError("must be a day; write for example 2026-11-01")


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        near = difflib.get_close_matches(value, known, n=1)
        fix = f'did you mean "{near[0]}"?' if near else "write a name of the tz database, for example Europe/Berlin"
        raise ValueError(f"is no known time zone; {fix}") from None
    return value


def _pattern(value: str) -> str:
    try:
        matches_nothing = re.compile(value).fullmatch("") is not None
    except re.error as error:
        raise ValueError(f"is no regular expression ({error.msg} at position {error.pos}); correct it") from None
    if matches_nothing:
        raise ValueError(r"also matches nothing at all, which would find invoices everywhere; write for example '\b\d{4,}\b'")
    return value


def _account(extra_key: str = "") -> Callable[[Any], Account]:
    def read(value: Any) -> Account:
        if not isinstance(value, dict):
            return _text(value)
        if not value:
            raise ValueError('is an empty map; write an account code, or a map such as {EUR: "1361"}')
        for key in value:
            if not re.fullmatch(rf"[A-Z]{{3}}{extra_key}", str(key)):
                also = " or the id of a creditor bank account (BA...)" if extra_key else ""
                raise ValueError(f'has a key that is no currency code{also}; write a map such as {{EUR: "1361"}}')
        return {str(key): _text(code) for key, code in value.items()}

    return read


def _path(value: Any, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    text = _text(value)
    if not info.context:
        return Path(text)
    if text == "~" or text.startswith("~/"):
        return Path(str(info.context["home"]) + text[1:])
    return Path(info.context["here" if isinstance(value, FromEnvironment) else "folder"]) / text


def split_url(text: str) -> SplitResult:
    """Take an http(s) address apart; ValueError in words where it is none."""
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if not port_is_fine or parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"[\s\x00-\x1f]", text):
        raise ValueError("is no web address; write for example https://sap.example.com:50000/b1s/v2")
    if parts.username is not None or parts.password is not None:
        raise ValueError("has a user or password in it; take them out, credentials have keys of their own")
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        raise ValueError("has a ? or # part; take it out")
    return parts


def is_loopback(host: str | None) -> bool:
    """Tell whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def _endpoint(text: str) -> str:
    parts = split_url(text)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("is http; write https, unencrypted is allowed on loopback only")
    return parts.geturl().rstrip("/")


def ping_address(text: str) -> str:
    """Return the address of a check that is pinged; ValueError in words, which never repeat it, where it is none."""
    try:
        return _endpoint(text)
    except ValueError as error:
        what = str(error).split(";", maxsplit=1)[0]
        raise ValueError(f"{what}; write for example https://hc-ping.com/ID, or refer to it by {{env: NAME}}") from None


def address_mask(text: str) -> str:
    """Return an address without its path, which may be a token."""
    parts = urlsplit(text)
    return f"{parts.scheme}://{parts.netloc}/***"


def _sap_url(text: str) -> str:
    url = _endpoint(text)
    if not re.search(r"/b1s/v[12]$", url):
        raise ValueError("must end in /b1s/v1 or /b1s/v2; write for example https://sap.example.com:50000/b1s/v2")
    return url


def _tenant_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9](?:_?[A-Za-z0-9-])*", value) or len(value) > 50:
        raise ValueError("is no tenant name; use up to 50 letters, digits, - and single _, beginning with a letter or digit")
    return value


def _marker_field(value: str) -> str:
    if not re.fullmatch(r"U_\w{1,50}", value, re.ASCII):
        raise ValueError("is no user field; write its name with the prefix, for example U_MlcKey, or null")
    return value


def _list_of_text(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise ValueError("must be a list with at least one entry; write for example [first, second]")
    return tuple(_text(item) for item in value)


def _calendar(value: Any) -> str | tuple[str, ...]:
    from mlc.core import calendars  # most commands never need it

    several = isinstance(value, (list, tuple))
    texts = _list_of_text(value) if several else (_text(value),)
    for index, text in enumerate(texts):
        try:
            rules = calendars.read(text)
            for zone in {rule.zone for rule in rules if rule.zone}:
                _zone(zone)
        except ValueError as error:
            words = f'"{text}" {error}'
            if not several:
                raise ValueError(words) from None
            raise PydanticCustomError("list_entry", "{words}", {"words": words, "index": index}) from None
    return texts if several else texts[0]


def _as_written(value: str | tuple[str, ...]) -> str | list[str]:
    return value if isinstance(value, str) else list(value)


def _dimension(value: Any) -> Any:
    if value == "invoice":
        return value
    if isinstance(value, dict) and len(value) == 1 and set(value) <= {"customer_field", "fixed"}:
        return {key: _text(item) for key, item in value.items()}
    raise ValueError("must be invoice, {customer_field: U_NAME} or {fixed: CODE}; write one of these")


Text = Annotated[str, BeforeValidator(_text)]
Currency = Annotated[str, BeforeValidator(_currency)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]
_ACCOUNT_SHAPE = {
    "anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}]
}
Duration = Annotated[
    timedelta,
    PlainValidator(_duration),
    PlainSerializer(duration_text),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ *[a-z]+$"}),
]
Day = Annotated[date, BeforeValidator(_day)]
Zone = Annotated[Text, AfterValidator(_zone)]
Pattern = Annotated[Text, AfterValidator(_pattern)]
AccountCode = Annotated[Account, PlainValidator(_account()), WithJsonSchema(_ACCOUNT_SHAPE)]
BankAccountCode = Annotated[Account, PlainValidator(_account("|BA[0-9A-Z]+")), WithJsonSchema(_ACCOUNT_SHAPE)]
FilePath = Annotated[Path, PlainValidator(_path), PlainSerializer(str)]
Endpoint = Annotated[Text, AfterValidator(_endpoint)]
SapUrl = Annotated[Text, AfterValidator(_sap_url)]
TenantName = Annotated[str, AfterValidator(_tenant_name)]
UserField = Annotated[Text, AfterValidator(_marker_field)]
TextList = Annotated[tuple[str, ...], BeforeValidator(_list_of_text)]
Calendar = Annotated[
    str | tuple[str, ...],
    PlainValidator(_calendar),
    PlainSerializer(_as_written),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Dimension = Annotated[
    Literal["invoice"] | dict[Literal["customer_field", "fixed"], str], PlainValidator(_dimension),
    WithJsonSchema({"anyOf": [{"const": "invoice"}, {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
                                                     "properties": {"customer_field": {"type": "string"}, "fixed": {"type": "string"}}}]}),
]  # fmt: skip
