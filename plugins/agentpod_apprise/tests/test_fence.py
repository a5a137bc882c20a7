"""What the process that runs Apprise cannot do, whatever a URL or a library makes of it."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import os, socket, subprocess, sys
from agentpod_apprise.fence import Fence
from agentpod_core import AllowedAddresses

fence = Fence(AllowedAddresses.of({allowed!r}))
fence.raise_it(30)
try:
    {what}
except PermissionError as error:
    print("no:", error, fence.refused)
except OSError as error:
    print("tried:", type(error).__name__)
else:
    print("done")
"""


def tried(what, allowed=()):
    """Do something behind the fence in a process of its own, and give what came of it."""
    program = PROGRAM.format(allowed=allowed, what=what)
    run = subprocess.run([sys.executable, "-IBc", program], capture_output=True, text=True, timeout=60, check=True)
    return run.stdout.strip()


@pytest.mark.parametrize(
    "what",
    [
        "os.system('true')",
        "subprocess.run(['true'])",
        "os.execv('/bin/true', ['true'])",
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "open('/etc/hostname')",
        "os.open('/etc/hostname', os.O_RDONLY)",
        "open('/proc/self/environ')",
        "open(os.path.join(sys.prefix, 'pyvenv.cfg'))",
        "open('/tmp/agentpod-fence', 'w')",
        "open(os.path.join(sys.prefix, 'agentpod-fence'), 'x')",
        "open(os.path.join(sys.prefix, '..', '..', '..', '..', 'etc', 'hostname'))",
        "os.mkdir('/tmp/agentpod-fence')",
        "os.remove('/etc/no-such-file')",
        "socket.socket(socket.AF_UNIX).connect('/var/run/docker.sock')",
        "socket.create_connection(('127.0.0.1', 9), 1)",
        "socket.create_connection(('localhost', 9), 1)",
        "socket.socket().connect_ex(('169.254.169.254', 80))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'', ('10.0.0.1', 514))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendmsg([b''], [], 0, ('10.0.0.1', 514))",
    ],
)
def test_what_no_message_needs_is_refused(what):
    """Programs, files, sockets of the machine and private addresses are out of reach."""
    assert tried(what).startswith("no:")


@pytest.mark.parametrize(
    ("what", "allowed", "came"),
    [
        ("open(os.__file__).read(1)", (), "done"),
        ("socket.create_connection(('127.0.0.1', 9), 1)", ("127.0.0.0/8",), "tried: ConnectionRefusedError"),
        ("socket.create_connection(('localhost', 9), 1)", ("localhost",), "tried: ConnectionRefusedError"),
        ("socket.create_connection(('127.0.0.1', 9), 1)", ("10.0.0.0/8",), "no:"),
    ],
)
def test_what_a_message_needs_is_there(what, allowed, came):
    """Python's own files are read, and what the operator allows is asked."""
    assert tried(what, allowed).startswith(came)


def test_names_that_nothing_asks_about_are_not_resolved():
    """A name server that does not answer for an allowed host holds up no message to others."""
    what = "asked = []; sys.addaudithook(lambda event, args: asked.append(event)); fence.may_ask('1.1.1.1'); "
    what += "assert 'socket.getaddrinfo' not in asked; fence.may_ask('127.0.0.1'); assert 'socket.getaddrinfo' in asked"
    assert tried(what, ["localhost"]) == "done"


def test_address_of_this_machine_is_known():
    """Of its own addresses a machine says so, whatever they look like, and of no other."""
    what = "from agentpod_apprise.fence import is_own; assert is_own('127.0.0.3') and not is_own('1.1.1.1')"
    assert tried(what) == "done"
