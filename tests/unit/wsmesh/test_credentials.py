"""Secrets from files: which of the ways wins, and what each wrong one is answered with."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from wsmesh.settings import Settings, SettingsError, setting


class Example(Settings):
    """A secret and another setting."""

    cluster_key: SecretStr = setting(about="A secret.", expected="at least 8 characters", min_length=8)
    name: str = setting("x", about="No secret.")


def loaded(environ: dict[str, str], env_file: Path | None = None) -> str:
    return Example.load(environ, env_file).cluster_key.get_secret_value()


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "cluster_key").write_text("from-a-file\n")
    return tmp_path / "cluster_key"


def test_a_file_that_is_named(secret: Path) -> None:
    """NAME_FILE names a file that holds the secret; a line end in it does not count."""
    assert loaded({"CLUSTER_KEY_FILE": str(secret)}) == "from-a-file"


def test_a_credential_of_systemd(secret: Path) -> None:
    """A file of the setting's name in $CREDENTIALS_DIRECTORY is taken without being named."""
    assert loaded({"CREDENTIALS_DIRECTORY": str(secret.parent)}) == "from-a-file"


def test_a_file_named_in_the_env_file(secret: Path, tmp_path: Path) -> None:
    """The env file may say NAME_FILE too."""
    env_file = tmp_path / "x.env"
    env_file.write_text(f"CLUSTER_KEY_FILE={secret}\n")
    assert loaded({}, env_file) == "from-a-file"


def test_the_nearest_way_wins(secret: Path, tmp_path: Path) -> None:
    """The variable wins over the named file, the named file over the credential."""
    other = tmp_path / "other"
    other.write_text("from-another-file")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path), "CLUSTER_KEY_FILE": str(other)}
    assert loaded(environ) == "from-another-file"
    assert loaded({**environ, "CLUSTER_KEY": "from-the-variable"}) == "from-the-variable"


def test_an_empty_directory_of_credentials(tmp_path: Path) -> None:
    """A directory without the credential is as good as none."""
    with pytest.raises(SettingsError, match=r"^CLUSTER_KEY: not set, expected at least 8 characters$"):
        loaded({"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named, with the reason."""
    missing = tmp_path / "missing"
    with pytest.raises(SettingsError, match=rf"^CLUSTER_KEY_FILE: found {missing}, .* \(No such file or directory\)"):
        loaded({"CLUSTER_KEY_FILE": str(missing)})


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff\xfe"])
def test_a_file_without_a_secret(secret: Path, content: bytes) -> None:
    """An empty file, and one that is not text, are refused by name."""
    secret.write_bytes(content)
    with pytest.raises(SettingsError, match=r"^CLUSTER_KEY of \$CREDENTIALS_DIRECTORY: found "):
        loaded({"CREDENTIALS_DIRECTORY": str(secret.parent)})


def test_a_weak_secret_from_a_file_is_not_shown(secret: Path) -> None:
    """What the file holds is checked like any value, and not repeated."""
    secret.write_text("short")
    with pytest.raises(SettingsError) as caught:
        loaded({"CLUSTER_KEY_FILE": str(secret)})
    assert str(caught.value) == "CLUSTER_KEY: found a value that is not shown, expected at least 8 characters"


def test_only_secrets_have_files() -> None:
    """NAME_FILE of a setting that is no secret is not a setting."""
    assert Example.accepted() == ["CLUSTER_KEY", "NAME", "CLUSTER_KEY_FILE"]
