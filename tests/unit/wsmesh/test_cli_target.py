"""Which cluster a command speaks to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from wsmesh.cli.errors import CliError, Code
from wsmesh.cli.target import AppAccess, Target, choose

FILE: dict[str, Any] = {
    "url": "https://127.0.0.1:8443",
    "ca": "/demo/ca.pem",
    "registry_url": "http://127.0.0.1:8000",
    "admin_key": "admin",
    "app": {"id": "1", "key": "k", "secret": "s", "publish_key": "p"},
    "nodes": [
        {"id": "n1", "location": "a", "client_url": "http://127.0.0.1:1", "mesh_url": "http://127.0.0.1:2", "pid": 3}
    ],
    "haproxy": {"pid": 4, "stats_socket": "/demo/haproxy.sock"},
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder in which the demo runs."""
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo" / "cluster.json").write_text(json.dumps(FILE))
    return tmp_path


def usage(raised: pytest.ExceptionInfo[CliError]) -> str:
    """The text of an error of usage."""
    assert raised.value.code == Code.USAGE
    return str(raised.value)


def test_the_demo_is_used_when_nothing_is_given(here: Path) -> None:
    """With no option and no variable, the demo of this folder is meant, and that is said."""
    target, note = choose(Target(), None, here)
    assert note == "using .demo/cluster.json, the demo's cluster"
    assert (target.url, target.ca) == ("https://127.0.0.1:8443", Path("/demo/ca.pem"))
    assert (target.registry_url, target.registry_key) == ("http://127.0.0.1:8000", "admin")


@pytest.mark.parametrize(
    "given", [Target(url="https://push.example"), Target(registry_key="other"), Target(ca=Path("x"))]
)
def test_the_demo_is_not_used_beside_anything_given(here: Path, given: Target) -> None:
    """Whoever names a cluster, or a key, does not reach the demo by accident."""
    assert choose(given, None, here) == (given, None)


def test_without_a_demo_nothing_is_filled_in(tmp_path: Path) -> None:
    """Where no demo runs, nothing is known."""
    assert choose(Target(), None, tmp_path) == (Target(), None)


def test_a_named_file_is_completed_by_what_is_given(here: Path) -> None:
    """What is given wins over the named file."""
    target, note = choose(Target(url="http://other:1"), here / ".demo" / "cluster.json", Path("/"))
    assert note is None
    assert (target.url, target.registry_key) == ("http://other:1", "admin")


def test_a_file_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    """A file that cannot be used is an error with the reason."""
    file = tmp_path / "cluster.json"
    with pytest.raises(CliError) as caught:
        choose(Target(), file, tmp_path)
    assert usage(caught) == f"--cluster: cannot read {file}: No such file or directory; is `make demo` running?"
    file.write_text('{"url": 7}')
    with pytest.raises(CliError) as caught:
        choose(Target(), file, tmp_path)
    assert usage(caught).startswith(f"--cluster: {file} is not the file that `make demo` writes: ")


def test_what_is_missing_is_named() -> None:
    """Each missing setting is named with what is expected."""
    for target, text in (
        (Target(), "WS_UPDATES_URL: not set, expected the registry's URL; or give --cluster FILE"),
        (Target(registry_url="http://a"), "WS_UPDATES_KEY: not set, expected an API key of role admin"),
    ):
        with pytest.raises(CliError) as caught:
            target.registry()
        assert usage(caught) == text
    with pytest.raises(CliError) as caught:
        Target().cluster_url()
    assert usage(caught) == "WSMESH_URL: not set, expected https://host; or give --cluster FILE"
    with pytest.raises(CliError) as caught:
        Target().app_id(None)
    assert usage(caught) == "--app: not given, expected the id of an app; wsmesh apps list shows them"


@pytest.mark.parametrize(
    "url", ["push.example", "ftp://a", "https://", "https://a:b", "https://a:99999", "https://[::1"]
)
def test_what_is_no_url_is_named(url: str) -> None:
    """A URL that is none is an error, for the cluster and for each instance of the registry."""
    with pytest.raises(CliError) as caught:
        Target(url=url).cluster_url()
    assert usage(caught) == f"WSMESH_URL: found {url!r}, expected a URL like https://push.example:443"
    with pytest.raises(CliError) as caught:
        Target(registry_url=f"https://good.example,{url}", registry_key="k").registry()
    assert usage(caught) == f"WS_UPDATES_URL: found {url!r}, expected a URL like https://push.example:443"


def test_an_authority_that_is_missing_is_named(tmp_path: Path) -> None:
    """A CA file that cannot be read is an error of usage."""
    with pytest.raises(CliError) as caught:
        Target(ca=tmp_path / "none.pem").cluster_tls()
    assert usage(caught).startswith(f"TLS authority {tmp_path / 'none.pem'}: ")


def test_the_demos_app_is_known(here: Path) -> None:
    """The demo's app needs no options; what is given wins."""
    target, _ = choose(Target(), None, here)
    assert target.app_id(None) == "1"
    assert target.app(AppAccess()) == AppAccess(id="1", key="k", secret="s", publish_key="p")
    assert target.app(AppAccess(id="1", secret="t")).secret == "t"


def test_keys_of_the_demos_app_are_not_used_for_another(here: Path) -> None:
    """The keys of one app are never sent for another."""
    target, _ = choose(Target(), None, here)
    given = AppAccess(id="2", key="other")
    assert target.app(given) == given
