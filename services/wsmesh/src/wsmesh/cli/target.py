"""Which cluster a command speaks to, and with which keys."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from wsmesh import tls
from wsmesh.cli import cluster_file
from wsmesh.cli.cluster_file import ClusterFile
from wsmesh.cli.errors import CliError, Code
from wsmesh.registry_client import RegistryClient
from wsmesh.settings import SettingsError


@dataclass(frozen=True, kw_only=True)
class AppAccess:
    """What is known of the app to publish to or listen at."""

    id: str | None = None
    key: str | None = None
    secret: str | None = None
    publish_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Target:
    """Everything that options, environment and the cluster file said."""

    url: str | None = None
    ca: Path | None = None
    registry_url: str | None = None
    registry_key: str | None = None
    registry_ca: Path | None = None
    demo: ClusterFile | None = None

    def registry(self) -> RegistryClient:
        """The registry's client. Raises CliError when its URL or key is missing."""
        if self.registry_url is None:
            raise CliError(Code.USAGE, "WS_UPDATES_URL: not set, expected the registry's URL; or give --cluster FILE")
        for url in self.registry_url.split(","):
            _checked_url("WS_UPDATES_URL", url.strip())
        if self.registry_key is None:
            raise CliError(Code.USAGE, "WS_UPDATES_KEY: not set, expected an API key of role admin")
        return RegistryClient(self.registry_url, self.registry_key, tls=_context(self.registry_ca))

    def cluster_url(self) -> str:
        """The URL to publish to and listen at. Raises CliError when it is missing or no URL."""
        if self.url is None:
            raise CliError(Code.USAGE, "WSMESH_URL: not set, expected https://host; or give --cluster FILE")
        return _checked_url("WSMESH_URL", self.url)

    def cluster_tls(self) -> ssl.SSLContext | None:
        """The context for `cluster_url`; None: the system's authorities. Raises CliError."""
        return _context(self.ca)

    def app_id(self, given: str | None) -> str:
        """The app that was named, else the demo's. Raises CliError."""
        if given is None and self.demo is not None:
            return self.demo.app.id
        if given is None:
            raise CliError(Code.USAGE, "--app: not given, expected the id of an app; wsmesh apps list shows them")
        return given

    def app(self, given: AppAccess) -> AppAccess:
        """Complete what was given from the cluster file, when it is about the same app."""
        if self.demo is None or given.id not in (None, self.demo.app.id):
            return given
        app = self.demo.app
        return AppAccess(
            id=app.id,
            key=given.key or app.key,
            secret=given.secret or app.secret,
            publish_key=given.publish_key or app.publish_key,
        )

    async def with_key(self, app: AppAccess) -> AppAccess:
        """Ask the registry for the public key, when it is missing and the registry may be asked."""
        if app.key is not None or app.id is None or self.registry_url is None or self.registry_key is None:
            return app
        async with self.registry() as registry:
            return replace(app, key=(await registry.app(app.id)).get("key"))


def choose(given: Target, cluster: Path | None, here: Path) -> tuple[Target, str | None]:
    """Fill `given` in from the file `cluster`, or from the demo's in the folder `here` when nothing was given.

    Gives the target and what a person should be told about it.
    """
    note = None
    if cluster is None:
        if given != Target() or not (here / cluster_file.DEFAULT).is_file():
            return given, None
        cluster = here / cluster_file.DEFAULT
        note = f"using {cluster_file.DEFAULT}, the demo's cluster"
    demo = cluster_file.read(cluster)
    return (
        Target(
            url=given.url or demo.url,
            ca=given.ca or (Path(demo.ca) if demo.ca else None),
            registry_url=given.registry_url or demo.registry_url,
            registry_key=given.registry_key or demo.admin_key,
            registry_ca=given.registry_ca or (Path(demo.ca) if demo.ca else None),
            demo=demo,
        ),
        note,
    )


def _checked_url(name: str, url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise CliError(Code.USAGE, f"{name}: found {url!r}, expected a URL like https://push.example:443")
    return url


def _context(ca: Path | None) -> ssl.SSLContext | None:
    try:
        return None if ca is None else tls.client_context(ca)
    except SettingsError as problem:
        raise CliError(Code.USAGE, str(problem)) from None
