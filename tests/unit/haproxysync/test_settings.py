"""Settings, the record between runs, and the page that explains them."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from haproxysync.domain.decide import REASONS
from haproxysync.domain.record import ERRORS, PREFIX, Record, metrics, record_from_json
from haproxysync.domain.slots import Slot, Slots
from haproxysync.main import CODES, main
from haproxysync.reading import SettingsError
from haproxysync.settings import Settings
from haproxysync.watch import LONGEST_DELAY, backoff

PAGE = Path(__file__).parents[3] / "docs/haproxy-sync.md"
KEY = "0123456789abcdef01234567"
NEEDED = {"WS_UPDATES_URL": "https://a:1/,http://b:2", "WS_UPDATES_KEY": KEY}


def test_defaults_and_lists() -> None:
    """Two settings are required; several registries are separated by commas."""
    settings = Settings.load(NEEDED | {"OTHER": "x"})
    assert settings.ws_updates_url == ("https://a:1", "http://b:2")
    assert settings.slots == 64
    assert settings.metrics_file is None
    assert KEY not in repr(settings)
    assert ("WS_UPDATES_KEY", "********") in settings.effective()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WS_UPDATES_URL", "registry:8000"),
        ("WS_UPDATES_URL", "https://a,"),
        ("WS_UPDATES_URL", "https://user:pw@a"),
        ("WS_UPDATES_URL", "https://a:99999"),
        ("WS_UPDATES_KEY", "short"),
        ("WS_UPDATES_KEY", "with a newline\n" + "x" * 24),
        ("LOCATION", "-"),
        ("HAPROXY_SOCKET", "relative"),
        ("DRAINING_FILE", "/a b"),
        ("DRAINING_FILE", "/a;b"),
        ("METRICS_FILE", "/var/lib/x.txt"),
        ("SLOTS", "0"),
        ("SLOTS", "1.5"),
        ("MAX_REMOVAL", "1.1"),
        ("MAX_REMOVAL", "nan"),
        ("POLL_SECONDS", "0"),
    ],
)
def test_wrong_value_is_one_line(name: str, value: str) -> None:
    """The line names the setting, what was found unless it is secret, and what is expected."""
    with pytest.raises(SettingsError) as caught:
        Settings.load(NEEDED | {name: value})
    text = str(caught.value)
    assert text.startswith(f"{name}: found ")
    assert "expected" in text
    assert "\n" not in text
    assert (repr(value) in text) == (name != "WS_UPDATES_KEY")


def test_env_file(tmp_path: Path) -> None:
    """A file of NAME=value lines with comments and quotes; the environment wins over it."""
    file = tmp_path / "env"
    file.write_text(
        f"# comment\n\nexport WS_UPDATES_URL='https://a'\nWS_UPDATES_KEY = \"{KEY}\"\nSLOTS=8\nLOCATION=x\n"
    )
    settings = Settings.load({"LOCATION": "oslo"}, file)
    assert (settings.ws_updates_url, settings.slots, settings.location) == (("https://a",), 8, "oslo")


@pytest.mark.parametrize(
    ("text", "saying"),
    [("SLOT=8", "did you mean SLOTS"), ("nonsense", "line 1 is not NAME=value"), (None, "cannot be read")],
)
def test_wrong_env_file(tmp_path: Path, text: str | None, saying: str) -> None:
    """A misspelt name is an error with a hint, not a default in silence."""
    file = tmp_path / "env"
    if text is not None:
        file.write_text(text)
    with pytest.raises(SettingsError, match=saying):
        Settings.load(NEEDED, file)


def test_record_survives_its_file() -> None:
    """What is written is what is read."""
    slots = Slots(7, (Slot(1, "n1", "here", "10.0.0.1", 7001, 100, "ready"),))
    record = Record(slots=slots, last_run=3.5, last_result="ok").refused("empty").refused("empty").failed("config")
    assert record_from_json(json.loads(json.dumps(record.as_json()))) == record
    assert record.refusals["empty"] == 2


@pytest.mark.parametrize("found", [None, [], {}, {"slots": 3}, Record().as_json() | {"last_run": "x"}])
def test_damaged_record_is_an_error(found: object) -> None:
    """A record that lost something is never taken for an empty one."""
    with pytest.raises(ValueError, match=r".+"):
        record_from_json(found)


def test_metrics_name_every_reason_from_the_start() -> None:
    """A counter that may rise later is there with 0, so that an alert can see it rise."""
    text = metrics(Record(), slot_count=4, haproxy_up=False, differences=0)
    for reason in REASONS:
        assert f'{PREFIX}refusals_total{{reason="{reason}"}} 0\n' in text
    assert f'{PREFIX}slots{{state="empty"}} 4\n' in text
    assert text.endswith("\n")


def test_backoff_grows_to_its_bound_and_is_spread() -> None:
    """Delays double up to the longest one; chance takes off up to half."""
    assert [backoff(n, 1.0) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert backoff(1000, 1.0) == LONGEST_DELAY
    assert backoff(1000, 0.0) == LONGEST_DELAY / 2


def test_page_explains_every_setting_as_it_is() -> None:
    """docs/haproxy-sync.md has a row for each setting with its default and text, and none that does not exist."""
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `") and line.count("|") == 4]
    expected = []
    for item in fields(Settings):
        default = item.metadata["default"]
        shown = "required" if default is None else f"`{default}`" if default else "none"
        text = item.metadata["about"]
        for word in ("raising", "lowering"):
            if item.metadata[word]:
                text += f" {word.capitalize()} it: {item.metadata[word]}"
        expected.append(f"| `{item.name.upper()}` | {shown} | {text} |")
    assert [row for row in rows if row.split("`")[1].isupper()] == expected


def test_page_explains_every_code_reason_and_metric() -> None:
    """Exit codes, reasons of refusals, kinds of errors and metrics are all on the page."""
    page = PAGE.read_text()
    for line in CODES.splitlines()[1:]:
        code, _, meaning = line.strip().partition("  ")
        assert f"| {code} | {meaning} |" in page
    for word in (*REASONS, *ERRORS):
        assert f"`{word}`" in page
    for line in metrics(Record(), slot_count=1, haproxy_up=True, differences=0).splitlines():
        if line.startswith("# TYPE"):
            assert f"`{line.split()[2]}" in page


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    """--help names every setting and exit code."""
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in Settings.names())
    assert CODES in text
