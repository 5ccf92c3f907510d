"""How the simulated Stripe says no: one exception that carries the status and the error body of the answer."""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """An answer with an error status.

    `began` tells whether execution had begun: only then the answer is kept under the Idempotency-Key.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        began: bool = True,
        headers: tuple[tuple[str, str], ...] = (),
        **extra: Any,
    ) -> None:
        """Build the refusal; `extra` are further fields of the error body such as decline_code."""
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.began = began
        self.headers = headers
        self.extra = extra

    def body(self) -> dict[str, Any]:
        """Return the answer's body."""
        error: dict[str, Any] = {"message": self.message, "type": self.kind}
        if self.code:
            error["code"] = self.code
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{self.code.replace('_', '-')}"
        if self.param:
            error["param"] = self.param
        return {"error": error | self.extra}


def missing(kind: str, ident: str, param: str | None = None) -> Refusal:
    """Return what Stripe says about an id it does not know: 404 in the path, 400 in a parameter."""
    label = {"payment_intent": "payment_intent", "invoiceitem": "invoiceitem", "customer": "customer"}.get(kind, kind)
    in_path = param is None
    return Refusal(
        f"No such {label}: '{ident}'", status=404 if in_path else 400, code="resource_missing", param="id" if in_path else param
    )


def unacceptable(message: str, param: str | None = None, code: str | None = None) -> Refusal:
    """Return the refusal of a request whose parameters are already wrong by themselves; it is not kept for replay."""
    return Refusal(message, code=code, param=param, began=False)
