"""The SAP session as an httpx.Auth: one login at a time, renewed before it times out, one new login where it is gone.

A refused login is never repeated: SAP locks users. (Service Layer manual 2.1; facts on 401/301.)
"""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

import httpx

from mlc.clock import Clock
from mlc.core.errors import CredentialError, UnexpectedAnswerError, UnreachableError
from mlc.systems.sap.odata import SapError, error_of
from mlc.systems.session import Reply

_TRANSIENT_LOGIN = {299, 305}  # parallel logins; company switch contention
_MARGIN = 60.0


class SessionStore(Protocol):
    """Where the session is kept between runs; encrypted, or nowhere."""

    def get(self, key: str) -> str | None:
        """Return what was put."""

    def put(self, key: str, value: str) -> None:
        """Keep a short text."""

    def delete(self, key: str) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who logs in where; the password is asked for when it is needed."""

    tenant: str
    url: str
    company: str
    user: str
    password: Any  # () -> str
    where: str = ""  # where the password was found
    held_off: str = ""  # why nobody logs in now: an earlier run was refused


class SapSession(httpx.Auth):
    """Adds the session's cookies to every request, logging in where needed."""

    requires_response_body = True

    def __init__(self, login: Login, clock: Clock, store: SessionStore | None = None, timeout: float = 60.0) -> None:
        self.login = login
        self.logins = 0
        self._clock = clock
        self._store = store
        self._timeout = timeout
        self._lock = threading.Lock()
        self._cookies = ""
        self._minutes = 30.0
        self._used = 0.0
        self._key = f"sap-session {login.url} {login.company} {login.user}"
        self._restored = False
        self.accepted = False  # whether a login was taken in this run
        self._refused: CredentialError | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Log in if there is no live session, send, and once log in anew where SAP says that the session is gone."""
        yield from self._ensure(request, "")
        used = self._cookies
        request.headers["Cookie"] = used
        response = yield request
        self._used = self._clock.uptime()
        if self._gone(response):
            yield from self._ensure(request, used)
            request.headers["Cookie"] = self._cookies
            yield request

    def _gone(self, response: httpx.Response) -> bool:
        if response.status_code < 400:
            return False
        response.read()
        error = _error(response)
        return error.session_gone or (error.status == 500 and error.code in (305, 407))

    def _ensure(self, request: httpx.Request, stale: str) -> Generator[httpx.Request, httpx.Response, None]:
        """Log in unless another thread has done it meanwhile; `stale` are the cookies that proved dead."""
        with self._lock:
            if self._refused is not None:
                raise self._refused
            if not self._cookies and not self._restored:
                self._restore()
            idle = self._clock.uptime() - self._used
            alive = self._cookies and self._cookies != stale and idle < self._minutes * 60 - min(_MARGIN, self._minutes * 6)
            if alive:
                return
            if self.login.held_off:
                raise CredentialError(
                    f"SAP refused the login of {self._who()} {self.login.held_off}",
                    hint=f"{self._correct()}, then run `mlc ping --tenant {self.login.tenant}`: it tries at once",
                )
            for attempt in range(3):
                response = yield self._request(request)
                response.read()
                if response.status_code == 200:
                    self._accept(response)
                    return
                self._judge(_error(response), last=attempt == 2)
                self._clock.sleep(0.3 * (attempt + 1))

    def _request(self, request: httpx.Request) -> httpx.Request:
        self.logins += 1
        body = {"CompanyDB": self.login.company, "UserName": self.login.user, "Password": self.login.password()}
        timeouts = {**request.extensions.get("timeout", {}), "read": self._timeout}
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return httpx.Request(
            "POST",
            f"{self.login.url}/Login",
            headers=headers,
            content=json.dumps(body).encode(),
            extensions={"timeout": timeouts},
        )

    def _judge(self, error: SapError, *, last: bool) -> None:
        where, who = self.login.where, self._who()
        if error.code in _TRANSIENT_LOGIN and "-5027" not in error.text and not last:
            return
        if (
            not error.own
            or error.status in (429, 502, 503, 504)
            or (error.code in _TRANSIENT_LOGIN and "-5027" not in error.text)
        ):
            raise UnreachableError(f"SAP does not log in {who}: {error.status} {error.text}")
        self._refused = CredentialError(
            f"SAP refused the login of {who}: {error.code} {error.text}" + (f" (password from {where})" if where else ""),
            hint=f"{self._correct()}, or have the user unlocked in SAP; then run `mlc ping --tenant {self.login.tenant}`:"
            " until it has logged in timers do not try again for an hour, then once a day, because SAP locks users",
        )
        raise self._refused

    def _who(self) -> str:
        return f"{self.login.user} at {self.login.company}, tenant {self.login.tenant}"

    def _correct(self) -> str:
        return (
            "correct sap.username, company_db or the password where it was found (in mlc's own store:"
            f" `mlc secret set {self.login.tenant} sap.password`)"
        )

    @property
    def refused(self) -> bool:
        """Tell whether SAP refused a login in this run."""
        return self._refused is not None

    def _accept(self, response: httpx.Response) -> None:
        jar = {cookie.name: cookie.value for cookie in httpx.Cookies(_extracted(response)).jar}
        answer = Reply(200, {}, response.content).json()
        body = answer if isinstance(answer, dict) else {}
        if not jar.setdefault("B1SESSION", str(body.get("SessionId") or "")):
            raise UnexpectedAnswerError(
                f"{self.login.url} took the login of {self._who()} and gave no session",
                hint="check sap.url: something else than a Service Layer may answer there",
            )
        self.accepted = True
        self._cookies = "; ".join(f"{name}={value}" for name, value in jar.items() if name in ("B1SESSION", "ROUTEID"))
        self._minutes = float(body.get("SessionTimeout") or 30)
        self._used = self._clock.uptime()
        if self._store is not None:
            self._store.put(self._key, json.dumps([self._cookies, self._minutes]))

    def _restore(self) -> None:
        self._restored = True
        kept = self._store.get(self._key) if self._store is not None else None
        if kept:
            try:
                self._cookies, self._minutes = json.loads(kept)
            except (ValueError, TypeError):
                return
            self._used = self._clock.uptime()  # a stale one costs one 401

    @property
    def kept(self) -> bool:
        """Tell whether the session outlives this run."""
        return self._store is not None and self._store.get(self._key) is not None

    @property
    def open(self) -> bool:
        """Tell whether there is a session to log out of."""
        return bool(self._cookies)


def _error(response: httpx.Response) -> SapError:
    return error_of(Reply(response.status_code, {}, response.content))


def _extracted(response: httpx.Response) -> httpx.Cookies:
    """Return the cookies of an answer, whatever path or domain they name: they are sent back to the same server only."""
    cookies = httpx.Cookies()
    for header in response.headers.get_list("set-cookie"):
        name, _, value = header.split(";", 1)[0].partition("=")
        cookies.set(name.strip(), value.strip())
    return cookies
