"""The simulated GoCardless behind HTTP: tokens, versions, limits, idempotency, and errors as GoCardless writes them."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from mlc.sandbox.kit import Clock, Fault, Request, Response, Service

from .endpoints import CREATES, act, create, update
from .errors import Refusal, forbidden, internal, invalid, limited, missing, state, usage
from .hooks import GoCardlessHooks
from .lists import LISTS, listed, seen
from .organisation import SCENARIOS, Organisation
from .scenario import play
from .shapes import show
from .switches import GoCardlessSwitches

VERSION = "2015-07-06"
ERRORS: dict[str, Callable[[], Refusal]] = {"rate_limit": limited, "internal": internal}


class GoCardlessService(Service):
    """One GoCardless organisation as an HTTP service at the root.

    Faults beside the kit's: `rate_limit` answers 429, `internal` a JSON 500 without errors[]; nothing is done.
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        access_token: str = "sandbox_mlc",  # noqa: S107
        creditor: str = "CR0001",
        switches: GoCardlessSwitches | None = None,
    ) -> None:
        """Start with an empty organisation."""
        super().__init__(clock)
        self.switches = switches or GoCardlessSwitches()
        self.access_token = access_token
        self.organisation = Organisation(self.clock, creditor=creditor, switches=self.switches)
        self.hooks = GoCardlessHooks(self)
        self._keys: dict[tuple[str, str], tuple[str, float]] = {}
        self._minute = (0, 0)
        self._requests = 0

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self._lock:
            self._requests += 1
            minute = int(self.clock.now() // 60)
            self._minute = (minute, self._minute[1] + 1 if self._minute[0] == minute else 1)
            try:
                if request.path.startswith("/sandbox/"):
                    return self._headed(200, play(self.organisation, request))
                return self._headed(*self._answer(request))
            except Refusal as refusal:
                return self._refused(refusal)

    def _request_id(self) -> str:
        return f"00000000-0000-4000-8000-{self._requests:012d}"

    def _refused(self, refusal: Refusal) -> Response:
        return self._headed(refusal.status, refusal.body(self._request_id()))

    def _headed(self, status: int, body: Any) -> Response:
        minute, count = self._minute
        left = 0 if status == 429 else max(0, self.switches.rate_limit - count)
        headers = (
            ("Content-Type", "application/json"),
            ("RateLimit-Limit", str(self.switches.rate_limit)),
            ("RateLimit-Remaining", str(left)),
            ("RateLimit-Reset", formatdate((minute + 1) * 60, usegmt=True)),
            ("X-Request-Id", self._request_id()),
        )
        return Response(status, json.dumps(body, ensure_ascii=False).encode(), headers)

    def _answer(self, request: Request) -> tuple[int, Any]:
        kind, _, rest = request.path.strip("/").partition("/")
        self._door(request, kind)
        parts = rest.split("/") if rest else []
        if request.method == "GET":
            return 200, self._read(request, kind, parts)
        if request.method == "PUT" and len(parts) == 1:
            update(self.organisation, kind, parts[0], _content(request, kind))
            return 200, self._shown(kind, parts[0])
        if request.method == "POST" and not parts:
            return 201, self._shown(kind, self._create(request, kind))
        if request.method == "POST" and len(parts) == 3 and parts[1] == "actions":
            if (kind, parts[2]) == ("scenario_simulators", "run"):
                return 200, self._scenario(parts[0], _content(request, "data"))
            data = _content(request, "data", optional=True)
            return 200, self._shown(kind, act(self.organisation, kind, parts[0], parts[2], data))
        raise usage(404, "path_not_found", "Path not found")

    def _door(self, request: Request, kind: str) -> None:
        """Check what every request must bring."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.strip().encode(), self.access_token.encode()):
            raise usage(401, "unauthorized", "Unauthorized")
        version = request.headers.get("gocardless-version")
        if version is None:
            raise usage(400, "missing_version_header", "GoCardless-Version header is missing")
        if version != VERSION:
            raise usage(400, "version_not_found", f"Version not found: {version}")
        if self.switches.rate_limited and self._minute[1] > self.switches.rate_limit:
            raise limited()
        if kind in self.switches.forbidden or (self.switches.read_only and request.method != "GET"):
            raise forbidden()

    def _read(self, request: Request, kind: str, parts: list[str]) -> dict[str, Any]:
        if not parts:
            return listed(self.organisation, kind, dict(request.query))
        if len(parts) != 1 or kind not in LISTS:
            raise usage(404, "path_not_found", "Path not found")
        if kind == "events" and not seen(self.organisation, self.organisation.get(kind, parts[0])):
            raise missing()
        return self._shown(kind, parts[0])

    def _shown(self, kind: str, ident: str) -> dict[str, Any]:
        return {kind: show(self.organisation, kind, self.organisation.get(kind, ident))}

    def _create(self, request: Request, kind: str) -> str:
        if kind not in CREATES:
            raise usage(404, "path_not_found", "Path not found")
        data = _content(request, kind)
        key = request.headers.get("idempotency-key")
        known = self._keys.get((kind, key)) if key else None
        lifetime = self.switches.key_lifetime
        if known is not None and (lifetime is None or self.clock.now() - known[1] < lifetime):
            text = "A resource has already been created with this idempotency key"
            links = {"conflicting_resource_id": known[0]}
            raise state("idempotent_creation_conflict", text, status=409, links=links)
        made = create(self.organisation, kind, data)
        if key:
            self._keys[kind, key] = (made, self.clock.now())
        return made

    def _scenario(self, name: str, data: dict[str, Any]) -> dict[str, Any]:
        links = data.get("links")
        resource = links.get("resource") if isinstance(links, dict) else None
        if name not in SCENARIOS:
            raise missing()
        if not isinstance(resource, str):
            raise invalid("scenario_simulators", ("links.resource", "is required"))
        record = self.organisation.get(SCENARIOS[name], resource)
        if self.switches.scenario_strict and SCENARIOS[name] == "payments":
            late = name.startswith("payment_late_failure") and record["status"] == "paid_out"
            if record["status"] != "pending_submission" and not late:
                raise state("invalid_state_for_scenario", "The payment must be pending_submission", links={"payment": resource})
        if self.switches.scenario_delay:
            self.later(self.switches.scenario_delay, lambda: self._played(name, resource))
        else:
            self.organisation.run(name, resource)
        return {"scenario_simulators": {"id": name}}

    def _played(self, name: str, resource: str) -> None:
        """Play a scenario that was asked for earlier; what no longer fits is left alone."""
        with suppress(Refusal):
            self.organisation.run(name, resource)

    def _suffer(self, fault: Fault, request: Request) -> Response:
        if fault.kind in ERRORS:
            self._requests += 1
            return self._done(request, self._refused(ERRORS[fault.kind]()))
        return super()._suffer(fault, request)


def _content(request: Request, root: str, *, optional: bool = False) -> dict[str, Any]:
    """Return what is inside the envelope of a write."""
    if optional and request.body.strip() in (b"", b"null"):
        return {}
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise usage(415, "invalid_content_type", "Content-Type must be application/json")
    try:
        body = request.json()
    except ValueError:
        raise usage(400, "invalid_document_structure", "The body is no valid JSON") from None
    if not isinstance(body, dict):
        raise usage(400, "invalid_document_structure", "Root element must be an object.")
    inner = body.get(root, {} if optional and not body else None)
    if not isinstance(inner, dict):
        raise usage(400, "invalid_document_structure", f"The body must have the key {root}")
    return inner
