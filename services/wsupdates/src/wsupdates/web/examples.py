"""Examples of the OpenAPI document; a test holds them against their shapes."""

from __future__ import annotations

from typing import Any

REGISTRATION: dict[str, Any] = {
    "id": "n1",
    "run": "n1~mbx3k2a0",
    "location": "berlin",
    "client_address": "10.0.0.11:7000",
    "mesh_address": "https://10.0.0.11:7100",
    "previous_run": "n1~mbw9z1c4",
    "version": "0.1.0",
    "weight": 100,
}
LEASE: dict[str, Any] = {"slot": 1, "lease_seconds": 10.0, "generation": 1767225600}
FIGURES: dict[str, Any] = {
    "connections": 812,
    "subscriptions": 2440,
    "messages_in": 50123,
    "messages_out": 9120331,
    "peers_up": 2,
    "peers_known": 2,
    "unsent_bytes": 0,
}
HEARTBEAT: dict[str, Any] = {"run": "n1~mbx3k2a0", "state": "ready", "figures": FIGURES}
PLAIN_NODE: dict[str, Any] = {
    "id": "n1",
    "run": "n1~mbx3k2a0",
    "slot": 1,
    "location": "berlin",
    "client_address": "10.0.0.11:7000",
    "mesh_address": "https://10.0.0.11:7100",
    "version": "0.1.0",
    "weight": 100,
    "state": "ready",
}
NODE: dict[str, Any] = PLAIN_NODE | {
    "drained": False,
    "registered_at": 1767225600.0,
    "last_heartbeat": 1767225661.2,
    "gone_at": None,
    "lease_seconds_left": 8.714,
    "figures": FIGURES,
}
LIMITS: dict[str, Any] = {
    "max_connections": 5000,
    "max_data_bytes": 10240,
    "max_channels_per_connection": 100,
    "publishes_per_second": 0,
}
NEW_APP: dict[str, Any] = {
    "id": "shop",
    "name": "The shop",
    "allowed_origins": ["https://shop.example"],
    "limits": LIMITS,
}
APP: dict[str, Any] = {
    "id": "shop",
    "key": "4Jr0c9GQyAjqZt1eW2xN",
    "name": "The shop",
    "enabled": True,
    "allowed_origins": ["https://shop.example"],
    "limits": LIMITS,
    "publish_keys": ["5f0c2b9d1e7a"],
    "rules": 1,
    "webhooks": 1,
}
CREATED_APP: dict[str, Any] = APP | {"secret": "shown once", "publish_key": "wsp_shown once"}
RULE: dict[str, Any] = {
    "pattern": "news-*",
    "history_messages": 500,
    "history_seconds": 3600,
    "history_bytes": 1048576,
    "cache": True,
    "subscription_count": False,
    "presence_max_members": 100,
    "presence_max_user_bytes": 1024,
    "max_data_bytes": 0,
}
RULE_BODY: dict[str, Any] = {"history_messages": 500, "history_seconds": 3600, "history_bytes": 1048576, "cache": True}
WEBHOOK: dict[str, Any] = {
    "name": "orders",
    "url": "https://shop.example/pusher/webhooks",
    "events": ["channel_occupied", "channel_vacated"],
    "channels": "order-*",
}
WEBHOOK_BODY: dict[str, Any] = {name: value for name, value in WEBHOOK.items() if name != "name"}
CONFIG: dict[str, Any] = {
    "generation": 1767225600,
    "nodes": [PLAIN_NODE],
    "apps": [
        {
            "id": "shop",
            "key": "4Jr0c9GQyAjqZt1eW2xN",
            "secret": "the app's secret",
            "name": "The shop",
            "enabled": True,
            "allowed_origins": ["https://shop.example"],
            "publish_keys": ["SHA-256, hexadecimal"],
            "limits": LIMITS,
            "rules": [RULE],
            "webhooks": [WEBHOOK],
        }
    ],
}
SLOTS: dict[str, Any] = {
    "generation": 1767225600,
    "slots": [
        {
            "slot": 1,
            "node": "n1",
            "location": "berlin",
            "host": "10.0.0.11",
            "port": 7000,
            "weight": 100,
            "state": "ready",
        }
    ],
}
TARGETS: list[Any] = [{"targets": ["10.0.0.11:7000"], "labels": {"node": "n1", "location": "berlin"}}]
NEW_KEY: dict[str, Any] = {"name": "balancer-berlin", "role": "balancer", "expires_days": 365}
KEY: dict[str, Any] = {
    "id": "9b1f63a0c2de",
    "name": "balancer-berlin",
    "role": "balancer",
    "created_at": 1767225600.0,
    "expires_at": 1798761600.0,
    "from_setting": False,
}
ENTRY: dict[str, Any] = {
    "id": 7,
    "at": 1767225600.0,
    "key": "ops",
    "action": "node.drain",
    "object": "node:n1",
    "before": {"state": "ready", "drained": False},
    "after": {"state": "draining", "drained": True},
}
