"""What the tests of webhooks share: a receiver that answers as told, and worlds with an address registered."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from mlc.sandbox.courier import Reply


@dataclass
class Receiver:
    """Takes every request and answers with the next status told, 200 where none is left."""

    statuses: deque[int] = field(default_factory=deque)
    took: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    echo: bool = True
    body: bytes = b"{}"

    def __call__(self, method: str, url: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer one request; a handshake is echoed unless told otherwise."""
        self.took.append((method, url, headers, body))
        status = self.statuses.popleft() if self.statuses else 200
        if method == "GET":
            token = headers["X-B1-Webhook-Token"] if self.echo else "another"
            return Reply(status, json.dumps({"Challenge": token}).encode())
        return Reply(status, self.body, (("Content-Type", "application/json"),))

    def say(self, *statuses: int) -> None:
        """Answer the next requests with these."""
        self.statuses.extend(statuses)

    @property
    def bodies(self) -> list[Any]:
        """What was posted, parsed."""
        return [json.loads(body) for method, _, _, body in self.took if method == "POST"]

    @property
    def headers(self) -> list[dict[str, str]]:
        """The headers of what was posted."""
        return [headers for method, _, headers, _ in self.took if method == "POST"]

    @property
    def last(self) -> tuple[dict[str, str], bytes]:
        """Headers and body of the last request."""
        return self.took[-1][2], self.took[-1][3]
