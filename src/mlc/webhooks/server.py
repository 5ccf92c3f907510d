"""Serves the receiver: waitress with hard limits on size and time, and an end that answers what has begun."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from mlc.core.errors import ConfigError
from mlc.webhooks.app import MOST_BYTES, Receiver

_HEADER_BYTES = 16 * 1024
_REQUEST_SECONDS = 15.0  # from the first byte of a request to its last: a sender that drips is cut off
_IDLE_SECONDS = 20
_CONNECTIONS = 1000
_DRAIN_SECONDS = 12.0


class Server:
    """The receiver behind waitress on one address."""

    def __init__(
        self, receiver: Receiver, host: str, port: int, *, threads: int = 8, request_seconds: float = _REQUEST_SECONDS
    ) -> None:
        """Bind at once; port 0 takes any free one. Raises ConfigError where the address cannot be had."""
        from waitress import create_server
        from waitress.channel import HTTPChannel

        logging.getLogger("waitress").setLevel(logging.CRITICAL)  # its warnings name no tenant and no next step
        self._receiver = receiver
        self._server: Any = create_server(
            receiver, sockets=[_bound(host, port)], threads=threads, ident=None, connection_limit=_CONNECTIONS,
            max_request_header_size=_HEADER_BYTES, max_request_body_size=MOST_BYTES + 1, channel_timeout=_IDLE_SECONDS,
            cleanup_interval=1, clear_untrusted_proxy_headers=True, backlog=512, log_socket_errors=False, expose_tracebacks=False,
            asyncore_use_poll=True,
        )  # fmt: skip

        class TimedChannel(HTTPChannel):  # type: ignore[misc] # waitress has no types
            """A connection that knows since when its present request is under way."""

            began = 0.0

            def received(self, data: bytes) -> Any:
                """Take what came; the first byte of a request starts its clock."""
                if self.request is None:
                    self.began = time.monotonic()
                return super().received(data)

        def maintenance(now: float) -> None:
            """Close what has been idle for long, and what drips."""
            type(self._server).maintenance(self._server, now)
            late = time.monotonic() - request_seconds
            for channel in list(self._server.active_channels.values()):
                if channel.request is not None and not channel.requests and channel.began < late:
                    channel.will_close = True

        self._server.channel_class = TimedChannel
        self._server.maintenance = maintenance
        self.host, self.port = host, int(self._server.socket.getsockname()[1])
        self._thread = threading.Thread(target=self._server.run, name="webhooks", daemon=True)

    @property
    def url(self) -> str:
        """Return the address of the root."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Tell whether it still serves."""
        return self._thread.is_alive()

    def stop(self, wait: Callable[[float], object] = time.sleep, seconds: float = _DRAIN_SECONDS) -> bool:
        """Take no new connection, answer what has begun, then end; False where something had to be cut off."""
        self._receiver.draining = True
        closed = threading.Event()

        def close_door() -> None:
            from waitress.wasyncore import dispatcher

            with contextlib.suppress(OSError):
                dispatcher.close(self._server)
            closed.set()

        self._server.trigger.pull_trigger(close_door)  # runs in the thread that owns the sockets
        closed.wait(5)
        deadline = time.monotonic() + seconds
        while (busy := self._busy()) and time.monotonic() < deadline:
            self._server.trigger.pull_trigger(self._close_idle)
            wait(0.02)
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=5)
        with contextlib.suppress(OSError):  # the thread may have woken by itself and closed everything already
            self._server.trigger.pull_trigger(self._close_all)
        self._thread.join(timeout=5)
        return not busy

    def _busy(self) -> bool:
        return any(
            one.requests or one.request is not None or one.total_outbufs_len
            for one in list(self._server.active_channels.values())
        )

    def _close_idle(self) -> None:
        """Close connections between two requests: their senders go on elsewhere, or come again."""
        for one in list(self._server.active_channels.values()):
            if not (one.requests or one.request is not None or one.total_outbufs_len):
                with contextlib.suppress(OSError):
                    one.handle_close()

    def _close_all(self) -> None:
        for one in list(self._server.active_channels.values()):
            with contextlib.suppress(OSError):
                one.handle_close()
        self._server.trigger.close()


def _bound(host: str, port: int) -> socket.socket:
    """Return a socket bound to the one address a host means. Raises ConfigError."""
    try:
        found = {one[4][:2]: one[0] for one in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
        if len(found) > 1:
            raise ConfigError(f"{host} means several addresses", hint="give one, for example --host 127.0.0.1")
        address, family = next(iter(found.items()))
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
        except OSError:
            bound.close()
            raise
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot listen on {host}:{port}: {why}", hint="give another --host or --port") from error
    return bound
