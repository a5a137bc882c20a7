"""Plugins are listed by the server, and without one by a look at what is installed here."""

from __future__ import annotations

import json
import socket

import pytest


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a throwaway plugin beside this command."""

    def make(name, code, version="1.0"):
        module = name.replace("-", "_")
        info = tmp_path / name / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info.parent / f"{module}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[agentpod]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(info.parent))

    return make


def test_without_a_server_the_installed_plugins_are_loaded_for_a_look(run, install):
    """Good and bad ones are listed as a server would, and what they print is no part of the answer."""
    install("local-bad", "print('hello')\nraise OSError('no luck')\n", "0.3")
    ended = run("plugin", "list", "-o", "json")
    found = {one["distribution"]: one for one in json.loads(ended.out)}
    assert ended.code == 0
    assert (found["local-bad"]["version"], found["local-bad"]["state"]) == ("0.3", "failed")
    assert "OSError: no luck" in found["local-bad"]["error"]
    assert found["agentpod-echo"]["offers"] == {"agent": ["echo"]}
    assert "No server" in ended.err
    assert "hello" in ended.err


def test_without_a_server_the_table_is_the_same(run, install):
    """Name, distribution, version, state and error stand in one line."""
    install("local-worse", "raise SystemExit(1)\n", "0.4")
    (line,) = [line for line in run("plugin", "list").out.splitlines() if line.startswith("local-worse")]
    assert line.split()[:5] == ["local-worse", "local-worse", "0.4", "-", "failed"]


@pytest.mark.parametrize("where", ["environment", "file"])
def test_plugins_that_the_server_would_not_load_are_not_loaded_here(run, install, tmp_path, where):
    """The kill switch holds for the look, too, wherever it is set."""
    install("local-off", "raise AssertionError('was imported')\n")
    (tmp_path / "state").mkdir()
    environ = {"AGENTPOD_DISABLED_PLUGINS": "other, local-off"} if where == "environment" else {}
    if where == "file":
        (tmp_path / "state" / "agentpod.toml").write_text('disabled_plugins = ["local-off"]\n')
    found = {one["name"]: one for one in json.loads(run("plugin", "list", "-o", "json", **environ).out)}
    assert found["local-off"]["state"] == "disabled"


def test_a_secret_of_the_environment_is_in_no_error(run, install):
    """A plugin that puts the token into its error shows it to nobody."""
    install("local-leak", "import os\nraise OSError(os.environ['AGENTPOD_TOKEN'])\n")
    ended = run("plugin", "list", "-o", "json", AGENTPOD_TOKEN="ap_a-secret-token")
    assert "ap_a-secret-token" not in ended.out + ended.err
    assert "OSError: ***" in ended.out


def test_a_server_that_was_named_is_not_replaced_by_a_look(run):
    """Who asks a certain server wants its plugins, and is told where it does not answer."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ended = run("plugin", "list", AGENTPOD_SERVER=f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert ended.code != 0
    assert ended.out == ""
