"""The settings of a node."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, SecretStr, model_validator

from wsmesh.settings import (
    LogFormat,
    LogLevel,
    Settings,
    log_format_setting,
    log_level_setting,
    port_setting,
    setting,
    words,
)

NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
NAME_TEXT = "1 to 64 letters, digits, dots, dashes or underscores"
ADDRESS = r"^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$"


class NodeSettings(Settings):
    """Everything a node is told at its start."""

    node_id: str = setting(
        about="Name of this node, unique in the cluster and the same after every restart.",
        expected=f"{NAME_TEXT}, unique in the cluster",
        pattern=NAME,
    )
    location: str = setting(
        "default",
        about="Site or network of this node; HAProxy prefers nodes of its own.",
        expected=NAME_TEXT,
        pattern=NAME,
    )
    host: str = setting("127.0.0.1", about="Address on which clients and publishers are served.")
    port: int = port_setting(
        7000,
        about="Port on which clients and publishers are served.",
        raising="nothing but another port; HAProxy learns it from the registry.",
    )
    client_address: str | None = setting(
        None,
        about="`host:port` at which HAProxy reaches the client port; none: HOST and PORT.",
        expected="host:port",
        pattern=ADDRESS,
    )
    tls_cert: Path | None = setting(None, about="Certificate of the client port (PEM); none: plain HTTP.")
    tls_key: Path | None = setting(None, about="Key of TLS_CERT (PEM).")
    mesh_host: str = setting("127.0.0.1", about="Address on which other nodes are served.")
    mesh_port: int = port_setting(
        7100,
        about="Port on which other nodes are served.",
        raising="nothing but another port; peers learn it from the registry.",
    )
    mesh_address: str | None = setting(
        None,
        about="URL at which other nodes reach the mesh port; none: made of MESH_HOST and MESH_PORT.",
        expected="http://host:port or https://host:port",
        pattern=r"^https?://[^/\s]+$",
    )
    mesh_tls_cert: Path | None = setting(None, about="Certificate shown to other nodes, in both directions (PEM).")
    mesh_tls_key: Path | None = setting(None, about="Key of MESH_TLS_CERT (PEM).")
    mesh_tls_ca: Path | None = setting(None, about="Authority that the certificates of all nodes come from (PEM).")
    allow_plaintext: Annotated[tuple[Literal["client", "mesh"], ...], BeforeValidator(words)] = setting(
        (),
        about="Listeners that may serve other machines in clear text: `client`, `mesh` or both, separated by a comma.",
        expected="client, mesh, or client,mesh",
    )
    cluster_key: SecretStr = setting(
        about="Secret that all nodes of the cluster share; every mesh request carries it.",
        expected="the same secret of at least 24 characters on every node",
        min_length=24,
    )
    ws_updates_url: str = setting(
        about="URL of the registry, or several separated by a comma.",
        expected="a URL like https://registry.example:8000",
        pattern=r"^https?://[^/\s,]+(,https?://[^/\s,]+)*$",
    )
    ws_updates_key: SecretStr = setting(
        about="API key of role node, made by `wsupdates keys create --role node`.",
        expected="a key made by `wsupdates keys create --role node`",
        min_length=24,
    )
    ws_updates_ca: Path | None = setting(
        None, about="Authority of the registry's certificate (PEM); none: the system's."
    )
    state_dir: Path = setting(
        Path("/var/lib/wsnode"),
        about="Folder for the last configuration and the id of the last run, one a node; holds secrets, mode 0700.",
    )
    weight: int = setting(
        100,
        about="Share of new clients that HAProxy gives this node, beside the others' weights.",
        expected="a number from 0 to 256",
        raising="more new clients come here than to others.",
        lowering="fewer come; 0 takes none.",
        ge=0,
        le=256,
    )
    acks: int | Literal["all"] = setting(
        1,
        about="How many other nodes must hold a message before a publish is answered, when the request does not say; "
        "`all`: every node that is up. Never more than there are.",
        expected="0, 1, 2 … or all",
        raising="publishes wait for more nodes, and for the slowest of them; more nodes may die without a loss.",
        lowering="publishes are answered sooner; at 0 a node's death loses what it had not yet passed on.",
    )
    ack_timeout: float = setting(
        2.0,
        about="Seconds a publish waits for ACKS before it is answered with 503 `insufficient_acks`.",
        expected="seconds from 0.05 to 30",
        raising="publishers wait longer while a peer is slow.",
        lowering="short hiccups of a peer already turn into errors that the publisher must retry.",
        ge=0.05,
        le=30,
    )
    max_connections: int = setting(
        20_000,
        about="Clients that this node takes; one more is closed with 4100.",
        expected="a number from 1 to 1000000",
        raising="more memory and open files (LimitNOFILE) are needed.",
        lowering="more nodes are needed for the same clients.",
        ge=1,
        le=1_000_000,
    )
    max_unsent_bytes: int = setting(
        1_048_576,
        about="Bytes that may wait for one client that does not read; beyond, it is closed with 4200 and reconnects.",
        expected="a number from 16384 to 1073741824",
        raising="slow clients are kept longer, and each may hold this much memory.",
        lowering="clients with a short stall are cut and must reconnect.",
        ge=16_384,
        le=1_073_741_824,
    )
    max_frame_bytes: int = setting(
        65_536,
        about="Largest message that a client may send; beyond, it is closed with 1009.",
        expected="a number from 1024 to 1048576",
        raising="a client can make the node hold more memory.",
        lowering="subscribes to presence channels with large user objects no longer fit.",
        ge=1024,
        le=1_048_576,
    )
    client_messages_per_second: int = setting(
        100,
        about="Messages a second that one client may send, with a burst of five times as many; beyond, it is closed "
        "with 4100.",
        expected="a number from 1 to 100000",
        raising="one client can take more of the node's time.",
        lowering="clients that subscribe to many channels at once are cut.",
        ge=1,
        le=100_000,
    )
    activity_timeout: int = setting(
        30,
        about="Seconds of silence after which a client (told so when it connects) and the node ping each other.",
        expected="seconds from 5 to 600",
        raising="dead clients are noticed later; must stay under a third of HAProxy's `timeout tunnel`.",
        lowering="more pings.",
        ge=5,
        le=600,
    )
    pong_timeout: int = setting(
        15,
        about="Seconds that a client has to answer a ping before it is closed with 4201.",
        expected="seconds from 1 to 120",
        raising="dead clients are noticed later.",
        lowering="clients on bad networks are cut.",
        ge=1,
        le=120,
    )
    sse_heartbeat: int = setting(
        15,
        about="Seconds after which a client of server-sent events gets a comment, so that nothing between takes the "
        "stream for dead.",
        expected="seconds from 1 to 25",
        raising="dead clients are noticed later; must stay under HAProxy's `timeout server`, 30 s.",
        lowering="more comments.",
        ge=1,
        le=25,
    )
    sse_signature_seconds: int = setting(
        3_600,
        about="Age up to which the signed URL of an event stream with private channels is taken.",
        expected="seconds from 10 to 604800",
        raising="a URL that falls into other hands can be used for longer.",
        lowering="clients that reconnect later than this must fetch a new URL from the application first.",
        ge=10,
        le=604_800,
    )
    stream_log_seconds: int = setting(
        300,
        about="Age up to which messages are kept for peers that were away.",
        expected="seconds from 10 to 86400",
        raising="more memory; peers may be away longer without a gap.",
        lowering="a peer that was away longer than this has a gap.",
        ge=10,
        le=86_400,
    )
    stream_log_bytes: int = setting(
        67_108_864,
        about="Bytes of messages of all streams, own and others', that are kept for peers that were away.",
        expected="a number from 1048576 to 17179869184",
        raising="more memory; peers may miss more without a gap.",
        lowering="under load, messages leave the log before STREAM_LOG_SECONDS.",
        ge=1_048_576,
        le=17_179_869_184,
    )
    history_bytes: int = setting(
        134_217_728,
        about="Bytes of events that are kept for clients that resume, over all channels; none is kept longer than "
        "STREAM_LOG_SECONDS, nor than its channel's rule says. A rule's history_bytes bounds one channel.",
        expected="a number from 1048576 to 17179869184",
        raising="more memory.",
        lowering="under load, events leave the history early, and clients that missed them are told that they did.",
        ge=1_048_576,
        le=17_179_869_184,
    )
    push_batch_bytes: int = setting(
        262_144,
        about="Bytes of messages that one push to a peer carries at most (one message always fits).",
        expected="a number from 4096 to 8388608",
        raising="fewer requests while catching up, each of which blocks the receiver longer.",
        lowering="more requests for the same messages.",
        ge=4096,
        le=8_388_608,
    )
    push_timeout: float = setting(
        3.0,
        about="Seconds that a peer has to answer a push.",
        expected="seconds from 0.1 to 60",
        raising="a frozen peer is noticed later.",
        lowering="a busy peer or a long round trip is taken for a failure.",
        ge=0.1,
        le=60,
    )
    peer_heartbeat: float = setting(
        1.0,
        about="Seconds of silence after which a peer gets an empty push.",
        expected="seconds from 0.1 to 60",
        raising="failures are noticed later.",
        lowering="more requests: every node sends one to every other.",
        ge=0.1,
        le=60,
    )
    peer_down: float = setting(
        5.0,
        about="Seconds without an answer after which a suspect peer counts as down.",
        expected="seconds from 0.5 to 300",
        raising="counts and lists include a dead node's clients longer; publishes wait for its acknowledgement longer.",
        lowering="a short stall already counts as down.",
        ge=0.5,
        le=300,
    )
    webhook_delay: float = setting(
        3.0,
        about="Seconds that a channel must stay empty, or a member away, before webhooks are told so.",
        expected="seconds from 0 to 60",
        raising="channel_vacated and member_removed come later.",
        lowering="clients that reconnect make webhooks busy.",
        ge=0,
        le=60,
    )
    webhook_timeout: float = setting(
        5.0,
        about="Seconds that a webhook's receiver has to answer before the request counts as failed.",
        expected="seconds from 0.1 to 60",
        raising="a receiver that hangs is noticed later; others are not held up.",
        lowering="a slow receiver is told again what it had taken.",
        ge=0.1,
        le=60,
    )
    webhook_retry_seconds: float = setting(
        300.0,
        about="Seconds for which an event is told again to a webhook that fails, before it is given up.",
        expected="seconds from 1 to 300",
        raising="events of receivers that fail are kept longer; Pusher's libraries take none older than 300 s.",
        lowering="a receiver that was away for longer misses events.",
        ge=1,
        le=300,
    )
    webhook_queue: int = setting(
        10_000,
        about="Events that may wait for one webhook; while there are as many, what comes and goes is not told to it.",
        expected="a number from 100 to 1000000",
        raising="each webhook that fails may hold more memory, about 200 bytes an event.",
        lowering="a receiver that was slow or away misses what came and went meanwhile.",
        ge=100,
        le=1_000_000,
    )
    webhook_ca: Path | None = setting(None, about="Authority of the receivers' certificates (PEM); none: the system's.")
    webhook_allow: Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(words)] = setting(
        (),
        about="Networks that webhooks may go to although they are link-local, multicast, reserved, for metadata, or "
        "loopback by another name; separated by a comma.",
        expected="networks like 169.254.10.0/24,fe80::/64",
    )
    isolation_grace: float = setting(
        10.0,
        about="Seconds for which a node that reaches neither its peers nor the registry keeps its clients; then it "
        "moves them on, over DRAIN_SECONDS. It is not ready, and gets no new ones, from the start.",
        expected="seconds from 0 to 3600",
        raising="clients stay longer with a node that hears nothing new; they get it when the node is back.",
        lowering="a short interruption of the network makes the node's clients reconnect.",
        ge=0,
        le=3600,
    )
    drain_seconds: float = setting(
        10.0,
        about="Seconds over which a stopping node spreads the closing of its clients; in the first quarter, at most "
        "1.5 s, it closes none, so that HAProxy notices first.",
        expected="seconds from 0 to 3600",
        raising="a stop takes longer, and the other nodes get the clients more gently.",
        lowering="all clients reconnect at once.",
        ge=0,
        le=3600,
    )
    log_level: LogLevel = log_level_setting()
    log_format: LogFormat = log_format_setting()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for cert, key in (("tls_cert", "tls_key"), ("mesh_tls_cert", "mesh_tls_key"), ("mesh_tls_cert", "mesh_tls_ca")):
            if (getattr(self, cert) is None) != (getattr(self, key) is None):
                missing, there = (cert, key) if getattr(self, cert) is None else (key, cert)
                raise ValueError(f"{missing.upper()}: not set, expected a file, since {there.upper()} is set")
        if self.host == self.mesh_host and self.port == self.mesh_port:
            raise ValueError(f"MESH_PORT: found {self.mesh_port}, expected another port than PORT")
        if isinstance(self.acks, int) and self.acks < 0:
            raise ValueError(f"ACKS: found {self.acks}, expected 0, 1, 2 … or all")
        return self

    @property
    def advertised_client_address(self) -> str:
        """`host:port` for HAProxy."""
        return self.client_address or f"{_bracketed(self.host)}:{self.port}"

    @property
    def advertised_mesh_address(self) -> str:
        """URL for the peers."""
        scheme = "https" if self.mesh_tls_cert else "http"
        return self.mesh_address or f"{scheme}://{_bracketed(self.mesh_host)}:{self.mesh_port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
