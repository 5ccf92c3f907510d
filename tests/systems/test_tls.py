"""TLS for real: a Service Layer with a self-signed certificate, as it is the rule on premises."""

from __future__ import annotations

import datetime
import ssl
import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from mlc.clock import SystemClock
from mlc.core.errors import ConfigError
from mlc.sandbox.kit import wsgi
from mlc.sandbox.sap import SapService
from mlc.systems.sap.client import SapOptions, SapSystem
from mlc.systems.sap.reads import SapReads
from mlc.systems.sap.session import Login


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Say nothing."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 and its key, in one PEM file."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sap")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "sap.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture
def url(authority: Path) -> Iterator[str]:
    """A Service Layer behind that certificate."""
    server = make_server("127.0.0.1", 0, wsgi(SapService(users={"manager": "door"})), handler_class=_Quiet)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}/b1s/v2"
    server.shutdown()
    server.server_close()
    thread.join(5)


def reads(url: str, **options: object) -> SapReads:
    """The client as the configuration would build it."""
    login = Login("acme", url, "SBODEMO", "manager", lambda: "door")
    return SapReads(SapSystem(login, SapOptions(**options), SystemClock()))  # type: ignore[arg-type]


def test_an_unknown_authority_is_a_configuration_error_that_names_the_fix(url: str) -> None:
    """A certificate that nobody vouches for is refused at once, not tried five times, and the message says what to set."""
    sap = reads(url)
    with pytest.raises(ConfigError, match="not trusted") as trouble:
        sap.ledger()
    sap.system.close()
    assert "ca_bundle" in trouble.value.hint


@pytest.mark.parametrize("how", ["ca_bundle", "verify_tls"])
def test_a_known_authority_or_a_knowing_no(url: str, authority: Path, how: str) -> None:
    """With the authority named, or checking switched off knowingly, the same server is read."""
    sap = reads(url, ca_bundle=str(authority)) if how == "ca_bundle" else reads(url, verify_tls=False)
    assert sap.ledger().local_currency == "EUR"
    sap.system.close()


def test_a_bundle_that_is_none_says_so() -> None:
    """A ca_bundle that is missing or no certificate is a configuration error that names the file."""
    with pytest.raises(ConfigError, match="nowhere"):
        reads("https://127.0.0.1:1/b1s/v2", ca_bundle="/nowhere/ca.pem")
