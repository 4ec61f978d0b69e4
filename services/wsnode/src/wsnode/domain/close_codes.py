"""Why a node ends a client's connection, with the code that tells the client what to do next.

4000 to 4099: do not come back unchanged; 4100 to 4199: come back after a second or more; 4200 to 4299: come back at
once (Pusher protocol 7). Below 4000 the codes are those of RFC 6455.
"""

from __future__ import annotations

from typing import NamedTuple


class Close(NamedTuple):
    """A close code and its reason, of at most 123 bytes of UTF-8."""

    code: int
    reason: str


UNKNOWN_APP = Close(4001, "There is no app with this key")
APP_DISABLED = Close(4003, "The app is disabled")
APP_FULL = Close(4004, "The app has reached its limit of connections")
UNKNOWN_PATH = Close(4005, "There is nothing at this path; connect to /app/{key}")
INVALID_VERSION = Close(4006, "The protocol version must be a whole number; connect with protocol=7")
UNSUPPORTED_PROTOCOL = Close(4007, "This protocol version is not supported; connect with protocol=7")
NO_PROTOCOL = Close(4008, "No protocol version was given; connect with protocol=7")
ORIGIN_NOT_ALLOWED = Close(4009, "The app does not allow connections from this origin")
NOT_AUTHORISED = Close(4009, "The signature of pusher:signin is wrong")
TERMINATED = Close(4009, "The app ended the connections of this user")
NODE_FULL = Close(4100, "This node has reached its limit of connections; try again later")
STARTING = Close(4100, "This node has not joined its cluster yet; try again later")
STOPPING = Close(4100, "This node is stopping and takes no more clients; try again")
"""For those who come while it drains: they wait a moment, until the load balancer has noticed."""
LOST = Close(4100, "This node has lost the others and takes no clients; try again")
TOO_MANY_MESSAGES = Close(4100, "Too many messages in a short time; send fewer")
DRAINING = Close(4200, "This node is stopping; reconnect")
ISOLATED = Close(4200, "This node has lost the others; reconnect")
TOO_SLOW = Close(4200, "Too many bytes wait to be read; reconnect")
NO_PONG = Close(4201, "No answer to a ping")
NOT_TEXT = Close(1003, "Send text frames; binary frames are not understood")
INVALID_UTF8 = Close(1007, "The message is not valid UTF-8")
CLIENT_EVENT = Close(4301, "Clients do not publish here; publish through the HTTP API")
"""Only ever the code of a `pusher:error`: the connection stays."""
