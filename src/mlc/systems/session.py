"""HTTP with honest outcomes: an answer, "never sent", or "nobody knows"; reads are repeated with backoff, writes never here."""

from __future__ import annotations

import json
import random
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx
import tenacity

from mlc.clock import Clock
from mlc.core.errors import ConfigError, UnreachableError
from mlc.core.roles import Doubt, NotSent
from mlc.interrupts import IN_FLIGHT

READ_ATTEMPTS = 5
MOST_BYTES = 64 << 20  # of one answer: a page of a thousand whole invoices has a hundredth of it
_PATIENCE = 5.0  # an answer that comes in drips may take so many times the pause between two of them
_TRANSIENT = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back: status, headers (names in lower case) and the raw body."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """Parse with exact decimals; None where the body is no JSON."""
        try:
            return json.loads(self.body, parse_float=Decimal)
        except (ValueError, RecursionError):
            return None


class Retry(Exception):
    """Raised inside `repeat` to try again, after `seconds` where the answer asked for it."""

    def __init__(self, why: str, seconds: float | None = None) -> None:
        super().__init__(why)
        self.seconds = seconds


class Http:
    """One client per system. Redirects are refused, proxies and credentials of the environment are not used."""

    def __init__(
        self, name: str, base: str, *, transport: httpx.BaseTransport | None, verify: ssl.SSLContext | bool,
        timeout: httpx.Timeout, auth: httpx.Auth | None = None, log: Callable[[str], None] = lambda _line: None, connections: int = 20,
    ) -> None:  # fmt: skip
        self.name = name
        self.base = base.rstrip("/")
        self._log = log
        self.date = ""  # what the server says the time is, as of its last answer
        self._client = httpx.Client(
            transport=transport, verify=verify, timeout=timeout, auth=auth, trust_env=False, follow_redirects=False,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # a session keeps its own; nothing else is remembered
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )  # fmt: skip

    def send(
        self, method: str, path: str, *, query: str = "", headers: dict[str, str] | None = None, content: bytes | None = None,
        timeout: float | None = None,
    ) -> Reply:  # fmt: skip
        """Send one request; raises NotSent, Doubt, ConfigError (certificate). An interrupt of a run waits for it a while."""
        url = f"{self.base}/{path.lstrip('/')}" + (f"?{query}" if query else "")
        limits = self._client.timeout
        timeouts = httpx.Timeout(timeout or limits.read, connect=limits.connect)
        try:
            with (
                IN_FLIGHT.reading,
                self._client.stream(method, url, headers=headers, content=content, timeout=timeouts) as response,
            ):
                body = _whole(response, time.monotonic() + _PATIENCE * (timeouts.read or 60.0))
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            if "CERTIFICATE" in str(error).upper():
                raise ConfigError(
                    f"{self.name}: the certificate of {self.base} is not trusted ({error})",
                    hint="name the authority in `ca_bundle:`, or set verify_tls: false knowingly",
                ) from error
            raise NotSent(f"{self.base}: {error or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise ConfigError(f"{self.name}: {url} is no usable address ({error})") from error
        except httpx.HTTPError as error:
            raise Doubt(f"no answer from {self.base} ({type(error).__name__}: {error})") from error
        self.date = response.headers.get("date", self.date)
        self._log(f"{self.name} {method} {path} -> {response.status_code} {response.headers.get('request-id', '')}".rstrip())
        return Reply(response.status_code, {key.lower(): value for key, value in response.headers.items()}, body)

    def close(self) -> None:
        """Close all connections."""
        self._client.close()


def _whole(response: httpx.Response, until: float) -> bytes:
    """Return the body of an answer. Raises httpx.ReadError where it has no end, or drips: what is not SAP may answer so."""
    parts, size = [], 0
    for part in response.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > MOST_BYTES:
            raise httpx.ReadError(f"the answer is larger than {MOST_BYTES >> 20} MiB")
        if time.monotonic() > until:
            raise httpx.ReadError("the answer does not come to its end")
    return b"".join(parts)


def repeat(clock: Clock, name: str, attempt: Callable[[], Reply], patience: float | None = None) -> Reply:
    """Do a read until it is answered, with backoff and jitter, honouring what the answer asks for.

    Args:
        clock: what sleeps between two attempts.
        name: the system, as the message names it.
        attempt: the read.
        patience: seconds after which no other attempt is begun; None: five, however long each takes.

    Raises UnreachableError after the last attempt.
    """
    tries = 0

    def counted() -> Reply:
        nonlocal tries
        tries += 1
        return attempt()

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.seconds if isinstance(error, Retry) else None
        backoff: float = min(0.5 * 2.0 ** (state.attempt_number - 1), 8.0) * (0.5 + random.random() / 2)
        return max(backoff, min(asked or 0.0, 60.0))

    stop = tenacity.stop_after_attempt(READ_ATTEMPTS)
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type((Retry, NotSent, Doubt)),
        stop=stop if patience is None else stop | tenacity.stop_after_delay(patience),
        wait=pause,
        sleep=clock.sleep,
        reraise=True,
    )
    try:
        return retrying(counted)
    except (Retry, NotSent, Doubt) as error:
        times = f", {tries} times in a row" if tries > 1 else ""
        raise UnreachableError(f"{name} could not be read{times}: {error}") from error


def transient(reply: Reply) -> bool:
    """Tell whether a read that was answered so is worth another try."""
    return reply.status in _TRANSIENT


def asked_wait(reply: Reply) -> float | None:
    """Return the seconds an answer asks to wait (Retry-After), None where it does not."""
    text = reply.headers.get("retry-after", "")
    return float(text) if text.replace(".", "", 1).isdigit() else None


def tls(ca_bundle: str | None, *, verify: bool) -> ssl.SSLContext | bool:
    """Return what httpx needs to check certificates: the given authority, the usual ones, or (loudly elsewhere) none."""
    if not verify:
        return False
    try:
        return ssl.create_default_context(cafile=ca_bundle) if ca_bundle else True
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificates in {ca_bundle} cannot be used: {error}", hint="give a PEM file in `ca_bundle:`"
        ) from error
