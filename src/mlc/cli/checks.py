"""The lines of a ping: what was looked at, how it stands, what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from mlc.cli.render import age
from mlc.cli.session import Session
from mlc.core import errors
from mlc.core.errors import MlcError

if TYPE_CHECKING:
    from mlc.config import Tenant
    from mlc.opening import Seams

_SKEW = 120.0
_PATIENCE = 10.0  # seconds: a person waits; who was silent for so long is not asked again


class Checks:
    """The lines of a ping: each ok, warn or fail, with what to do next."""

    def __init__(self, session: Session, tenant: Tenant) -> None:
        from mlc.opening import Seams

        self.session = session
        self.tenant = tenant
        self.seams: Seams = replace(Session.seams or Seams(), patience=_PATIENCE)
        self.rows: list[tuple[str, str, str]] = []

    @property
    def today(self) -> date:
        """Return the day at the tenant's SAP server."""
        return datetime.fromtimestamp(self.seams.clock.now(), self.tenant.zone).date()

    def add(self, state: str, what: str, text: str, code: int = errors.OK) -> None:
        """Add a line."""
        self.rows.append((what, state, text))
        self.session.codes.append(code)
        if self.session.options.json:
            self.session.voice.emit("check", tenant=self.tenant.name, check=what, state=state, text=text, exit_code=code)

    def attempt(self, what: str, look: Callable[[], str]) -> bool:
        """Add a line from a look that says ok by returning, fail by raising."""
        try:
            self.add("ok", what, look())
        except MlcError as error:
            self.add("fail", what, f"{error.message}; {error.hint}" if error.hint else error.message, error.exit_code)
            return False
        return True

    def skew(self, what: str, header: str) -> None:
        """Add a line on a server's clock, by the Date header of its last answer."""
        if not header:
            return
        skew = parsedate_to_datetime(header).timestamp() - self.seams.clock.now()
        if abs(skew) > _SKEW:
            self.add("warn", what, f"differs from this machine's by {age(abs(skew))}")
        else:
            self.add("ok", what, "agrees with this machine's")
