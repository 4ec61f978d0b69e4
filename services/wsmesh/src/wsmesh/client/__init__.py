"""Clients of the cluster: `Client` and `SyncClient` subscribe over WebSocket, `Publisher` and `SyncPublisher` publish.

docs/python-client.md explains them.
"""

from wsmesh.client.authorization import AsyncAuthorize, Authorization, Authorize, NotAuthorized, signer
from wsmesh.client.connection import Client
from wsmesh.client.items import Connected, Event, Item, Lost, Position, Problem, Refused, Subscribed
from wsmesh.client.publisher import Publisher, PublishRefused
from wsmesh.client.reconnect import Reconnect
from wsmesh.client.subscriber import Stopped, Unreachable
from wsmesh.client.sync import SyncClient
from wsmesh.client.sync_publisher import SyncPublisher

__all__ = [
    "AsyncAuthorize",
    "Authorization",
    "Authorize",
    "Client",
    "Connected",
    "Event",
    "Item",
    "Lost",
    "NotAuthorized",
    "Position",
    "Problem",
    "PublishRefused",
    "Publisher",
    "Reconnect",
    "Refused",
    "Stopped",
    "Subscribed",
    "SyncClient",
    "SyncPublisher",
    "Unreachable",
    "signer",
]
