"""The commands that speak with the registry, against a real one."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from tests.integration.cli import cluster
from tests.integration.cli.cluster import Command, Registry
from tests.support.ports import free_port

App = dict[str, Any]


def test_an_app_from_its_making_to_its_end(wsmesh: Command) -> None:
    """An app is made, shown, listed, changed and deleted; only its making shows its secret."""
    name = f"a{secrets.token_hex(6)}"
    made = wsmesh("apps", "create", name, "--name", "The shop", "--origin", "https://a.example", "--json").json
    assert (made["id"], made["name"], made["allowed_origins"]) == (name, "The shop", ["https://a.example"])
    assert len(made["secret"]) >= 16
    assert made["publish_key"]

    shown = wsmesh("apps", "show", name)
    assert "The shop" in shown.out
    assert made["secret"] not in shown.out

    assert name in [one["id"] for one in wsmesh("apps", "list", "--json").json]
    assert made["key"] in wsmesh("apps", "list").out

    changed = wsmesh("apps", "change", name, "--disable", "--any-origin", "--max-connections", "7", "--json").json
    assert (changed["enabled"], changed["allowed_origins"], changed["limits"]["max_connections"]) == (False, [], 7)
    assert changed["name"] == "The shop"
    assert changed["limits"]["max_data_bytes"] == made["limits"]["max_data_bytes"]

    assert wsmesh("apps", "delete", name, "--yes").out == f"app {name} is deleted\n"
    gone = wsmesh("apps", "show", name)
    assert (gone.code, gone.out) == (3, "")
    assert gone.err == f"wsmesh: id: there is no app {name} (unknown_app)\n"


def test_new_keys_of_an_app_are_shown_once(wsmesh: Command, app: App) -> None:
    """A publish key is added, the secret replaced; both are in the answer."""
    key = wsmesh("apps", "publish-key", app["id"], "--json").json["publish_key"]
    assert key != app["publish_key"]
    assert len(wsmesh("apps", "show", app["id"], "--json").json["publish_keys"]) == 2
    secret = wsmesh("apps", "secret", app["id"], "--yes", "--json").json["secret"]
    assert secret != app["secret"]


def test_more_apps_than_a_page_are_listed(wsmesh: Command) -> None:
    """A list is whole, however many pages the registry makes of it."""
    names = {f"page{secrets.token_hex(4)}" for _ in range(3)}
    for name in names:
        wsmesh("apps", "create", name)
    assert names <= {one["id"] for one in wsmesh("apps", "list", "--json").json}


def test_rules_are_set_changed_and_deleted(wsmesh: Command, app: App) -> None:
    """A rule keeps what a later change does not name."""
    here = {"WSMESH_APP": app["id"]}
    assert wsmesh("rules", "list", **here).out == "this app has no rule; defaults apply\n"
    made = wsmesh("rules", "set", "news-*", "--history-messages", "5", "--cache", "--json", **here).json
    assert (made["pattern"], made["history_messages"], made["cache"]) == ("news-*", 5, True)
    changed = wsmesh("rules", "set", "news-*", "--no-cache", "--json", **here).json
    assert (changed["history_messages"], changed["cache"]) == (5, False)
    assert made["history_bytes"] == changed["history_bytes"] == 0
    bounded = wsmesh("rules", "set", "news-*", "--history-bytes", "65536", "--json", **here).json
    assert (bounded["history_messages"], bounded["history_bytes"]) == (5, 65_536)
    again = wsmesh("rules", "set", "news-*", "--cache", "--json", **here).json
    assert (again["history_bytes"], again["cache"]) == (65_536, True)
    assert [one["pattern"] for one in wsmesh("rules", "list", "--json", "--app", app["id"]).json] == ["news-*"]
    assert "news-*" in wsmesh("rules", "list", **here).out
    assert wsmesh("rules", "delete", "news-*", "--yes", **here).out == "rule news-* is deleted\n"
    again = wsmesh("rules", "delete", "news-*", "--yes", **here)
    assert again.code == 3
    assert again.err.endswith("(unknown_rule)\n")


@pytest.mark.parametrize(("field", "value"), [("history_messages", "10001"), ("history_bytes", "-1")])
def test_a_wrong_rule_is_refused_by_its_field(wsmesh: Command, app: App, field: str, value: str) -> None:
    """The registry's reason names the field."""
    refused = wsmesh("rules", "set", "news-*", f"--{field.replace('_', '-')}={value}", "--app", app["id"])
    assert refused.code == 3
    assert refused.err.startswith(f"wsmesh: {field}: ")
    assert refused.err.count("\n") == 1


