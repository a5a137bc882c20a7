"""The command line as a process in odd surroundings: no traceback, whatever the shell and the machine are like."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys

import pytest

from agentpod_cli.exits import Exit

AGENTPOD = (sys.executable, "-m", "agentpod_cli")


@pytest.fixture
def environ(server, token, tmp_path):
    """Give the environment of a user who has a server."""
    kept = {name: os.environ[name] for name in ("PATH", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "AGENTPOD_STATE_DIR": str(tmp_path / "state"),
        "AGENTPOD_SERVER": server.url,
        "AGENTPOD_TOKEN": token,
        "COLUMNS": "80",
    }


@pytest.fixture
def many(server, make_tenant):
    """A server with more tenants, of Chinese names, than a pipe holds."""
    server.items("/tenants", *(make_tenant(f"tenant-{number}", name="泽塔（上海）" * 9) for number in range(3000)))


def shell(line, environ):
    """Run a line of bash in which ``agentpod`` is the command line."""
    program = f'agentpod() {{ {" ".join(AGENTPOD)} "$@"; }}; set -o pipefail; {line}'
    return subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=environ, check=False, timeout=60)


@contextlib.contextmanager
def started(line, **options):
    """Start a process that ends with the test, whatever the test finds."""
    with subprocess.Popen(line, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_reader_that_leaves_early_is_no_error_worth_a_word(environ, many):
    """`| head` gets its line, stderr stays empty, and the code is the one that a shell knows for it."""
    ended = shell("agentpod tenant list -o wide | head -1", environ)
    assert (ended.stdout.split()[:2], ended.stderr) == (["TENANT", "NAME"], "")
    assert ended.returncode == Exit.UNREAD


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("verb", ["tenant list", "pod get nothing", "tenant delete acme", "--help"])
def test_streams_that_are_closed_are_no_crash(environ, many, verb, redirection):
    """A cron job may come without any of them."""
    ended = shell(f"agentpod {verb} {redirection}", environ)
    assert "Traceback" not in ended.stderr
    assert ended.returncode in (Exit.DONE, Exit.USAGE, Exit.UNREACHABLE)


def test_a_full_disk_is_told(environ, many):
    """A listing that could not be written is not a success."""
    ended = shell("agentpod tenant list > /dev/full", environ)
    assert ended.returncode == Exit.FAILED
    assert "Traceback" not in ended.stderr
    assert ("No space left" in ended.stderr, "unexpected" in ended.stderr) == (True, False)


@pytest.mark.parametrize("home", [None, "", "/dev/null", "/proc/1/nothing"])
def test_a_missing_or_unusable_home_is_no_crash(environ, server, make_tenant, home):
    """A service account has none; what needs none works."""
    server.items("/tenants", make_tenant())
    del environ["HOME"]
    if home is not None:
        environ["HOME"] = home
    ended = shell("agentpod tenant list -o name", environ)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "acme\n", "")


def test_a_login_that_cannot_be_remembered_says_what_to_do(environ, server, token):
    """A read-only home still works with the variables that the message names."""
    server.on("GET", "/whoami", {"actor": "cli", "role": "admin", "tenant": None})
    environ["HOME"] = "/dev/null"
    ended = shell(f"agentpod login {server.url} --token env:AGENTPOD_TOKEN", environ)
    assert ended.returncode == Exit.FAILED
    assert "AGENTPOD_CONTEXT" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert token not in ended.stderr


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b"\xff\xfe\x00", b'{"current": 7}', b'{"servers": [], "current": "x"}', b""]
)
def test_garbage_in_the_file_of_logins_is_no_crash(environ, tmp_path, content):
    """Whatever is in it, the file is named or left alone."""
    for name in ("AGENTPOD_SERVER", "AGENTPOD_TOKEN"):
        del environ[name]
    path = tmp_path / ".config" / "agentpod" / "context.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    ended = shell("agentpod tenant list", environ)
    assert ended.returncode in (Exit.FAILED, Exit.UNREACHABLE)
    assert "Traceback" not in ended.stderr
    assert "unexpected" not in ended.stderr


@pytest.mark.parametrize(
    ("variables", "heading"),
    [
        ({}, "TENANT"),
        ({"LANG": "C"}, "TENANT"),
        ({"LC_ALL": "POSIX"}, "TENANT"),
        ({"LANG": "zh_CN.UTF-8"}, "租户"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "TENANT"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8"}, "租户"),
        ({"LANG": "zh_CN.GB18030"}, "租户"),
        ({"LC_ALL": "xx_YY.nothing"}, "TENANT"),
        ({"LC_ALL": "\udcff"}, "TENANT"),
        ({"AGENTPOD_LANG": "zh-CN", "LANG": "C"}, "租户"),
        ({"LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "ascii"}, None),
    ],
)
def test_every_locale_gets_an_answer(environ, server, make_tenant, variables, heading):
    """The language follows the locale; names of any script come through, or at worst as question marks."""
    server.items("/tenants", make_tenant(name="泽塔"))
    line = [*AGENTPOD, "tenant", "list"]
    ended = subprocess.run(line, env=environ | variables, capture_output=True, check=False, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, b"")
    shown = ended.stdout.decode()
    assert heading is None or (shown.startswith(heading) and "泽塔" in shown)


def interrupt(process):
    """Press Ctrl-C until it is heard: Python misses one that comes right before it begins to read."""
    for _ in range(30):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=1)
    pytest.fail("Ctrl-C ends nothing")


def test_ctrl_c_ends_a_verb_that_follows_with_130_and_no_traceback(environ, server, make_event):
    """A person stops `-f` by Ctrl-C: that is how it ends."""
    server.items("/events", make_event(1))
    line, pipe = [*AGENTPOD, "events", "-f", "-o", "name"], subprocess.PIPE
    with started(line, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout.readline() == "1\n"
        assert interrupt(process) == Exit.INTERRUPTED
        assert "Traceback" not in process.stderr.read()


def test_ctrl_c_at_a_question_is_130_and_changes_nothing(environ, server, make_tenant):
    """Whoever hesitates can leave."""
    server.on("GET", "/tenants/acme", make_tenant())
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    line = [*AGENTPOD, "tenant", "delete", "acme"]
    with started(line, env=environ, start_new_session=True, **streams) as process:
        os.close(theirs)
        shown = b""
        while b"?" not in shown:
            shown += os.read(ours, 1000)
        assert interrupt(process) == Exit.INTERRUPTED
    os.close(ours)
    assert [one.method for one in server.requests] == ["GET"]


def test_no_colour_reaches_a_pipe_or_a_file(environ, server, make_pod):
    """Colour is for terminals, whatever TERM says."""
    server.items("/pods", make_pod(), make_pod("acme/model", "blocked"))
    ended = shell("agentpod pod list -o wide", environ | {"TERM": "xterm-256color", "FORCE_COLOR": "1"})
    assert "\x1b" not in ended.stdout
