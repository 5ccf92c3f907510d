"""The simulated Service Layer: finds out what a request wants and lets it be answered from the books."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from mlc.sandbox.kit import Clock, Request, Response, Service
from mlc.sandbox.sap.batch import Batch
from mlc.sandbox.sap.books import Books
from mlc.sandbox.sap.desk import Desk
from mlc.sandbox.sap.errors import SapError, error_response, no_such_path, not_supported
from mlc.sandbox.sap.hooks import SapHooks
from mlc.sandbox.sap.reads import Call, Reader
from mlc.sandbox.sap.schema import Schema
from mlc.sandbox.sap.sessions import Sessions, cookies_of
from mlc.sandbox.sap.switches import SapSwitches
from mlc.sandbox.sap.verbs import Verbs
from mlc.sandbox.sap.writes import Writer

_PATH = re.compile(
    r"(?P<name>\w+)(?:\((?P<key>'(?:[^']|'')*'|\w+=(?:'(?:[^']|'')*'|-?\d+)|-?\d+)\))?(?:/(?P<rest>[$\w]+))?", re.DOTALL
)


class SapService(Service):
    """A Service Layer with one company behind it."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        company: str = "SBODEMO",
        users: Mapping[str, str] | None = None,
        local_currency: str = "EUR",
        decimals: int = 2,
        timezone: str = "Europe/Berlin",
        switches: SapSwitches | None = None,
        prefix: str = "",
    ) -> None:
        super().__init__(clock)
        self.switches = switches or SapSwitches()
        self.prefix = prefix.rstrip("/")
        self.books = Books(
            self.clock, local_currency=local_currency, decimals=decimals, timezone=timezone, switches=self.switches
        )
        known = dict(users) if users is not None else {"manager": "secret"}
        self._admitted = False
        self.sessions = Sessions(self.clock, company, known, self.prefix, self.switches)
        self.desk = Desk(self.books, Schema(self.switches), self.switches)
        self.hooks = SapHooks(self, company)
        hooked = self.hooks.subscriptions if self.switches.webhooks != "absent" else None
        self.reader = Reader(self.desk, None if hooked is None else hooked.rows)
        self.writer = Writer(self.desk, self.reader, company, hooked)
        self.verbs = Verbs(self.books, self.sessions)

    # --- for tests and people -------------------------------------------------------------------------------------
    @property
    def logins(self) -> int:
        """How many logins were tried, refused ones included."""
        return self.sessions.logins

    def expire_sessions(self) -> None:
        """End all sessions at once."""
        self.sessions.expire()

    def lock_user(self, name: str) -> None:
        """Lock a user as too many wrong passwords do."""
        self.sessions.locked.add(name)

    def unlock_user(self, name: str) -> None:
        """Unlock a user."""
        self.sessions.locked.discard(name)
        self.sessions.failures[name] = 0

    def stall_node(self, node: str = ".node1") -> None:
        """Give a node a stale schema; only a login without ROUTEID leads away from it."""
        self.sessions.stall(node)

    # --- the way of a request -------------------------------------------------------------------------------------
    def admit(self, request: Request) -> Callable[[], Response]:
        """Check the session when the request arrives: work that goes on does not ask again, even after a logout."""
        try:
            self.sessions.of(request)
        except SapError:
            return lambda: self.handle(request)
        return lambda: self._inside(request)

    def _inside(self, request: Request) -> Response:
        self._admitted = True
        try:
            return self.handle(request)
        finally:
            self._admitted = False

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        path = request.path
        if path.startswith(("/ping/", f"{self.prefix}/ping/")):
            body = {"message": "pong", "sender": "load balancer", "timestamp": int(self.clock.now())}
            return Response.of_json(200, body)
        if self.prefix and path.startswith(self.prefix + "/"):
            path = path.removeprefix(self.prefix)
        elif self.prefix and not path.startswith("/sandbox/"):
            return Response.of_html(404, "Not Found")
        if path.startswith("/sandbox/"):
            return self.verbs.answer(path.removeprefix("/sandbox/").strip("/"), request)
        hit = re.fullmatch(r"/b1s/(v1|v2)/(.*)", path, re.DOTALL)
        if hit is None:
            return Response.of_html(404, "Not Found")
        try:
            return self._answer(request, hit[1], hit[2])
        except SapError as error:
            return error_response(error, hit[1], self.switches)

    def _answer(self, request: Request, version: str, path: str) -> Response:
        root = f"{self.prefix}/b1s/{version}"
        hit = _PATH.fullmatch(path)
        method = _method(request)
        name = hit["name"] if hit is not None else ""
        call = Call(request, method, version, root, self.switches.scheme, name)
        if path == "Login" and method == "POST":
            return self.sessions.login(request, call.envelope("B1Sessions/@Element"))
        if path == "Logout" and method == "POST":
            return self.sessions.logout(request)
        if not self._admitted:
            self.sessions.of(request)
        if path == "$batch" and method == "POST":
            return Batch(self.books, root, version, self.handle).run(request)
        if hit is None or name in self.switches.missing_apis:
            raise no_such_path()
        call.key_text, call.rest = hit["key"], hit["rest"] or ""
        if method == "GET" or self.writer.is_reading(name) or "ROUTEID" in cookies_of(request):
            return self._dispatch(call)
        return self._unrouted(call)

    def _unrouted(self, call: Call) -> Response:
        """Answer a write that the balancer could not pin to a node."""
        if self.switches.missing_route_id == "accepted":
            return self._dispatch(call)
        if self.switches.missing_route_id == "done":
            self._dispatch(call)
        raise SapError(-1116, "Could not commit transaction: Error -1 detected during transaction")

    def _dispatch(self, call: Call) -> Response:
        if self.writer.is_call(call.name):
            return self.writer.call(call)
        if call.name not in self.reader.sets or (call.name == "EventSubscriptions" and call.v1):
            raise no_such_path()
        if call.method != "GET" and call.name in self.switches.forbidden:
            raise SapError(-6006, "You are not permitted to perform this action", 403)
        if call.key_text is None and call.method in ("GET", "POST"):
            return self.reader.many(call) if call.method == "GET" else self.writer.create(call)
        if call.key_text is None:
            raise not_supported()
        if call.method == "GET":
            return self.reader.one(call)
        if call.method == "PATCH":
            return self.writer.change(call)
        if call.method == "DELETE":
            return self.writer.delete(call)
        if call.method == "POST" and call.rest:
            return self.writer.act(call)
        raise not_supported()


def _method(request: Request) -> str:
    """Return the verb that is meant; POST may carry another one in a header."""
    override = request.headers.get("x-http-method-override", "").upper()
    method = override if request.method == "POST" and override in ("PATCH", "MERGE", "DELETE") else request.method
    return "PATCH" if method == "MERGE" else method
