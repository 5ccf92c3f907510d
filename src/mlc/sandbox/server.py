"""Serves simulated systems over real HTTP on loopback, each on a port of its own, until stopped."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from mlc.sandbox.kit import Service, wsgi


class Served:
    """A simulator behind waitress on 127.0.0.1."""

    def __init__(self, service: Service, port: int = 0) -> None:
        """Bind at once; port 0 takes any free one. Raises OSError where the port is taken."""
        from waitress import create_server

        self.service = service
        self._server: Any = create_server(
            wsgi(service, sockets=True),
            host="127.0.0.1",
            port=port,
            threads=8,
            ident=None,
            connection_limit=200,
            clear_untrusted_proxy_headers=True,
        )
        self.port = int(self._server.effective_port)
        self._thread = threading.Thread(target=self._server.run, name=f"sandbox-{self.port}", daemon=True)

    @property
    def url(self) -> str:
        """Return the address of the root."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Served:
        """Serve in the background."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving: everything is closed in the thread that owns the sockets, kept-alive connections too."""
        with contextlib.suppress(OSError):  # it may wake by itself, and close the trigger before it is pulled
            self._server.trigger.pull_trigger(self._close)
        self._thread.join(timeout=5)
        self._server.task_dispatcher.shutdown(timeout=1)

    def _close(self) -> None:
        for one in list(self._server._map.values()):  # noqa: SLF001 - waitress shows its sockets nowhere else
            with contextlib.suppress(OSError):
                one.close()
