"""From rows of the tables to what the domain knows, and back."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from wsmesh.contract import App
from wsupdates.adapters.models import ApiKeyRow, AppRow, AuditRow, MemberRow
from wsupdates.domain.audit import Entry
from wsupdates.domain.keys import ApiKey
from wsupdates.domain.members import Member

T = TypeVar("T")


def columns(thing: Member | App | ApiKey | Entry) -> dict[str, Any]:
    """The values of a row, by column."""
    found: dict[str, Any] = msgspec.to_builtins(thing)
    return found


def member(row: MemberRow) -> Member:
    """A member from its row."""
    return _from(row, Member)


def app(row: AppRow) -> App:
    """An app from its row."""
    return _from(row, App)


def key(row: ApiKeyRow) -> ApiKey:
    """An API key from its row, without its hash."""
    return _from(row, ApiKey)


def entry(row: AuditRow) -> Entry:
    """An audit entry from its row."""
    return _from(row, Entry)


def _from(row: object, kind: type[T]) -> T:
    return msgspec.convert(row, kind, from_attributes=True)
