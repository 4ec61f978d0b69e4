"""HAProxy's stats socket and its check of a configuration."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

from haproxysync.domain.runtime import BadReply, Plan, Runtime, parse_list, parse_servers, plan
from haproxysync.domain.wanted import Wanted

SECONDS = 5.0


class NotRunning(Exception):
    """Nobody listens on the socket."""


class Trouble(Exception):
    """HAProxy cannot be talked to, or said something that is not understood."""


class ConfigRefused(Exception):
    """`haproxy -c` does not accept the configuration. The text is its first complaint."""


class HAProxy:
    """One HAProxy, by its socket, its program and the list that its configuration names."""

    def __init__(self, path: Path, binary: str, draining_file: Path) -> None:
        self._path = path
        self._binary = binary
        self._draining_file = draining_file

    def read(self) -> Runtime:
        """What the running HAProxy holds. Raises NotRunning, Trouble."""
        try:
            servers, up = parse_servers(self.send("show servers state"))
            return Runtime(servers, parse_list(self.send(f"show acl {self._draining_file}")), up)
        except BadReply as problem:
            raise Trouble(str(problem)) from None

    def compare(self, wanted: Wanted) -> Plan:
        """What the running HAProxy holds other than wanted. Raises NotRunning, Trouble."""
        return plan(self.read(), wanted, str(self._draining_file))

    def send(self, line: str) -> str:
        """Send one line of commands, return what HAProxy says to it. Raises NotRunning, Trouble."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(SECONDS)
                connection.connect(str(self._path))
                connection.sendall(line.encode() + b"\n")
                parts: list[bytes] = []
                while part := connection.recv(65536):
                    parts.append(part)
        except (FileNotFoundError, ConnectionRefusedError):
            raise NotRunning(f"nobody listens on {self._path}") from None
        except OSError as problem:
            raise Trouble(f"{self._path}: {problem}") from None
        return b"".join(parts).decode(errors="replace")

    def check(self, config: Path) -> None:
        """Have HAProxy check a configuration file. Raises ConfigRefused."""
        try:
            done = subprocess.run(  # noqa: S603 (the program is a setting)
                [self._binary, "-c", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=60,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as problem:
            raise ConfigRefused(f"{self._binary} -c cannot be run: {problem}") from None
        if done.returncode != 0:
            lines = done.stdout.decode(errors="replace").replace(str(config), "haproxy.cfg").splitlines()
            alerts = [line for line in lines if "ALERT" in line] or lines or ["no reason given"]
            raise ConfigRefused(alerts[0].strip())
