"""TLS contexts, and the rule that nothing but loopback is served in clear text unless told to."""

from __future__ import annotations

import ipaddress
import ssl
from pathlib import Path

from wsmesh.settings import SettingsError


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_plaintext(listener: str, host: str, *, has_tls: bool, allowed: tuple[str, ...]) -> None:
    """Raise SettingsError when `listener` would serve clear text to other machines and ALLOW_PLAINTEXT lacks it."""
    if has_tls or is_loopback(host) or listener in allowed:
        return
    raise SettingsError(
        f"ALLOW_PLAINTEXT: the {listener} listener would serve {host} in clear text; give it a certificate, a loopback "
        f"address, or name it: ALLOW_PLAINTEXT={listener}"
    )


def server_context(cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """A server's context; with `client_ca`, clients must show a certificate of that authority. Raises SettingsError."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # some systems' Python allows older ones
    _load_pair(context, cert, key)
    if client_ca is not None:
        _load_authority(context, client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(ca: Path | None, cert: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A client's context that trusts `ca` (or the system's authorities) and may show a certificate."""
    context = ssl.create_default_context()
    if ca is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load_authority(context, ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if cert is not None and key is not None:
        _load_pair(context, cert, key)
    return context


def _load_pair(context: ssl.SSLContext, cert: Path, key: Path) -> None:
    def locked() -> str:
        raise SettingsError(f"TLS certificate {cert} with key {key}: the key has a password; store it without one")

    try:
        context.load_cert_chain(cert, key, locked)
    except (OSError, ssl.SSLError) as problem:
        raise SettingsError(f"TLS certificate {cert} with key {key}: {problem}") from None


def _load_authority(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as problem:
        raise SettingsError(f"TLS authority {ca}: {problem}") from None
