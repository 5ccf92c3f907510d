"""mlc webhooks: serve receives deliveries, list and show tell what is in the inbox."""

from __future__ import annotations

import json as json_
import signal
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mlc.cli import options as o
from mlc.cli.render import age, moment
from mlc.cli.session import Session, simple
from mlc.core import errors
from mlc.core.errors import ConfigError, CredentialError

if TYPE_CHECKING:
    from mlc.config import Settings, Tenant
    from mlc.store.inbox import Letter
    from mlc.webhooks.app import Endpoint
    from mlc.webhooks.caller import Caller

PORT = 8377
_LOUDEST = 20  # refused deliveries that are told one by one in a minute
_PATIENCE = 240.0  # seconds that a pass under way is waited for at the end: a write to SAP may take three minutes

webhooks_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Receive webhooks, and look at what has arrived.")


@webhooks_app.command("serve", short_help="Receive, verify and store until stopped.")
def serve(
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="To listen on; a TLS proxy stands in front of it.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="0 takes any free port.")] = PORT,
    post: Annotated[bool, typer.Option("--post", help="Run the pass that a delivery calls for at once.")] = False,
    config: o.Config = None, tenant: o.Tenants = None, quiet: o.Quiet = False, verbose: o.Verbose = 0,
    log_format: o.LogFormat = None,
) -> None:  # fmt: skip
    """Receive, verify and store webhooks until stopped; with --post run the pass they call for at once."""

    def work(session: Session) -> None:
        settings = session.settings()
        tenants = session.tenants(settings)
        endpoints = _endpoints(session, settings, tenants)
        _Service(session, settings, tenants, endpoints, post=post).run(host, port)

    simple(o.common(config, tenant, quiet=quiet, verbose=verbose, log_format=log_format), work)


def _endpoints(session: Session, settings: Settings, tenants: list[Tenant]) -> dict[str, Endpoint]:
    """Return path -> endpoint. Raises ConfigError, CredentialError, SecretStoreError where one cannot be trusted."""
    from mlc.cli.books import confirmed
    from mlc.webhooks.endpoints import endpoints_of, refuse_shared_secrets

    resolver = session.resolver(settings)
    found: list[Endpoint] = []
    for tenant in tenants:
        confirmed(settings, tenant)  # a state file serves one mode
        own, without = endpoints_of(tenant, resolver)
        for words in without:
            session.voice.say(f"not served: {words}", "yellow")
        found += own
    if not found:
        raise CredentialError(
            "no tenant has a webhook secret, so nothing could be verified and nothing is served",
            hint="`mlc secret set TENANT stripe.webhook_secret` with what the processor showed when the endpoint was made",
        )
    refuse_shared_secrets(found)
    return {endpoint.path: endpoint for endpoint in found}


