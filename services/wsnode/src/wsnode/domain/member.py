"""Who a subscriber of a presence channel is, and the subscribers of one here by user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from wsmesh.decoding import UNREADABLE

if TYPE_CHECKING:
    from wsnode.domain.session import Session

MAX_USER_ID = 128
"""Characters of the id of a user in a presence channel."""

NO_INFO = "{}"
"""The user info of who gives none."""


class Member(NamedTuple):
    """A user and what others are told of it, as JSON text."""

    user: str
    info: str = NO_INFO


class WrongMember(ValueError):
    """A `channel_data` that does not say who the subscriber is. The text says what is wrong."""


class _ChannelData(Struct):
    user_id: Any = None
    user_info: Raw = Raw(NO_INFO.encode())


class _UserData(Struct):
    user_info: Raw = Raw(NO_INFO.encode())


_anything = msgspec.json.Decoder().decode
_channel_data = msgspec.json.Decoder(_ChannelData).decode
_user_data = msgspec.json.Decoder(_UserData).decode


def member_of(channel_data: str) -> Member:
    """Read a `channel_data`: `{"user_id": …, "user_info": …}`. A number as id becomes text. Raises WrongMember."""
    try:
        _anything(channel_data)  # all of it: what is passed on as text must be good for those who get it
    except UNREADABLE:
        raise WrongMember('"channel_data" is not valid JSON') from None
    try:
        data = _channel_data(channel_data)
    except msgspec.ValidationError:
        raise WrongMember('"channel_data" must be a JSON object with a "user_id"') from None
    user = str(data.user_id) if type(data.user_id) is int else data.user_id
    if not isinstance(user, str) or not user:
        raise WrongMember('"channel_data" needs a "user_id": a string or a whole number')
    return Member(user, bytes(data.user_info).decode())


def info_in(user_data: str) -> str:
    """The `user_info` in the data of a sign-in that has been read already."""
    return bytes(_user_data(user_data).user_info).decode()


def check_member(member: Member, max_info_bytes: int) -> None:
    """Raise WrongMember when a user's id or info is too large."""
    if len(member.user) > MAX_USER_ID:
        raise WrongMember(f'The "user_id" has {len(member.user)} characters, at most {MAX_USER_ID} are allowed')
    size = len(member.info.encode())
    if size > max_info_bytes:
        raise WrongMember(f'The "user_info" has {size} bytes, at most {max_info_bytes} are allowed on this channel')


class Members:
    """The subscribers of a presence channel here."""

    __slots__ = ("_by_user", "_users")

    def __init__(self) -> None:
        self._users: dict[Session, str] = {}
        self._by_user: dict[str, set[Session]] = {}

    @property
    def users(self) -> list[str]:
        """Each user once."""
        return list(self._by_user)

    def of(self, user: str) -> set[Session]:
        """The user's subscribers."""
        return self._by_user.get(user, set())

    def add(self, session: Session, user: str) -> bool:
        """Take a subscriber; whether it is the first of its user."""
        self._users[session] = user
        there = self._by_user.setdefault(user, set())
        there.add(session)
        return len(there) == 1

    def remove(self, session: Session) -> str | None:
        """Forget a subscriber; its user, if that was the last one."""
        user = self._users.pop(session)
        there = self._by_user[user]
        there.remove(session)
        if there:
            return None
        del self._by_user[user]
        return user
