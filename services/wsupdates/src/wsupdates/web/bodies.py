"""Read what callers send: JSON of a known shape, and numbers in the query."""

from __future__ import annotations

import re
from typing import Any, TypeVar, get_type_hints

import msgspec

from wsmesh.decoding import UNREADABLE
from wsupdates.domain.refusals import Refusal

T = TypeVar("T")

MAX_TEXT = 255
"""Characters of a part of the path or query; ids are shorter, and the tables hold as much."""

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_NAMED = re.compile(r"field `([^`]+)`")


def decode(body: bytes, kind: type[T]) -> T:
    """The body as `kind`. Raises Refusal: 400 `not_json`, or 422 `schema` with the field."""
    return convert(parse(body), kind)


def parse(body: bytes) -> Any:
    """The body as plain values. Raises Refusal 400 `not_json`, or 422 for text that PostgreSQL cannot hold."""
    if b"\\u0000" in body:
        raise Refusal(422, "schema", "text may not hold the character U+0000")
    try:
        return msgspec.json.decode(body)
    except RecursionError:
        raise Refusal(400, "not_json", "the body must be JSON: it is nested too deeply") from None
    except UNREADABLE as problem:
        raise Refusal(400, "not_json", f"the body must be JSON: {problem}") from None


def convert(value: Any, kind: type[T]) -> T:
    """Plain values as `kind`. Raises Refusal 422 `schema`."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as problem:
        raise schema(problem) from None


def schema(problem: msgspec.ValidationError) -> Refusal:
    """The refusal for a value of the wrong shape, with the path of the field that is wrong."""
    text = str(problem)
    place = _PLACE.search(text)
    path = place.group(1) if place else ""
    named = _NAMED.search(text)
    if named:
        path = f"{path}.{named.group(1)}".lstrip(".")
    return Refusal(422, "schema", _PLACE.sub("", text), path or None)


def refuse_unknown(value: Any, kind: type[msgspec.Struct], path: str = "") -> None:
    """Raise Refusal when an object names a field that `kind`, or a struct in it, does not have: likely a slip."""
    if not isinstance(value, dict):
        return
    hints = get_type_hints(kind)
    for name, inner in value.items():
        if name not in hints:
            known = ", ".join(hints)
            raise Refusal(422, "schema", f"there is no field {name!r} here; there are {known}", f"{path}{name}")
        if isinstance(hints[name], type) and issubclass(hints[name], msgspec.Struct):
            refuse_unknown(inner, hints[name], f"{path}{name}.")


def plain(text: str, name: str) -> str:
    """A part of the path or query that the database can look for. Raises Refusal 422 `schema`."""
    if "\x00" in text or len(text) > MAX_TEXT:
        raise Refusal(422, "schema", f"{name} must have at most {MAX_TEXT} characters, and none that is U+0000", name)
    return text


def number(text: str | None, name: str, default: int, least: int, most: int) -> int:
    """A whole number of the query. Raises Refusal 422 `schema`."""
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,19}", text) or not least <= int(text) <= most:
        raise Refusal(422, "schema", f"{name} must be a whole number from {least} to {most}", name)
    return int(text)