def test_webhooks_are_set_changed_and_deleted(wsmesh: Command, app: App) -> None:
    """A webhook keeps what a later change does not name, and a wrong one is refused by its field."""
    hooks = ("apps", "webhooks")
    assert wsmesh(*hooks, "list", app["id"]).out == "this app has no webhook\n"
    url = "https://shop.example/hooks"
    made = wsmesh(*hooks, "set", app["id"], "orders", "--url", url, "--event", "cache_miss", "--json").json
    assert made == {"name": "orders", "url": url, "events": ["cache_miss"], "channels": "*"}
    changed = wsmesh(*hooks, "set", app["id"], "orders", "--channels", "order-*", "--json").json
    assert changed == made | {"channels": "order-*"}
    assert wsmesh(*hooks, "list", app["id"], "--json").json == [changed]
    assert url in wsmesh(*hooks, "list", app["id"]).out
    refused = wsmesh(*hooks, "set", app["id"], "orders", "--event", "channel_full")
    assert (refused.code, refused.err[:18]) == (3, "wsmesh: events[0]:")
    assert wsmesh(*hooks, "delete", app["id"], "orders", "--yes").out == "webhook orders is deleted\n"
    assert wsmesh(*hooks, "delete", app["id"], "orders", "--yes").err.endswith("(unknown_webhook)\n")


def test_keys_are_made_used_and_revoked(wsmesh: Command) -> None:
    """A key works from its making to its revocation; a list never shows it."""
    made = wsmesh("keys", "create", "second", "--role", "admin", "--expires-days", "1", "--json").json
    assert wsmesh("apps", "list", WS_UPDATES_KEY=made["key"]).code == 0
    listed = wsmesh("keys", "list")
    assert made["id"] in listed.out
    assert made["key"] not in listed.out
    assert wsmesh("keys", "revoke", made["id"], "--yes").out == f"key {made['id']} is revoked\n"
    refused = wsmesh("apps", "list", WS_UPDATES_KEY=made["key"])
    assert (refused.code, refused.out) == (3, "")
    assert refused.err.endswith("(key_invalid)\n")


def test_a_key_of_another_role_is_refused(wsmesh: Command) -> None:
    """A node's key does not administer."""
    made = wsmesh("keys", "create", "weak", "--role", "node", "--json").json
    refused = wsmesh("keys", "list", WS_UPDATES_KEY=made["key"])
    assert refused.code == 3
    assert refused.err.endswith("(role)\n")


def test_the_audit_record_tells_who_changed_what(wsmesh: Command, app: App) -> None:
    """A change is the newest entry, with the fields that differ; secrets are not shown."""
    wsmesh("apps", "change", app["id"], "--name", "Renamed")
    lines = [line for line in wsmesh("audit", "--limit", "200").out.splitlines() if f"app:{app['id']}" in line]
    assert "app.change" in lines[0]
    assert "name: - -> Renamed" in lines[0]
    assert "app.create" in lines[1]
    assert app["secret"] not in wsmesh("audit", "--json").out
    assert len(wsmesh("audit", "--limit", "1", "--json").json) == 1


def test_nothing_is_deleted_without_a_yes(wsmesh: Command, app: App) -> None:
    """What cannot be undone is asked for; no, or no answer, changes nothing."""
    refused = wsmesh("apps", "delete", app["id"], stdin="n\n")
    assert refused.code == 1
    assert refused.err.endswith("wsmesh: nothing was changed\n")
    assert wsmesh("apps", "delete", app["id"]).code == 1
    assert wsmesh("apps", "show", app["id"]).code == 0
    assert wsmesh("apps", "delete", app["id"], stdin="y\n").code == 0


def test_nodes_are_listed_and_steered(wsmesh: Command, node: str) -> None:
    """A node is listed with its state, drained and undrained."""
    (listed,) = wsmesh("nodes", "--json").json
    assert (listed["id"], listed["state"]) == ("n1", "ready")
    assert f"http://{listed['client_address']}" == node
    assert "n1" in wsmesh("nodes").out
    assert wsmesh("nodes", "list").out.splitlines()[0].split()[:3] == ["node", "state", "location"]

    assert wsmesh("nodes", "drain", "n1").out == "node n1 drains: HAProxy sends it no new clients\n"
    assert wsmesh("nodes", "show", "n1", "--json").json["state"] == "draining"
    assert wsmesh("nodes", "undrain", "n1", "--json").json["id"] == "n1"
    assert "registered_at" in wsmesh("nodes", "show", "n1").out

    unknown = wsmesh("nodes", "drain", "n7")
    assert unknown.code == 3
    assert unknown.err == "wsmesh: id: no node n7 is registered (unknown_node)\n"


