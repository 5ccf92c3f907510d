"""Runs the passes a delivery calls for: each time in a process of its own, forked from one that has loaded everything already.

A process of its own has its own connection, session and signals, gives its memory back, and cannot take the receiver with it.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from multiprocessing import forkserver
from typing import Any

from mlc.cli.options import Common
from mlc.core import errors

_LOCK_SECONDS = 120.0  # a timed run that holds the lock is waited for so long; then again later
_LOADED = ["mlc.cli.passes", "mlc.cli.session", "mlc.config", "mlc.secrets", "mlc.wiring", "mlc.systems.stripe.client", "httpx"]


class Children:
    """The processes of this receiver."""

    def __init__(self, options: Common) -> None:
        self._options = options
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_LOADED)
        forkserver.ensure_running()  # loads everything now: the first delivery shall not wait for it
        self._running: set[Any] = set()
        self._lock = threading.Lock()
        self._ending = False

    def starter(self, tenant: str, lacks: Callable[[str], str]) -> Callable[[tuple[str, ...]], int]:
        """Return what runs passes of a tenant and returns their exit code."""

        def start(names: tuple[str, ...]) -> int:
            able = tuple(name for name in names if not lacks(name))
            return self._run(tenant, able) if able else errors.OK

        return start

    def _run(self, tenant: str, names: tuple[str, ...]) -> int:
        process = self._context.Process(target=run_in_child, args=(self._options, tenant, names), name=f"mlc {tenant}")
        with self._lock:
            if self._ending:
                return errors.TERMINATED
            process.start()
            self._running.add(process)
        try:
            process.join()
        finally:
            with self._lock:
                self._running.discard(process)
        code = process.exitcode
        process.close()
        return errors.FAILED if code is None or code < 0 else code

    def terminate(self) -> None:
        """Let what runs end as after SIGTERM: what is in flight is heard and written down."""
        with self._lock:
            self._ending = True
            for process in self._running:
                process.terminate()


def run_in_child(options: Common, tenant: str, names: tuple[str, ...]) -> None:
    """Run passes over one tenant in this process, exactly as the command would, and end with their code."""
    import signal
    import sys
    from dataclasses import replace

    import typer

    from mlc.cli.passes import run_passes
    from mlc.cli.session import Session
    from mlc.engine.road import Options
    from mlc.interrupts import IN_FLIGHT

    # Ctrl-C reaches the whole group, and so does a service's stop: the receiver has the say, and says it once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    IN_FLIGHT.patient = True
    session = Session(replace(options, tenants=(tenant,), json=False, lock_timeout=_LOCK_SECONDS))
    try:
        with session.guarded(f"{tenant}: "):
            run_passes(session, names, Options(), None, timed=False)
    except typer.Exit as end:
        session.codes.append(end.exit_code)
    if errors.CREDENTIAL in session.codes:  # whatever else went wrong: this must not be tried again, SAP locks users
        sys.exit(errors.CREDENTIAL)
    sys.exit(errors.worst(session.codes))
