"""What a node keeps on its disk, and that it shares the folder with nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsmesh.contract import App, ClusterConfig
from wsmesh.settings import SettingsError
from wsnode.adapters.state_dir import StateDir
from wsnode.domain.messages import stream_id

CONFIG = ClusterConfig(generation=7, apps=[App(id="1", key="k", secret="s")])


def test_configuration_and_run_come_back(tmp_path: Path) -> None:
    """The last configuration and the last run are found by the next process."""
    first = StateDir(tmp_path / "n1")
    assert (first.last_config(), first.last_run()) == (None, None)
    first.keep_config(CONFIG)
    first.keep_run("n1~abc")
    first.release()
    again = StateDir(tmp_path / "n1")
    assert (again.last_config(), again.last_run()) == (CONFIG, "n1~abc")
    again.release()


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Folder and files have no permissions for others: they hold the secrets of apps."""
    state = StateDir(tmp_path / "n1")
    state.keep_config(CONFIG)
    assert (tmp_path / "n1").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "n1/config.json").stat().st_mode & 0o777 == 0o600
    state.release()


def test_a_broken_file_counts_as_none(tmp_path: Path) -> None:
    """A configuration that cannot be read does not stop the start."""
    state = StateDir(tmp_path)
    (tmp_path / "config.json").write_text('{"generation": "x"')
    assert state.last_config() is None
    state.release()


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """Two nodes cannot share a folder; the line names the setting."""
    first = StateDir(tmp_path)
    with pytest.raises(SettingsError, match=f"STATE_DIR: {tmp_path} is in use by another running node"):
        StateDir(tmp_path)
    first.release()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A path that is no folder is told in one line."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"STATE_DIR: cannot use .*/file/n1: Not a directory"):
        StateDir(tmp_path / "file/n1")


def test_no_stream_is_used_twice(tmp_path: Path) -> None:
    """Each run gets a stream that comes after the one before, also on a machine whose clock does not go on."""
    state = StateDir(tmp_path)
    streams = [state.new_stream("n1", started_at) for started_at in (1_700_000_000.0, 1_700_000_000.0, 5.0, 5.0)]
    assert len(set(streams)) == 4
    assert streams == sorted(streams)
    assert state.new_stream("n1", 1_800_000_000.0) == stream_id("n1", 1_800_000_000.0)


def test_a_broken_stream_file_counts_as_none(tmp_path: Path) -> None:
    """A node starts with its clock alone when what it kept of the last run is no stream id."""
    (tmp_path / "stream").write_text("?~??")
    assert StateDir(tmp_path).new_stream("n1", 5.0) == stream_id("n1", 5.0)
