"""The first steps that many tests of the passes share."""

from __future__ import annotations

from typing import Any

from harness import Company


def pushed(company: Company, **more: Any) -> tuple[int, str]:
    """Push one invoice (119.00 where nothing else is said); returns its DocEntry and its id at Stripe."""
    entry = company.invoice(**more)
    company.run()
    return entry, company.pushed()[entry]


def reasons(company: Company) -> dict[str, str]:
    """Thing -> reason of what waits for a person."""
    return {name.rsplit("/", 1)[-1]: reason for name, reason in company.held().items()}
