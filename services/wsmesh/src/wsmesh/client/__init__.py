"""A small client of the cluster: `Client` subscribes over WebSocket, `Publisher` publishes over HTTP.

async with Client("https://push.example", key="app-key") as client:
    await client.subscribe("news")
    async for item in client:
        if isinstance(item, Event):
            print(item.name, item.data)
"""

from wsmesh.client.connection import Client, Stopped, Unreachable
from wsmesh.client.protocol import (
    Authorization,
    Authorize,
    Connected,
    Event,
    Item,
    Lost,
    Problem,
    Refused,
    Subscribed,
    signer,
)
from wsmesh.client.publisher import Publisher, PublishRefused
from wsmesh.client.reconnect import Reconnect

__all__ = [
    "Authorization",
    "Authorize",
    "Client",
    "Connected",
    "Event",
    "Item",
    "Lost",
    "Problem",
    "PublishRefused",
    "Publisher",
    "Reconnect",
    "Refused",
    "Stopped",
    "Subscribed",
    "Unreachable",
    "signer",
]