class _Service:
    """The receiver and, with --post, a caller for each tenant."""

    def __init__(
        self, session: Session, settings: Settings, tenants: list[Tenant], endpoints: dict[str, Endpoint], *, post: bool
    ) -> None:  # fmt: skip
        from mlc.opening import Seams
        from mlc.webhooks.app import Receiver
        from mlc.webhooks.keeper import Keeper

        self._session, self._settings, self._tenants, self._endpoints = session, settings, tenants, endpoints
        self._say = _one_at_a_time(session.voice.warn)
        self._clock = (type(session).seams or Seams()).clock
        self._keeper = Keeper(settings.state, self._clock, self._say)
        self._log = _Log(self._say, session.voice.detail)
        self._callers = self._all_callers() if post else {}
        self._receiver = Receiver(endpoints, self._keeper, self._clock, self._heard, self._log.tell)

    def _all_callers(self) -> dict[str, Caller]:
        from mlc.cli.calling import Children
        from mlc.webhooks.caller import Caller

        served = {endpoint.tenant for endpoint in self._endpoints.values()}
        self._children = Children(self._session.options)
        return {
            one.name: Caller(one.name, self._children.starter(one.name, one.lacks), self._say)
            for one in self._tenants if one.name in served
        }  # fmt: skip

    def _heard(self, endpoint: Endpoint, events: tuple[Any, ...]) -> None:
        caller = self._callers.get(endpoint.tenant)
        if caller is not None:
            caller.ring(one.kind for one in events)

    def run(self, host: str, port: int) -> None:
        """Serve until a signal comes; then answer what has begun, let a pass end, and close the file."""
        from mlc.webhooks.server import Server

        server = Server(self._receiver, host, port)
        self._keeper.start()
        stop = threading.Event()
        before = {one: signal.signal(one, lambda *_: stop.set()) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            server.start()
            self._greet(server.url)
            for tenant in self._tenants:
                if tenant.name in self._callers:
                    self._callers[tenant.name].begin(self._waiting(tenant))
            while not stop.wait(1.0):
                if not server.alive:
                    raise errors.UnexpectedAnswerError("the server thread has ended", hint="start it again; see the log above")
        finally:
            self._end(server)
            for number, handler in before.items():
                signal.signal(number, handler)

    def _end(self, server: Any) -> None:
        for caller in self._callers.values():
            caller.end()
        clean = server.stop()
        self._keeper.stop()
        self._log.flush()
        if self._callers:
            self._children.terminate()
            deadline = time.monotonic() + _PATIENCE
            late = [one.tenant for one in self._callers.values() if not one.join(max(0.0, deadline - time.monotonic()))]
            if late:
                self._say(f"a pass of {', '.join(late)} has not ended; the next run goes on from what it wrote down")
        self._say(
            "stopped; everything that was answered as received is in the inbox" + ("" if clean else ", the rest was cut off")
        )

    def _greet(self, url: str) -> None:
        say = self._session.voice.say
        for path in self._endpoints:
            say(f"receiving at {url}{path}")
        if not url.startswith(("http://127.", "http://[::1]")):
            self._session.voice.warn(f"warning: {url} is not loopback: put a TLS proxy in front, deliveries name customers")
        says = "the passes they call for run at once" if self._callers else "the next timed run deals with them"
        say(f"deliveries are stored in {self._settings.state}; {says}. Ctrl-C ends it.")

    def _waiting(self, tenant: Tenant) -> set[str]:
        """Return what waits in the inbox from before this start."""
        from mlc.cli.books import reading
        from mlc.core.inbox import CALLS

        with reading(self._settings, tenant) as journal:
            return {kind for kind in CALLS if journal.inbox.waits(kind)}


class _Log:
    """Tells what happens to deliveries: refused ones are counted where they come in floods."""

    def __init__(self, say: Callable[[str], None], detail: Callable[[str], None]) -> None:
        self._say, self._detail = say, detail
        self._lock = threading.Lock()
        self._minute, self._told, self._more = 0, 0, 0

    def tell(self, what: str, text: str) -> None:
        """Tell of one delivery: taken ones at -v, refused and failed ones always, but not more than so many in a minute."""
        if what == "taken":
            self._detail(text)
            return
        with self._lock:
            if int(time.monotonic() // 60) != self._minute:
                self._count_up()
                self._minute, self._told = int(time.monotonic() // 60), 0
            self._told += 1
            if self._told > _LOUDEST:
                self._more += 1
                return
        self._say(f"{what} {text}")

    def flush(self) -> None:
        """Tell what was only counted."""
        with self._lock:
            self._count_up()

    def _count_up(self) -> None:
        if self._more:
            self._say(f"refused {self._more} more deliveries in that minute; `mlc status` counts them")
        self._more = 0


def _one_at_a_time(say: Callable[[str], None]) -> Callable[[str], None]:
    lock = threading.Lock()

    def said(text: str) -> None:
        with lock:
            say(text)

    return said


# --- looking ----------------------------------------------------------------------------------------------------------


@webhooks_app.command("list", short_help="What has arrived, the newest first.")
def list_(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what no pass has dealt with yet.")] = False,
    system: Annotated[str | None, typer.Option("--system", metavar="NAME", help="Only stripe, gocardless or sap.")] = None,
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=1_000_000, help="At most so many, the newest.")] = 50,
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False,
) -> None:  # fmt: skip
    """List what webhooks delivered, the newest first: when, which event, about what, and whether a pass has dealt with it."""

    def work(session: Session) -> None:
        from mlc.cli.books import reading
        from mlc.webhooks.endpoints import SYSTEMS

        if system is not None and system not in SYSTEMS:
            raise ConfigError(f"--system {system} is none", hint=f"one of {', '.join(SYSTEMS)}")
        settings = session.settings()
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), reading(settings, one) as journal:
                letters = journal.inbox.newest_rows(limit, waiting=waiting, system=system or "")
                if json:
                    for letter in letters:
                        session.voice.emit("delivery", tenant=one.name, **_fields(letter))
                for letter in () if json else letters:  # ids are copied: no table, which would break them
                    session.voice.out(f"{moment(letter.received_at)}  {letter.id}  {letter.type}")
                    session.voice.out(f"    {f'about {letter.about}; ' if letter.about else ''}dealt with: {_dealt(letter)}")
                if not letters:
                    session.voice.say(f"{one.name}: nothing {'waits' if waiting else 'has arrived'}")

    simple(o.common(config, tenant, json=json), work)


