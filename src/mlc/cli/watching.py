"""Tells those who watch how a command over a tenant went: a check is pinged, a file written, a command run, one line said with -q.

Nothing here may change how a run ends: whatever fails is a warning, and every wait has an end.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mlc.cli import watch_texts
from mlc.cli.files import write_whole
from mlc.cli.secreting import PING
from mlc.cli.session import Terminated
from mlc.core import errors
from mlc.core.errors import MlcError

if TYPE_CHECKING:
    import httpx

    from mlc.cli.session import Session
    from mlc.config import Settings, Tenant
    from mlc.opening import Seams

PING_SECONDS = 10.0  # for one ping, its repetition included
HOOK_SECONDS = 30.0
_LONGEST = 4000  # of MLC_MESSAGE


@dataclass(slots=True)
class Watched:
    """One command over one tenant, seen from outside."""

    session: Session
    settings: Settings
    tenant: Tenant
    command: str
    dry_run: bool
    run_id: str
    seams: Seams
    code: int = errors.FAILED
    timed: bool = True  # a webhook's pass pings nobody: it would hide a timer that is dead
    _address: str = ""
    _warned: bool = False
    _reports: int = field(init=False)
    _troubles: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember where this tenant's part begins."""
        self._reports, self._troubles = len(self.session.reports), len(self.session.voice.troubles)

    def begin(self) -> None:
        """Tell that the command begins."""
        if self.dry_run or not self.timed or self.settings.watch_of(self.tenant).ping_url is None:
            return
        try:
            self._address = self._find_address()
        except (MlcError, ValueError) as error:
            self._warn(f"ping_url cannot be used, nothing is pinged: {error}")
            return
        self._ping("/start", None)

    def finish(self) -> None:
        """Tell how the command ended."""
        reports = self.session.reports[self._reports :]
        why = watch_texts.attention(self.code, reports)
        if self.session.options.quiet and self.code not in watch_texts.NEEDS_NOBODY:
            self.session.voice.warn(f"{self.tenant.name}: exit {self.code}: {why}")
        if self.dry_run:
            return
        watch = self.settings.watch_of(self.tenant)
        if watch.prometheus_dir is not None and self.code != errors.LOCKED:  # the run that holds the lock writes it
            self._write_figures(watch.prometheus_dir)
        if self._address:
            self._ping(f"/{self.code}", watch_texts.ping_body(self.code, reports))
        if watch.on_failure and self.code not in watch_texts.NEEDS_NOBODY:
            self._run_hook(watch.on_failure, why)

    # --- pings ------------------------------------------------------------------------------------------------------

    def _find_address(self) -> str:
        """Return the address of the check. Raises CredentialError, SecretStoreError, ValueError."""
        from mlc.config import ping_address

        found, resolver = self.settings.watch_of(self.tenant).ping_url, self.session.resolver(self.settings)
        assert found is not None
        if not isinstance(found, str):
            found = ping_address(resolver.resolve(self.tenant.name, PING, found).reveal())
        resolver.redactor.add(found)
        for part in found.split("/")[3:]:
            if len(part) >= 16 and re.search(r"\d", part):
                resolver.redactor.add(part)
        return found

    def _ping(self, end: str, body: str | None) -> None:
        """Send one ping, in a thread that is left alone once its time is up: a name server may take longer than any timeout."""
        said: list[str] = []
        url = f"{self._address}{end}?rid={watch_texts.rid_of(self.run_id)}"
        thread = threading.Thread(
            target=lambda: said.append(send(url, body, self.seams.transports.get("ping"))), name="mlc ping", daemon=True
        )
        thread.start()
        thread.join(PING_SECONDS)
        trouble = said[0] if said else f"no answer within {PING_SECONDS:g} seconds"
        if trouble and not self._warned:
            self._warned = True
            host = self._address.split("/")[2]
            self._warn(f"the ping to {host} failed ({trouble}); the run does not depend on it")

    # --- Prometheus -------------------------------------------------------------------------------------------------

    def _write_figures(self, folder: Path) -> None:
        text = watch_texts.prometheus(self.tenant.name, self._figures())
        try:
            write_whole(folder / f"mlc_{self.tenant.name}.prom", text)
        except OSError as error:
            self._warn(f"{folder}: the file for Prometheus was not written ({error.strerror}); the run does not depend on it")

    def _figures(self) -> watch_texts.Figures:
        from datetime import datetime

        from mlc.cli.books import reading

        now = self.seams.clock.now()
        try:
            with reading(self.settings, self.tenant) as journal:
                oldest, events, debits = (
                    journal.held.oldest(),
                    journal.cursor("stripe/events"),
                    journal.cursor("gocardless/events"),
                )
                read = {"post-payments": float(events)} if events and int(events) else {}
                if debits:
                    read["reconcile-payouts"] = datetime.fromisoformat(debits).timestamp()
                return watch_texts.Figures(
                    self.code, now, journal=True, runs=journal.runs.last(), held=journal.held.count(),
                    oldest_held=max(0.0, now - oldest) if oldest is not None else 0.0, in_doubt=journal.in_doubt(),
                    waiting=journal.inbox.counts()[0], cursors={name: max(0.0, now - at) for name, at in read.items()},
                )  # fmt: skip
        except Exception:  # noqa: BLE001 - no state yet, a newer or a broken one: the code is told all the same
            return watch_texts.Figures(self.code, now)

    # --- the command ------------------------------------------------------------------------------------------------

    def _run_hook(self, words: Sequence[str], why: str) -> None:
        troubles = self.session.voice.troubles[self._troubles :]
        message = self.session.voice.clean("\n".join([f"{self.tenant.name}: exit {self.code}: {why}", *troubles]))
        told = {
            "MLC_TENANT": self.tenant.name, "MLC_COMMAND": self.command, "MLC_EXIT_CODE": str(self.code), "MLC_RUN_ID": self.run_id,
            "MLC_MESSAGE": message[:_LONGEST].replace("\0", "?").encode("utf-8", "replace").decode(),
        }  # fmt: skip
        if trouble := run_hook(words, {**without_secrets(os.environ, self.settings), **told}):
            self._warn(f"on_failure: {words[0]} {trouble}")

    def _warn(self, text: str) -> None:
        self.session.voice.warn(f"warning: {self.tenant.name}: {text}")


