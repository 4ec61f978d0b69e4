"""TLS: clear text is refused, and certificates are checked in real handshakes."""

from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from wsmesh.settings import SettingsError
from wsmesh.tls import client_context, is_loopback, refuse_plaintext, server_context


@dataclass(frozen=True)
class Files:
    """PEM files."""

    ca: Path
    cert: Path
    key: Path


def issue(folder: Path, name: str, authority: trustme.CA | None = None) -> tuple[trustme.CA, Files]:
    """A certificate for `localhost`, from this or a new authority."""
    authority = authority or trustme.CA()
    leaf = authority.issue_cert("localhost")
    files = Files(folder / f"{name}-ca.pem", folder / f"{name}.pem", folder / f"{name}.key")
    authority.cert_pem.write_to_path(files.ca)
    leaf.private_key_pem.write_to_path(files.key)
    files.cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    return authority, files


@pytest.fixture
def ours(tmp_path: Path) -> Files:
    return issue(tmp_path, "ours")[1]


@pytest.fixture
def theirs(tmp_path: Path) -> Files:
    return issue(tmp_path, "theirs")[1]


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "localhost") -> bytes:
    """Connect over a real socket and say hello; raises what the client sees."""
    near, far = socket.socketpair()
    near.settimeout(5)
    far.settimeout(5)

    def serve() -> None:
        try:
            with server.wrap_socket(far, server_side=True) as wrapped:
                wrapped.sendall(b"hello")
        except OSError:
            far.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(near, server_hostname=name) as wrapped:
            return wrapped.recv(5)
    finally:
        near.close()
        thread.join()


def test_a_trusted_server_is_spoken_to(ours: Files) -> None:
    """A client that trusts the authority speaks with the server."""
    assert handshake(server_context(ours.cert, ours.key), client_context(ours.ca)) == b"hello"


def test_a_server_of_another_authority_is_refused(ours: Files, theirs: Files) -> None:
    """A client does not speak with a server whose authority it does not trust."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(theirs.cert, theirs.key), client_context(ours.ca))


def test_the_systems_authorities_do_not_know_ours(ours: Files) -> None:
    """Without an authority of its own, a client trusts the system's only."""
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(ours.cert, ours.key), client_context(None))


def test_a_server_of_another_name_is_refused(ours: Files) -> None:
    """The name in the certificate must be that of the host."""
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname"):
        handshake(server_context(ours.cert, ours.key), client_context(ours.ca), "elsewhere.example")


def test_mutual_tls_takes_a_certificate_of_the_authority(tmp_path: Path) -> None:
    """A client with a certificate of the same authority is served."""
    authority, server = issue(tmp_path, "server")
    _, client = issue(tmp_path, "client", authority)
    context = server_context(server.cert, server.key, server.ca)
    assert handshake(context, client_context(server.ca, client.cert, client.key)) == b"hello"


def test_mutual_tls_refuses_a_client_without_a_certificate(ours: Files) -> None:
    """A client that shows no certificate is not served."""
    with pytest.raises(OSError, match=r"(?i)certificate|reset|closed"):
        handshake(server_context(ours.cert, ours.key, ours.ca), client_context(ours.ca))


def test_mutual_tls_refuses_a_certificate_of_another_authority(ours: Files, theirs: Files) -> None:
    """A client whose certificate comes from elsewhere is not served."""
    with pytest.raises(OSError, match=r"(?i)unknown ca|reset|closed"):
        handshake(server_context(ours.cert, ours.key, ours.ca), client_context(ours.ca, theirs.cert, theirs.key))


def test_old_protocol_versions_are_refused(ours: Files) -> None:
    """TLS before 1.2 is not spoken."""
    assert server_context(ours.cert, ours.key).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert client_context(ours.ca).minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    """The error names the files and the reason."""
    with pytest.raises(SettingsError, match=r"^TLS certificate .*none\.pem with key .*none\.key: .*No such file"):
        server_context(tmp_path / "none.pem", tmp_path / "none.key")
    with pytest.raises(SettingsError, match=r"^TLS authority .*none\.pem: .*No such file"):
        client_context(tmp_path / "none.pem")


def test_what_is_no_certificate_is_named(tmp_path: Path, ours: Files) -> None:
    """A file with something else in it is an error, not a server without TLS."""
    junk = tmp_path / "junk.pem"
    junk.write_text("hello")
    with pytest.raises(SettingsError, match="TLS certificate"):
        server_context(junk, ours.key)
    with pytest.raises(SettingsError, match="TLS authority"):
        server_context(ours.cert, ours.key, junk)
    junk.write_text("")
    with pytest.raises(SettingsError, match="TLS authority"):
        client_context(junk)


def test_a_key_of_another_certificate_is_refused(ours: Files, theirs: Files) -> None:
    """Certificate and key must belong together."""
    with pytest.raises(SettingsError, match=r"(?i)mismatch"):
        server_context(ours.cert, theirs.key)


def test_a_key_with_a_password_is_refused_without_asking(ours: Files) -> None:
    """A service has no terminal to ask at: an encrypted key is an error."""
    key = load_pem_private_key(ours.key.read_bytes(), None)
    ours.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(SettingsError, match=r"TLS certificate .*: the key has a password"):
        server_context(ours.cert, ours.key)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback(host: str) -> None:
    """Addresses that only this machine reaches need no TLS."""
    assert is_loopback(host)
    refuse_plaintext("client", host, has_tls=False, allowed=())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "localhost.example", "example", ""])
def test_clear_text_for_other_machines_is_refused(host: str) -> None:
    """Anything else needs TLS, or to be allowed by the listener's name."""
    assert not is_loopback(host)
    with pytest.raises(SettingsError) as caught:
        refuse_plaintext("client", host, has_tls=False, allowed=("mesh",))
    assert str(caught.value) == (
        f"ALLOW_PLAINTEXT: the client listener would serve {host} in clear text; give it a certificate, a loopback "
        "address, or name it: ALLOW_PLAINTEXT=client"
    )
    refuse_plaintext("client", host, has_tls=True, allowed=())
    refuse_plaintext("client", host, has_tls=False, allowed=("mesh", "client"))
