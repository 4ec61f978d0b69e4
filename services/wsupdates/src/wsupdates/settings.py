"""The settings of the registry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, SecretStr, model_validator

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
from wsupdates.domain.keys import weakness


def _strong(value: SecretStr | None) -> SecretStr | None:
    if value is not None and (problem := weakness(value.get_secret_value())):
        raise ValueError(problem)
    return value


class RegistrySettings(Settings):
    """Everything the registry is told at its start."""

    host: str = setting("127.0.0.1", about="Address on which nodes, balancers and administrators are served.")
    port: int = port_setting(
        8000,
        about="Port on which nodes, balancers and administrators are served.",
        raising="nothing but another port; WS_UPDATES_URL of every node must name it.",
    )
    db_path: Path = setting(
        Path("wsupdates.sqlite3"), about="SQLite file that holds everything, secrets of apps too; made with mode 0600."
    )
    db_url: SecretStr | None = setting(
        None,
        about="PostgreSQL database used instead of DB_PATH; several registries may share it.",
        expected="a URL like postgresql://user:password@host:5432/database",
    )
    api_key: Annotated[SecretStr | None, AfterValidator(_strong)] = setting(
        None,
        about="The first admin key; valid as long as it is set. Later keys come from `wsupdates keys create`.",
        expected="at least 24 characters, 10 of them different, for example from `openssl rand -base64 32`",
    )
    lease_seconds: float = setting(
        10.0,
        about="Seconds without a heartbeat after which a node counts as lost and leaves the load balancer.",
        expected="seconds from 1 to 600",
        raising="a dead node stays in the load balancer's list longer.",
        lowering="a short stall of a node or of the network takes it out; nodes send more heartbeats.",
        ge=1,
        le=600,
    )
    slots: int = setting(
        64,
        about="Nodes that there is room for: the number of `server` lines in HAProxy's configuration.",
        expected="a number from 1 to 4096",
        raising="HAProxy needs as many lines before the slots can be used.",
        lowering="nodes that have been gone longest lose their slot sooner, or new ones find none.",
        ge=1,
        le=4096,
    )
    tls_cert: Path | None = setting(None, about="Certificate of the registry (PEM); none: plain HTTP.")
    tls_key: Path | None = setting(None, about="Key of TLS_CERT (PEM).")
    allow_plaintext: Annotated[tuple[Literal["registry", "webhooks"], ...], BeforeValidator(words)] = setting(
        (),
        about="What may go to other machines in clear text: `registry` (keys and all), `webhooks` (URLs with http), or "
        "both, separated by a comma.",
        expected="registry, webhooks, or registry,webhooks",
    )
    max_body_bytes: int = setting(
        262_144,
        about="Largest body of a request; beyond, it is answered with 413.",
        expected="a number from 4096 to 16777216",
        raising="a caller can make the registry hold more memory.",
        lowering="apps with many allowed origins no longer fit.",
        ge=4096,
        le=16_777_216,
    )
    requests_per_second: int = setting(
        200,
        about="Requests a second that one key may make, with a burst of five times as many; beyond, 429.",
        expected="a number from 1 to 100000",
        raising="one caller can take more of the registry's time.",
        lowering="a key that all nodes share must still allow their heartbeats, three in LEASE_SECONDS each.",
        ge=1,
        le=100_000,
    )
    log_level: LogLevel = log_level_setting()
    log_format: LogFormat = log_format_setting()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            missing, there = ("TLS_CERT", "TLS_KEY") if self.tls_cert is None else ("TLS_KEY", "TLS_CERT")
            raise ValueError(f"{missing}: not set, expected a file, since {there} is set")
        if self.db_url is not None and not self.db_url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError(
                "DB_URL: found a value that is not shown, expected postgresql://user:password@host/database"
            )
        return self
