"""How the simulated GoCardless says no: one exception that carries the status and the error body of the answer."""

from __future__ import annotations

from typing import Any

DOCS = "https://developer.gocardless.com/api-reference"


class Refusal(Exception):
    """An answer with an error status."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        *,
        slug: str = "",
        errors: list[dict[str, Any]] | None = None,
        named: bool = True,
    ) -> None:
        """Build the refusal; without `errors` the body has none, and not `named` it has no request id."""
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.slug = slug or kind
        self.errors = errors
        self.named = named

    def body(self, request_id: str) -> dict[str, Any]:
        """Return the answer's body."""
        error: dict[str, Any] = {
            "message": self.message,
            "documentation_url": f"{DOCS}#{self.slug}",
            "type": self.kind,
            "code": self.status,
        }
        if self.named:
            error["request_id"] = request_id
        if self.errors is not None:
            error["errors"] = self.errors
        return {"error": error}


def _reasoned(status: int, kind: str, reason: str, message: str, links: dict[str, str] | None, *, named: bool) -> Refusal:
    detail: dict[str, Any] = {"reason": reason, "message": message}
    if links:
        detail["links"] = links
    return Refusal(status, kind, message, slug=reason, errors=[detail], named=named)


def usage(status: int, reason: str, message: str, *, named: bool = True) -> Refusal:
    """Return the refusal of a request that uses the API wrongly."""
    return _reasoned(status, "invalid_api_usage", reason, message, None, named=named)


def state(reason: str, message: str, *, status: int = 422, links: dict[str, str] | None = None) -> Refusal:
    """Return the refusal of something that the resource's state does not allow."""
    return _reasoned(status, "invalid_state", reason, message, links, named=True)


def invalid(root: str, *problems: tuple[str, str]) -> Refusal:
    """Return the refusal of values: each problem is a field (dots for inner ones) and what is wrong with it."""
    details = [
        {"field": field.rsplit(".", 1)[-1], "message": message, "request_pointer": f"/{root}/{field.replace('.', '/')}"}
        for field, message in problems
    ]
    return Refusal(422, "validation_failed", "Validation failed", slug="validation_failed", errors=details)


def missing() -> Refusal:
    """Return what GoCardless says about an id it does not know."""
    return usage(404, "resource_not_found", "Resource not found")


def limited() -> Refusal:
    """Return what GoCardless says to the request that is one too many."""
    return usage(429, "rate_limit_exceeded", "Rate limit exceeded", named=False)


def forbidden() -> Refusal:
    """Return what GoCardless says where the token's permissions do not reach."""
    return usage(403, "insufficient_permissions", "Insufficient permissions")


def internal() -> Refusal:
    """Return an internal error; it has no errors[]."""
    return Refusal(500, "gocardless", "Uh-oh!", slug="internal_error")
