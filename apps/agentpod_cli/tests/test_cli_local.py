"""The verbs that work without a server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version

import pytest

from agentpod_cli import main as main_module
from agentpod_cli.app import App
from agentpod_cli.commands import local


class Replaced(Exception):  # noqa: N818 - it stands for the end of this process
    """This process would be another program now."""


@pytest.fixture
def replaced(capsys):
    """Run a command line that becomes another program, and give that one's command line."""
    seen = []

    def call(*arguments):
        def become(program, argv):
            seen.append((program, argv))
            raise Replaced

        code = main_module.run(list(arguments), App(terminal=False, asks=False, replace_process=become))
        return seen[0] if seen else code

    return call


@pytest.mark.parametrize(
    "arguments", [("up",), ("up", "--foo", "bar"), ("down",), ("db", "migrate"), ("db", "migrate", "--x", "1")]
)
def test_local_verbs_become_the_server_package_with_their_options(replaced, arguments):
    """The same terminal and signals, and options that only the server knows."""
    passed_on = [one for one in arguments if one != "db"]
    assert replaced(*arguments) == (sys.executable, [sys.executable, "-m", "agentpod_server", *passed_on])


@pytest.mark.parametrize("verb", ["up", "down"])
def test_a_missing_server_package_is_named(run, monkeypatch, verb):
    """The error says which distribution is missing."""
    monkeypatch.setattr(local, "find_spec", lambda _: None)
    ended = run(verb)
    assert ended.code == 1
    assert "agentpod-server" in ended.err


def test_local_verbs_have_help_of_their_own(run):
    """--help explains the verb instead of starting it."""
    assert "Examples:" in run("up", "--help").out


def test_version_works_without_a_server(run):
    """What is installed here is told in any case."""
    ended = run("version")
    assert ended.code == 0
    assert ended.out == f"agentpod-cli {version('agentpod-cli')}\nNo server answers.\n"


def test_version_tells_the_servers_too(agentpod, server):
    """Both ends of the line."""
    server.on("GET", "/version", {"version": "0.1.7", "api": "v1", "instance": "abcdefgh"})
    assert "agentpod-server 0.1.7" in agentpod("version").out
    assert json.loads(agentpod("version", "-o", "json").out)["server"]["instance"] == "abcdefgh"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_its_shell_accepts(run, shell, tmp_path):
    """The script asks this very program."""
    script = run("completion", shell).out
    assert "_AGENTPOD_COMPLETE" in script
    if shutil.which(shell):
        path = tmp_path / "script"
        path.write_text(script)
        subprocess.run([shell, "-n", str(path)], check=True, timeout=10)


def complete(words, environ, monkeypatch):
    """Give what the shell would be offered for the last word."""
    settings = {
        "_AGENTPOD_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    for name, value in (settings | environ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        main_module.run([], App(terminal=False, asks=False))


def test_names_are_completed_from_the_server(server, make_pod, make_tenant, capsys, monkeypatch):
    """Pods, tenants and adapters are offered as they are."""
    server.items("/pods", make_pod("acme/support"), make_pod("acme/model"), make_pod("zeta/main"))
    server.items("/tenants", make_tenant("acme"))
    complete("agentpod pod get acme/", {"AGENTPOD_SERVER": server.url}, monkeypatch)
    assert capsys.readouterr() == ("plain,acme/support\nplain,acme/model\n", "")
    complete("agentpod tenant get a", {}, monkeypatch)
    assert capsys.readouterr().out == "plain,acme\n"


def test_a_completion_without_a_server_offers_nothing_and_is_quiet(capsys, monkeypatch):
    """No message lands in the line that is being typed."""
    complete("agentpod pod get acme/", {"AGENTPOD_SERVER": "http://127.0.0.1:9"}, monkeypatch)
    out, err = capsys.readouterr()
    assert (out.strip(), err) == ("", "")
