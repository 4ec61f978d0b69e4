"""Settings: how they are read, and what each wrong one is answered with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

import pytest
from pydantic import BeforeValidator, SecretStr, model_validator

from wsmesh.settings import Settings, SettingsError, default_text, explain, setting


class Example(Settings):
    """Settings with one of each kind."""

    node_id: str = setting(about="Its name.", expected="a name", pattern=r"^[a-z0-9]+$")
    port: int = setting(7000, about="Its port.", expected="a port from 1 to 65535", ge=1, le=65535)
    share: float = setting(0.5, about="Its share.", le=1)
    level: Literal["info", "debug"] = setting("info", about="How much it logs.")
    folder: Path | None = setting(None, about="Where it writes.")
    words: Annotated[
        tuple[str, ...], BeforeValidator(lambda value: tuple(value.split(",")) if isinstance(value, str) else value)
    ] = setting((), about="Some words.")
    api_key: SecretStr | None = setting(None, about="Its key.", expected="at least 8 characters", min_length=8)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.port == 1 and self.level == "debug":
            raise ValueError("PORT: found 1, expected another with LEVEL=debug")
        return self


def line(environ: dict[str, str], env_file: Path | None = None) -> str:
    """The error line of a load that fails."""
    with pytest.raises(SettingsError) as caught:
        Example.load(environ, env_file)
    return str(caught.value)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / "example.env"


def test_defaults_and_environment() -> None:
    """What the environment does not say has its default."""
    found = Example.load({"NODE_ID": "n1", "PORT": "8000", "WORDS": "a,b", "HOME": "/root"})
    assert (found.node_id, found.port, found.share, found.folder, found.words) == ("n1", 8000, 0.5, None, ("a", "b"))


def test_an_empty_value_is_not_set() -> None:
    """An empty variable is as good as none."""
    assert Example.load({"NODE_ID": "n1", "PORT": "", "API_KEY": ""}).port == 7000


def test_names_are_upper_case_and_in_order() -> None:
    """A field is read from its name in capitals, and from no other form."""
    assert Example.names() == ["NODE_ID", "PORT", "SHARE", "LEVEL", "FOLDER", "WORDS", "API_KEY"]
    assert line({"node_id": "n1"}) == "NODE_ID: not set, expected a name"


def test_settings_cannot_be_changed() -> None:
    """Settings stay as they were loaded."""
    found = Example.load({"NODE_ID": "n1"})
    with pytest.raises(ValueError, match="frozen"):
        found.port = 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "NODE_ID: not set, expected a name"),
        ({"NODE_ID": ""}, "NODE_ID: not set, expected a name"),
        ({"NODE_ID": "N 1"}, "NODE_ID: found 'N 1', expected a name"),
        ({"NODE_ID": "n1", "PORT": "0"}, "PORT: found '0', expected a port from 1 to 65535"),
        ({"NODE_ID": "n1", "PORT": "http"}, "PORT: found 'http', expected a port from 1 to 65535"),
        ({"NODE_ID": "n1", "PORT": "70\n00"}, "PORT: found '70\\n00', expected a port from 1 to 65535"),
        ({"NODE_ID": "n1", "SHARE": "2"}, "SHARE: found '2', expected less than or equal to 1"),
        ({"NODE_ID": "n1", "LEVEL": "all"}, "LEVEL: found 'all', expected 'info' or 'debug'"),
        (
            {"NODE_ID": "n1", "API_KEY": "hunter2"},
            "API_KEY: found a value that is not shown, expected at least 8 characters",
        ),
        ({"NODE_ID": "n1", "PORT": "1", "LEVEL": "debug"}, "PORT: found 1, expected another with LEVEL=debug"),
    ],
)
def test_a_wrong_setting_is_one_line(environ: dict[str, str], expected: str) -> None:
    """The line names the setting, what was found and what is expected, and never a secret."""
    assert line(environ) == expected


def test_the_file_is_read_and_the_environment_wins(env_file: Path) -> None:
    """Comments, quotes and `export` are understood; a variable of the environment overrides the file's."""
    env_file.write_text("# a comment\nexport NODE_ID='n2'\n\nPORT=8001 # why\nLEVEL=\"debug\"\nSHARE=\n")
    found = Example.load({"PORT": "9000"}, env_file)
    assert (found.node_id, found.port, found.level, found.share) == ("n2", 9000, "debug", 0.5)


def test_a_secret_in_the_file_is_taken_as_it_is(env_file: Path) -> None:
    """Nothing in the file is replaced by other variables."""
    env_file.write_text("NODE_ID=n1\nAPI_KEY=abc${HOME}$x_yz\n")
    found = Example.load({}, env_file)
    assert found.api_key is not None
    assert found.api_key.get_secret_value() == "abc${HOME}$x_yz"


def test_an_unknown_name_in_the_file_is_refused(env_file: Path) -> None:
    """A name that is no setting is an error, with the one that was probably meant."""
    env_file.write_text("NODE_ID=n1\nPORTS=1\n")
    assert line({}, env_file) == f"PORTS: found in {env_file}, but there is no such setting; did you mean PORT?"
    env_file.write_text("COLOUR=red\n")
    assert line({}, env_file) == (
        f"COLOUR: found in {env_file}, but there is no such setting; see --help for the settings there are"
    )


@pytest.mark.parametrize("text", ["NODE_ID\n", "NODE ID=n1\n", "NODE_ID='n1\n", "=n1\n"])
def test_a_line_that_is_none_is_refused(env_file: Path, text: str) -> None:
    """A line that is not NAME=value is an error with its number, not a setting that is silently missing."""
    env_file.write_text(f"PORT=8000\n{text}")
    assert line({"NODE_ID": "n1"}, env_file) == f"env file {env_file}: line 2 is not NAME=value"


def test_a_missing_file_is_refused(env_file: Path) -> None:
    """A file that was named must exist."""
    assert line({"NODE_ID": "n1"}, env_file) == (
        f"env file {env_file}: no such file; name an existing one with --env-file"
    )


def test_an_unreadable_file_is_refused(env_file: Path, tmp_path: Path) -> None:
    """A folder, or what is no text, is refused with the reason."""
    assert line({}, tmp_path).startswith(f"env file {tmp_path}: cannot be read: ")
    env_file.write_bytes(b"NODE_ID=\xff\n")
    assert line({}, env_file).startswith(f"env file {env_file}: cannot be read: ")


def test_secrets_are_masked() -> None:
    """What is in force can be shown without the secrets."""
    shown = Example.load({"NODE_ID": "n1", "API_KEY": "correct horse", "WORDS": "a,b"}).effective()
    assert dict(shown) == {
        "NODE_ID": "n1",
        "PORT": "7000",
        "SHARE": "0.5",
        "LEVEL": "info",
        "FOLDER": "",
        "WORDS": "a,b",
        "API_KEY": "********",
    }


def test_help_explains_every_setting() -> None:
    """The text for --help has each name, its default and what it is."""
    text = explain(Example)
    assert "  NODE_ID (required)\n      Its name." in text
    assert "  PORT (default 7000)\n      Its port." in text
    assert "  WORDS (default none)\n      Some words." in text


@pytest.mark.parametrize(("value", "text"), [(None, "none"), ((), "none"), ("", "none"), (("a", "b"), "a,b"), (0, "0")])
def test_default_text(value: object, text: str) -> None:
    """A default is shown as the operator would write it."""
    assert default_text(value) == text
