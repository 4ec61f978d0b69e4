"""A client of server-sent events for tests: reads as the HTML standard says (9.2.6), and remembers what it was told."""

from __future__ import annotations

import asyncio
import codecs
import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Sent(NamedTuple):
    """An event as a browser would dispatch it."""

    message: Any
    """The JSON in its data."""
    last_event_id: str


@dataclass
class Parser:
    """Takes bytes as they come."""

    last_event_id: str = ""
    retry: int | None = None
    comments: int = 0
    _id: str = ""
    _data: list[str] = field(default_factory=list)
    _text: str = ""
    _decoder: Any = field(default_factory=codecs.getincrementaldecoder("utf-8"))

    def feed(self, data: bytes) -> list[Sent]:
        """The events that are complete now."""
        self._text += self._decoder.decode(data)
        *lines, self._text = self._text.split("\n")
        return [sent for line in lines if (sent := self._line(line)) is not None]

    def _line(self, line: str) -> Sent | None:
        if not line:
            self.last_event_id = self._id
            data, self._data = self._data, []
            return Sent(json.loads("\n".join(data)), self.last_event_id) if data else None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not name:
            self.comments += 1
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        else:
            assert name == "retry", line
            self.retry = int(value)
        return None


class Reader:
    """The events of one answer, from whatever `read` takes bytes from; it gives none at the end."""

    def __init__(self, read: Any, last_event_id: str = "") -> None:
        self.parser = Parser(last_event_id, _id=last_event_id)
        self._read = read
        self._waiting: list[Sent] = []
        self.ended = False

    async def more(self) -> bool:
        """Wait for bytes; False at the end of the answer."""
        async with asyncio.timeout(30):
            data = await self._read()
        self._waiting += self.parser.feed(data)
        self.ended = not data
        return bool(data)

    async def next(self) -> Sent:
        """The next event. Raises EOFError at the end."""
        while not self._waiting:
            if not await self.more():
                raise EOFError
        return self._waiting.pop(0)

    async def end(self) -> list[Sent]:
        """All events up to the end of the answer."""
        while await self.more():
            pass
        return self._waiting