@contextmanager
def watched(
    session: Session, settings: Settings, tenant: Tenant, command: str, *, dry_run: bool, timed: bool = True
) -> Iterator[Watched]:  # fmt: skip
    """Watch one command over one tenant; the caller sets `code`, an interrupted command has its own."""
    from mlc.opening import Seams
    from mlc.wiring import new_run_id

    watch = Watched(session, settings, tenant, command, dry_run, new_run_id(), type(session).seams or Seams(), timed=timed)
    with session.voice.within(tenant=tenant.name, run_id=watch.run_id):
        try:
            watch.begin()
            yield watch
        except typer.Exit as end:
            watch.code = end.exit_code
            raise
        except KeyboardInterrupt:
            watch.code = errors.INTERRUPTED
            raise
        except Terminated:
            watch.code = errors.TERMINATED
            raise
        finally:
            watch.finish()


def send(url: str, body: str | None, transport: httpx.BaseTransport | None) -> str:
    """Send one ping, and once more where the connection or the server failed; return what went wrong, never with the address."""
    import httpx

    trouble = ""
    deadline = time.monotonic() + PING_SECONDS
    for _ in range(2):
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            with (
                httpx.Client(transport=transport, timeout=left, follow_redirects=False, trust_env=False) as client,
                client.stream("GET" if body is None else "POST", url, content=body) as response,
            ):
                if response.is_success:
                    return ""
                trouble = f"it answered {response.status_code}"
                if response.status_code < 500:
                    return trouble
        except httpx.TimeoutException:
            return f"no answer within {PING_SECONDS:g} seconds"
        except Exception as error:  # noqa: BLE001 - in a thread of its own, and no job fails for a ping; its text may have the address
            trouble = type(error).__name__
    return trouble


def without_secrets(environ: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the environment without the variables the configuration refers to as secrets."""
    from mlc.config import redacted_dump, referred

    secret = set(referred(redacted_dump(settings)))
    return {name: value for name, value in environ.items() if name not in secret}


def run_hook(words: Sequence[str], environ: Mapping[str, str], limit: float = HOOK_SECONDS) -> str:
    """Run a command without a shell, input or output; return what went wrong. What it has started ends with its time."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the words are the operator's own and no shell sees them
            list(words), env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return f"could not be started ({getattr(error, 'strerror', None) or type(error).__name__})"
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        return f"had not ended after {limit:g} seconds and was stopped"
    finally:
        if process.poll() is None:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return f"ended with {code}" if code else ""
