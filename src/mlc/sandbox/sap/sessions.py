"""Signing in and out: sessions, their cookies and time-out, the balancer's nodes, and users that get locked."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any

from mlc.sandbox.kit import Clock, Request, Response
from mlc.sandbox.sap.errors import SapError, dead_session, invalid_property
from mlc.sandbox.sap.switches import SapSwitches

_LOGIN_FIELDS = frozenset({"CompanyDB", "UserName", "Password", "Language"})


@dataclass(slots=True)
class Session:
    """One open session; `used` is when it was last used."""

    key: str
    user: str
    used: float


class Sessions:
    """All sessions of one company."""

    def __init__(self, clock: Clock, company: str, users: dict[str, str], prefix: str, switches: SapSwitches) -> None:
        self.clock = clock
        self.company = company
        self.users = users
        self.prefix = prefix
        self.switches = switches
        self.open: dict[str, Session] = {}
        self.failures: dict[str, int] = {}
        self.locked: set[str] = set()
        self.stale: set[str] = set()
        self.logins = 0
        self._last_login = float("-inf")

    def login(self, request: Request, envelope: tuple[str, str]) -> Response:
        """Open a session, or refuse; every call counts in `logins`."""
        self.logins += 1
        body = _credentials(request)
        now, before = self.clock.now(), self._last_login
        self._last_login = now
        if self.switches.parallel_login_seconds and now - before < self.switches.parallel_login_seconds:
            raise SapError(299, "SAML Login Failed", 500)
        self._check(body)
        session = Session(str(uuid.uuid4()), body["UserName"], now)
        self.open[session.key] = session
        value = {"SessionId": session.key, "Version": self.switches.version}
        path = self.switches.route_cookie_path or f"{self.prefix}/b1s"
        cookies = (
            ("Set-Cookie", f"B1SESSION={session.key};HttpOnly"),
            ("Set-Cookie", f"ROUTEID={self._node(request)}; path={path}"),
        )
        answer = {envelope[0]: envelope[1], **value, "SessionTimeout": self.switches.session_timeout_minutes}
        return Response.of_json(200, answer, cookies)

    def _check(self, body: dict[str, Any]) -> None:
        user = body["UserName"]
        if body["CompanyDB"] != self.company:
            raise self._failed(-306)
        if user in self.locked:
            raise SapError(100000055, "Fail to get DB Credentials from SLD", 401)
        if self.users.get(user) != body["Password"] or user not in self.users:
            self.failures[user] = self.failures.get(user, 0) + 1
            if self.switches.lock_after_failures and self.failures[user] >= self.switches.lock_after_failures:
                self.locked.add(user)
            raise self._failed(-304)
        self.failures[user] = 0

    def _failed(self, code: int) -> SapError:
        if self.switches.old_login_errors:
            return SapError(100000027, "Fail to get DB Credentials from SLD", 500)
        return SapError(code, "Fail to NONE-SSO login from SLD.", 401)

    def _node(self, request: Request) -> str:
        asked = cookies_of(request).get("ROUTEID")
        if asked in self.switches.nodes:
            return str(asked)
        healthy = [one for one in self.switches.nodes if one not in self.stale] or list(self.switches.nodes)
        return healthy[len(self.open) % len(healthy)]

    def logout(self, request: Request) -> Response:
        """Close the caller's session."""
        self.open.pop(self.of(request).key)
        return Response(204)

    def of(self, request: Request) -> Session:
        """Return the session a request belongs to; raises the refusal for a dead or unknown one."""
        session = self.open.get(cookies_of(request).get("B1SESSION", ""))
        if session is None:
            raise dead_session(self.switches)
        now = self.clock.now()
        if now - session.used >= self.switches.session_timeout_minutes * 60:
            del self.open[session.key]
            raise dead_session(self.switches)
        session.used = now
        if cookies_of(request).get("ROUTEID") in self.stale:
            raise SapError(407, "Table definition not found for '@MLC'", 500)
        return session

    def expire(self) -> None:
        """End all sessions at once."""
        self.open.clear()

    def stall(self, node: str) -> None:
        """Give a node a stale schema: what is routed to it is refused until a login without ROUTEID leads elsewhere."""
        self.stale.add(node)


def cookies_of(request: Request) -> dict[str, str]:
    """Read the cookies of a request."""
    try:
        return {name: one.value for name, one in SimpleCookie(request.headers.get("cookie", "")).items()}
    except CookieError:
        return {}


def _credentials(request: Request) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise SapError(-1004, "Login needs CompanyDB, UserName and Password")
    for name, value in body.items():
        if name not in _LOGIN_FIELDS:
            raise invalid_property(name, "B1Session")
        if not isinstance(value, str):
            raise SapError(-1004, f"Value of '{name}' is not valid")
    if not {"CompanyDB", "UserName", "Password"} <= body.keys():
        raise SapError(-1004, "Login needs CompanyDB, UserName and Password")
    return body