def test_a_gone_node_is_removed(wsmesh: Command, registry: Registry) -> None:
    """A node that is removed is no longer listed."""
    key = wsmesh("keys", "create", "temporary", "--role", "node", "--json").json["key"]
    body = {
        "id": "gone",
        "run": "gone~1",
        "location": "a",
        "client_address": "127.0.0.1:9",
        "mesh_address": "http://127.0.0.1:9",
    }
    cluster.post(f"{registry.url}/api/v1/nodes", key, body)
    assert wsmesh("nodes", "remove", "gone", "--yes").out == "node gone is removed\n"
    assert "gone" not in [one["id"] for one in wsmesh("nodes", "--json").json]


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "err"),
    [
        (
            ["apps", "list"],
            {},
            2,
            "wsmesh: WS_UPDATES_URL: not set, expected the registry's URL; or give --cluster FILE\n",
        ),
        (
            ["apps", "list"],
            {"WS_UPDATES_URL": "http://127.0.0.1:1"},
            2,
            "wsmesh: WS_UPDATES_KEY: not set, expected an API key of role admin\n",
        ),
        (
            ["apps", "list"],
            {"WS_UPDATES_URL": "here", "WS_UPDATES_KEY": "k"},
            2,
            "wsmesh: WS_UPDATES_URL: found 'here', expected a URL like https://push.example:443\n",
        ),
    ],
)
def test_what_is_missing_is_one_line(
    bare: Command, arguments: list[str], environ: dict[str, str], code: int, err: str
) -> None:
    """A missing setting is one line that names it."""
    found = bare(*arguments, **environ)
    assert (found.code, found.out, found.err) == (code, "", err)


@pytest.mark.parametrize("command", [["nodes"], ["keys", "list"], ["audit"], ["apps", "create"]])
def test_an_unreachable_registry_is_one_line(wsmesh: Command, command: list[str]) -> None:
    """A registry that does not answer is one line with its URL, and exit code 4."""
    url = f"http://127.0.0.1:{free_port()}"
    found = wsmesh(*command, WS_UPDATES_URL=url)
    assert (found.code, found.out) == (4, "")
    assert found.err == f"wsmesh: the registry cannot be reached at {url}: connection refused\n"


def test_another_instance_is_asked_when_one_is_down(wsmesh: Command, registry: Registry) -> None:
    """With several URLs, one that does not answer is passed over."""
    found = wsmesh("apps", "list", WS_UPDATES_URL=f"http://127.0.0.1:{free_port()},{registry.url}")
    assert found.code == 0


def test_nothing_to_change_is_wrong_usage(wsmesh: Command, app: App) -> None:
    """A change without a change is an error, not a request."""
    found = wsmesh("apps", "change", app["id"])
    assert found.code == 2
    assert "nothing to change" in found.err


def test_the_demos_file_is_found(bare: Command, registry: Registry) -> None:
    """In the folder of a running demo no option is needed, and that it is used is said on stderr."""
    folder = bare.folder / ".demo"
    folder.mkdir()
    app = {"id": "1", "key": "k", "secret": "s", "publish_key": "p"}
    file = {"url": "https://127.0.0.1:1", "registry_url": registry.url, "admin_key": registry.admin_key, "app": app}
    (folder / "cluster.json").write_text(json.dumps(file))
    found = bare("apps", "list", "--json")
    assert found.err == "wsmesh: using .demo/cluster.json, the demo's cluster\n"
    assert isinstance(found.json, list)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "nodes",
        "nodes drain",
        "apps",
        "apps create",
        "rules set",
        "keys create",
        "audit",
        "publish",
        "listen",
        "status",
    ],
)
def test_help_teaches(bare: Command, command: str) -> None:
    """Every command explains itself."""
    found = bare(*command.split(), "--help")
    assert found.code == 0
    assert "Usage: wsmesh" in found.out
    assert "Examples:" in found.out or command in ("apps", "rules", "keys")
