"""A fresh certificate for each run: an authority of its own, and HAProxy's certificate from it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import trustme

NAMES = ("127.0.0.1", "localhost", "::1")


class Certificates(NamedTuple):
    """Files (PEM)."""

    ca: Path
    haproxy: Path
    """Certificate and key in one file, as HAProxy wants it."""


def make(public: Path, private: Path) -> Certificates:
    """Write the authority into one folder and HAProxy's file into the other; the authority's key is kept nowhere."""
    authority = trustme.CA(organization_name="wsmesh demo")
    leaf = authority.issue_cert(*NAMES)
    files = Certificates(public / "ca.pem", private / "haproxy.pem")
    authority.cert_pem.write_to_path(files.ca)
    files.haproxy.touch(mode=0o600)
    files.haproxy.write_bytes(b"".join([leaf.private_key_pem.bytes(), *(pem.bytes() for pem in leaf.cert_chain_pems)]))
    return files
