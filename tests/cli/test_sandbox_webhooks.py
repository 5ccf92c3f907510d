"""mlc sandbox --webhooks: what it writes, says and delivers, with a receiver on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import stripe
from desk import Desk

from mlc.cli import sandboxing
from mlc.config import load

gocardless = pytest.importorskip("gocardless_pro.webhooks")


class Door(http.server.BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        """Answer, and tell the test."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.server.came.setdefault(self.path, []).append((dict(self.headers), body))
        self.server.rung.release()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[http.server.HTTPServer]:
    """A receiver on this machine."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Door)
    server.came, server.rung = {}, threading.Semaphore(0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_three_systems_deliver_under_the_secrets_in_the_configuration(
    desk: Desk, door: http.server.HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happens at a simulated system reaches the receiver at once, signed with the secret that config.yaml refers to."""
    folder = tmp_path / "box"

    def play() -> None:
        settings = load(folder / "config.yaml", {})
        tenant = settings.tenants["sandbox"]
        sap, money, debits = (tenant.sap.url.removesuffix("/b1s/v2"), tenant.stripe.url, tenant.gocardless.url)
        customer = httpx.post(f"{money}/sandbox/add_customer", json={"name": "A"}).json()["id"]
        invoice = httpx.post(f"{money}/sandbox/add_invoice", json={"customer_id": customer, "amount": 11900}).json()["id"]
        assert httpx.post(f"{money}/sandbox/open_invoices").json()["result"][0]["invoice_id"] == invoice
        assert httpx.post(f"{money}/sandbox/pay").json()["status"] == "succeeded"
        assert httpx.post(f"{money}/sandbox/pay").status_code == 400
        httpx.post(f"{sap}/sandbox/receipt", json={"card_code": "C20000", "amount": "5"})
        httpx.post(f"{debits}/sandbox/make_payout", json={"currency": "EUR"})
        httpx.post(f"{debits}/sandbox/add_customer", json={"name": "B"})
        payment = httpx.post(f"{debits}/sandbox/all", json={"kind": "payments"}).json()["result"][0]["id"]
        httpx.post(f"{debits}/sandbox/charge_back", json={"ident": payment})
        while len(door.came) < 3:
            assert door.rung.acquire(timeout=10)
        told = httpx.get(f"{money}/sandbox/deliveries").json()["deliveries"]
        assert {one["status"] for one in told} == {200}

    monkeypatch.setattr(sandboxing, "_wait", play)
    url = f"http://127.0.0.1:{door.server_port}"
    said = desk.raw("sandbox", "--dir", str(folder), "--webhooks", f"{url}/")
    assert said.code == 0, said.err
    assert f"{url}/stripe/sandbox, /gocardless/sandbox, /sap/sandbox" in said.err
    (headers, body), *_ = door.came["/stripe/sandbox"]
    assert stripe.Webhook.construct_event(body, headers["Stripe-Signature"], (folder / "stripe.webhook").read_text())
    (headers, body), *_ = door.came["/gocardless/sandbox"]
    assert gocardless.parse(body, (folder / "gocardless.webhook").read_text(), headers["Webhook-Signature"])
    (_, body), *_ = door.came["/sap/sandbox"]
    assert json.loads(body)[0]["type"] == "sap.b1.IncomingPayments.Created.v1"
    assert len({(folder / f"{name}.webhook").read_text() for name in ("sap", "stripe", "gocardless")}) == 3


def test_the_receiver_must_be_on_this_machine(desk: Desk, tmp_path: Path) -> None:
    """The sandbox delivers to nobody else, and says so before it serves anything."""
    said = desk.raw("sandbox", "--dir", str(tmp_path / "box"), "--webhooks", "https://example.com")
    assert said.code == 2
    assert "no address of this machine" in said.err
    assert not (tmp_path / "box").exists()


def test_without_a_receiver_it_says_how(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the option one line tells how webhooks are had, and the way to pay needs no id."""
    monkeypatch.setattr(sandboxing, "_wait", lambda: None)
    said = desk.raw("sandbox", "--dir", str(tmp_path / "box"))
    assert said.code == 0, said.err
    assert "--webhooks http://127.0.0.1:8377" in said.err
    assert "/sandbox/pay " in said.err
