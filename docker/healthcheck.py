"""Ask the service in this container whether it lives: healthcheck.py PATH. Exit status 0 means yes."""

from __future__ import annotations

import http.client
import os
import ssl
import sys


def alive(path: str) -> bool:
    """Whether the service answers 200."""
    port = int(os.environ["PORT"])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    if os.environ.get("TLS_CERT"):
        # The certificate is for the name that others use; this question does not leave the container.
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=3, context=ssl._create_unverified_context())  # noqa: S323
    connection.request("GET", path)
    return connection.getresponse().status == 200


if __name__ == "__main__":
    try:
        sys.exit(not alive(sys.argv[1]))
    except (OSError, http.client.HTTPException) as problem:
        sys.exit(f"no answer: {problem}")
