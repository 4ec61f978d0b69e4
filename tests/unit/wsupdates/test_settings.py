from __future__ import annotations

import pytest

from wsmesh.settings import SettingsError
from wsupdates.settings import RegistrySettings

STRONG = "0123456789abcdefghijklmn"


@pytest.mark.parametrize(
    ("environ", "line"),
    [
        (
            {"API_KEY": "admin"},
            "API_KEY: found a value that is not shown, expected at least 24 characters, 10 of them different, "
            "for example from `openssl rand -base64 32`",
        ),
        (
            {"API_KEY": "a" * 40},
            "API_KEY: found a value that is not shown, expected at least 24 characters, 10 of them different, "
            "for example from `openssl rand -base64 32`",
        ),
        ({"PORT": "0"}, "PORT: found '0', expected a port from 1 to 65535"),
        ({"LEASE_SECONDS": "soon"}, "LEASE_SECONDS: found 'soon', expected seconds from 1 to 600"),
        ({"SLOTS": "0"}, "SLOTS: found '0', expected a number from 1 to 4096"),
        ({"TLS_CERT": "/x"}, "TLS_KEY: not set, expected a file, since TLS_CERT is set"),
        (
            {"ALLOW_PLAINTEXT": "client"},
            "ALLOW_PLAINTEXT: found 'client', expected registry, webhooks, or registry,webhooks",
        ),
        (
            {"DB_URL": "mysql://user:geheim@host/db"},
            "DB_URL: found a value that is not shown, expected postgresql://user:password@host/database",
        ),
        ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: found 'loud', expected debug, info, warning or error"),
    ],
)
def test_wrong_settings(environ: dict[str, str], line: str) -> None:
    """A wrong setting is one line with its name, what was found and what is expected; a secret is not shown."""
    with pytest.raises(SettingsError) as wrong:
        RegistrySettings.load(environ)
    assert str(wrong.value) == line


def test_right_settings() -> None:
    """Nothing need be set, and secrets are masked when shown."""
    RegistrySettings.load({})
    shown = dict(RegistrySettings.load({"API_KEY": STRONG, "DB_URL": "postgresql://u:geheim@h/d"}).effective())
    assert (shown["API_KEY"], shown["DB_URL"]) == ("********", "********")


def test_numbers_say_what_a_change_costs() -> None:
    """Every setting says what it is, and every number what raising and lowering it costs."""
    for name, field in RegistrySettings.model_fields.items():
        assert field.description, name
        if field.annotation in (int, float):
            extra = field.json_schema_extra
            assert isinstance(extra, dict)
            assert extra["raising"] and extra["lowering"], name
