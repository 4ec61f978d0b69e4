"""Try the lab out: publish at one location, receive at the other, and print where everything is."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]
from pusher.errors import PusherError  # type: ignore[import-untyped]

from tests.support.listening import listening
from tests.support.waiting import until
from wsmesh import tls
from wsmesh_demo.publisher import client
from wsmesh_demo.registry import App

ROOT = Path(__file__).parents[2]
SECRETS = ROOT / ".vagrant/lab.secrets"
CA = SECRETS / "ca.crt"
CHANNEL = "lab"
SECONDS = 60


def inventory() -> dict[str, dict[str, dict[str, str]]]:
    """Group -> host -> variables."""
    groups = yaml.safe_load((ROOT / "inventory/lab/hosts.yml").read_text(encoding="utf-8"))
    return {name: (group or {}).get("hosts", {}) for name, group in groups.items()}


class Registry:
    """The registry, asked with the admin key that the deployment made."""

    def __init__(self, url: str, trust: ssl.SSLContext) -> None:
        self.url = url
        self._trust = trust
        self._key = (SECRETS / "admin.key").read_text(encoding="utf-8").strip()

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET, or POST with a body."""
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=10, context=self._trust) as answer:
            return json.load(answer)

    def app(self) -> App:
        """The app of the lab, made if it is not there."""
        found = [app for app in self.ask("apps")["apps"] if app["name"] == "lab"]
        made = found[0] if found else self.ask("apps", {"name": "lab"})
        return App(id=made["id"], key=made["key"], secret=made["secret"], publish_key="")


async def cross(publish_url: str, listen_url: str, app: App, trust: ssl.SSLContext) -> list[Any]:
    """Publish at one URL, hear it at the other; what was heard. Tries again while the app is too new."""
    publisher = client(publish_url, CA, app)
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                async with listening(listen_url, app.key, CHANNEL, tls=trust) as listener:
                    await asyncio.to_thread(publisher.trigger, CHANNEL, "greeting", {"from": publish_url})
                    await until(lambda: listener.events)
                    return listener.events
            except (AssertionError, PusherError, OSError):
                await asyncio.sleep(0.5)


async def main() -> None:
    """Cross in both directions."""
    hosts = inventory()
    trust = tls.client_context(CA)
    registry = Registry(f"https://{next(iter(hosts['registry'].values()))['wsmesh_address']}:8000", trust)
    app = registry.app()
    balancers = {host["wsmesh_location"]: f"https://{host['lab_address']}" for host in hosts["balancers"].values()}
    for here, publish_url in balancers.items():
        for there, listen_url in balancers.items():
            if here == there:
                continue
            (event, *more) = await cross(publish_url, listen_url, app, trust)
            if more or event["data"] != {"from": publish_url}:
                sys.exit(f"published at {here}, but heard at {there}: {[event, *more]}")
            print(f"a message published in {here} was received in {there}")
    print(f"\nregistry   {registry.url}/docs  (admin key: {SECRETS.relative_to(ROOT)}/admin.key)")
    for location, url in balancers.items():
        print(f"{location:10} {url}  (wss, https; authority: {CA.relative_to(ROOT)})")
    print(f"app        id {app.id}, key {app.key}")
    print("log in     vagrant ssh node-north-1        end it     make lab-destroy")


if __name__ == "__main__":
    asyncio.run(main())
