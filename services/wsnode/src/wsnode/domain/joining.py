"""Whether a client may subscribe to a channel, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wsmesh import channels, signature
from wsmesh.contract import App
from wsnode.domain.hub import Hub
from wsnode.domain.member import Member, WrongMember, check_member, member_of

if TYPE_CHECKING:
    from wsnode.domain.session import Session


class NotAdmitted(Exception):
    """The client may not subscribe: type, text and status of the subscription error."""

    def __init__(self, kind: str, message: str, status: int) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


def admit_to(hub: Hub, app: App, session: Session, name: str, data: dict[str, Any]) -> Member | None:
    """Check a subscribe; who the client is then in a presence channel. Raises NotAdmitted."""
    wrong = channels.problem_with(name)
    if wrong is not None:
        raise NotAdmitted("InvalidChannel", wrong[0].upper() + wrong[1:], 400)
    kind = channels.kind_of(name)
    if name.startswith(channels.SERVER_TO_USER):
        if session.user is None or name != channels.SERVER_TO_USER + session.user:
            raise NotAdmitted("AuthError", "Only the signed-in user itself may subscribe to this channel", 401)
    elif kind.signed:
        _check_signature(app, session, name, data, with_data=kind.presence)
    member = _member(hub, app, session, name, data) if kind.presence else None
    limit = app.limits.max_channels_per_connection
    if limit and len(session.channels) >= limit:
        raise NotAdmitted("LimitReached", f"A connection may subscribe to at most {limit} channels", 403)
    return member


def _check_signature(app: App, session: Session, name: str, data: dict[str, Any], *, with_data: bool) -> None:
    auth, channel_data = data.get("auth"), data.get("channel_data") if with_data else None
    if not isinstance(auth, str) or not auth:
        raise NotAdmitted("AuthError", 'This channel needs "auth": the signature of the application', 401)
    if channel_data is not None and not isinstance(channel_data, str):
        raise NotAdmitted("InvalidMember", '"channel_data" must be a string: the JSON that was signed', 400)
    if not signature.same(auth, signature.channel_auth(app.key, app.secret, session.socket_id, name, channel_data)):
        signed = "socket id, channel and channel_data" if channel_data is not None else "socket id and channel"
        raise NotAdmitted("AuthError", f'The signature in "auth" is wrong for this {signed}', 401)


def _member(hub: Hub, app: App, session: Session, name: str, data: dict[str, Any]) -> Member:
    """Who the application says that the client is, with this subscribe or else when it signed in."""
    channel_data = data.get("channel_data")
    rule = hub.directory.rule_for(app, name)
    try:
        if channel_data is not None:
            member = member_of(channel_data)
        elif session.user is not None:
            member = Member(session.user, session.user_info)
        else:
            raise WrongMember('A presence channel needs "channel_data" with a "user_id", or a sign-in before')
        check_member(member, rule.presence_max_user_bytes)
    except WrongMember as problem:
        raise NotAdmitted("InvalidMember", str(problem), 400) from None
    if hub.is_channel_full(app, name, member.user):
        text = f"This channel has {rule.presence_max_members} members already, as many as it may have"
        raise NotAdmitted("LimitReached", text, 403)
    return member