@webhooks_app.command("show", short_help="One event as it was delivered.")
def show(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="The processor's event id, as `mlc webhooks list` shows it.")],
    config: o.Config = None, tenant: o.Tenants = None, json: o.Json = False,
) -> None:  # fmt: skip
    """Show one event as it was delivered, secrets taken out. What a pass does is decided by the object as it is now."""

    def work(session: Session) -> None:
        from mlc.cli.books import reading

        settings = session.settings()
        found = 0
        for one in session.tenants(settings):
            with session.guarded(f"{one.name}: "), reading(settings, one) as journal:
                for letter in journal.inbox.find(event):
                    found += 1
                    _show(session, one.name, letter)
        if not found and not session.codes:
            raise ConfigError(f"no delivery of {event} has arrived", hint=f"`mlc replay {event}` asks the processor for it")

    simple(o.common(config, tenant, json=json), work)


def _show(session: Session, tenant: str, letter: Letter) -> None:
    if session.options.json:
        session.voice.emit("delivery", tenant=tenant, **_fields(letter), body=_body(letter))
        return
    out = session.voice.out
    out(f"{letter.id} ({tenant}, {letter.system})")
    out(f"  type        {letter.type}" + (f", about {letter.about}" if letter.about else ""))
    out(f"  made        {moment(letter.created or None)} (UTC)")
    out(f"  received    {moment(letter.received_at)} (UTC), {letter.deliveries} time{'s' if letter.deliveries != 1 else ''}")
    out(f"  dealt with  {_dealt(letter)}")
    for line in json_.dumps(_body(letter), indent=2, ensure_ascii=False).splitlines():
        out(f"  {line}")


def _body(letter: Letter) -> Any:
    try:
        return json_.loads(letter.body)
    except ValueError:  # a very long one was cut
        return letter.body


def _dealt(letter: Letter) -> str:
    if letter.done_at is None:
        return f"no, waits for {age(time.time() - letter.received_at)}"
    return f"run {letter.run_id}" if letter.run_id else "nothing to do"


def _fields(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id, "system": letter.system, "event_type": letter.type, "about": letter.about, "created": letter.created or None,
        "received_at": letter.received_at, "deliveries": letter.deliveries, "waiting": letter.done_at is None,
        "done_at": letter.done_at, "dealt_with_by": letter.run_id or None,
    }  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the commands of this room."""
    app.add_typer(webhooks_app, name="webhooks", short_help="Receive webhooks, see what came.")
