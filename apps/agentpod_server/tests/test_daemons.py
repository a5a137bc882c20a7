from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from agentpod_core import Daemon
from agentpod_core.errors import PermanentError
from agentpod_server.embedded import accounts, launch, logs, processes
from agentpod_server.embedded.daemons import Daemons
from agentpod_server.embedded.processes import Process
from agentpod_server.state import State

SLEEP = "/bin/sleep"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs things as somebody else")


@pytest.fixture
def state():
    """Open a state folder that other accounts can get to, unlike pytest's own."""
    home = Path(tempfile.mkdtemp(prefix="agentpod-test-"))
    home.chmod(0o711)
    yield State.open(home / "state")
    shutil.rmtree(home)


@pytest.fixture
async def daemons(state):
    """Run daemons that are gone after the test."""
    made = Daemons(state, grace=2.0)
    yield made
    for name in made.names():
        await made.stop(name)


def _sleeper(**changes) -> Daemon:
    return Daemon(**{"name": "sleeper", "argv": (SLEEP, "600"), **changes})


def _status(process: Process, field: str) -> str:
    text = Path(f"/proc/{process.pid}/status").read_text()
    return next(line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith(f"{field}:"))


def _descriptors(process: Process) -> set[str]:
    return {path.name for path in Path(f"/proc/{process.pid}/fd").iterdir()}


def _environment(process: Process) -> bytes:
    return Path(f"/proc/{process.pid}/environ").read_bytes()


async def _until(claim, seconds: float = 10.0):
    async with asyncio.timeout(seconds):
        while not (seen := claim()):  # noqa: ASYNC110 - what is awaited happens in another process
            await asyncio.sleep(0.01)
        return seen


async def test_daemon_has_a_session_of_its_own(daemons):
    """A daemon leads its own session, is not our child, and holds none of our descriptors."""
    with tempfile.TemporaryFile() as ours:
        os.set_inheritable(ours.fileno(), True)
        process = await daemons.start(_sleeper())
    assert os.getsid(process.pid) == process.pid
    assert int(_status(process, "PPid")) != os.getpid()
    assert _descriptors(process) == {"0", "1", "2"}
    assert _status(process, "SigBlk") == "0" * 16
    assert _status(process, "NoNewPrivs") == "1"


async def test_same_daemon_is_adopted(daemons, state):
    """Starting what runs already gives the running one, also to the next server."""
    first = await daemons.start(_sleeper())
    assert await daemons.start(_sleeper()) == first
    assert await Daemons(state).start(_sleeper()) == first
    assert daemons.running("sleeper") == first
    assert daemons.names() == ["sleeper"]


async def test_other_identity_replaces(daemons):
    """A daemon of another identity takes the place of the running one; by default everything is identity."""
    first = await daemons.start(_sleeper())
    second = await daemons.start(_sleeper(env={"A": "1"}))
    assert not first.is_alive
    assert second.is_alive


async def test_named_identity_decides_alone(daemons):
    """Where a daemon names its identity, other differences replace nothing."""
    first = await daemons.start(_sleeper(identity="v1"))
    assert await daemons.start(_sleeper(identity="v1", env={"A": "1"})) == first
    assert await daemons.start(_sleeper(identity="v2")) != first


async def test_stop_ends_it_once(daemons):
    """Stopping ends the daemon; stopping again says that none runs."""
    process = await daemons.start(_sleeper())
    assert await daemons.stop("sleeper")
    assert not process.is_alive
    assert not await daemons.stop("sleeper")


async def test_stubborn_daemon_is_killed(state):
    """One that ignores the polite signal is killed after the grace."""
    impatient = Daemons(state, grace=0.2)
    script = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    daemon = Daemon(name="deaf", argv=("/bin/sh", "-c", script))
    process = await impatient.start(daemon)
    await _until(lambda: "deaf" in impatient.log(daemon).read_text())
    assert await impatient.stop("deaf")
    assert not process.is_alive


async def test_recycled_pid_is_never_signalled(daemons, state):
    """A record whose pid belongs to another process by now counts as dead, and that process lives on."""
    stranger = await asyncio.create_subprocess_exec(SLEEP, "600")
    try:
        await daemons.start(_sleeper())
        record = state.root / "run" / "daemons" / "sleeper.json"
        real = processes.recorded(record)
        fake = Process(pid=stranger.pid, started=real.started, boot=real.boot)
        assert not fake.is_alive
        assert not fake.send(signal.SIGKILL)
        assert not await fake.end(signal.SIGKILL, 1.0)
        assert stranger.returncode is None
        assert not Process(pid=real.pid, started=real.started, boot="another-boot").is_alive
    finally:
        stranger.kill()
        await stranger.wait()


async def test_two_starts_at_once_make_one(daemons, state):
    """Two servers that start the same daemon at the same moment end up with one process."""
    identity, log = "x", state.folder("log") / "twin.log"
    record = state.folder("run", "daemons") / "twin.json"
    seen = await asyncio.gather(
        *(launch.launch("twin", (SLEEP, "600"), record=record, identity=identity, log=log) for _ in range(4))
    )
    assert len({process.pid for process in seen}) == 1


async def test_files_and_folders_are_in_place(daemons, state):
    """Files are written 0600 before the start, folders exist, and both belong to the account that runs it."""
    folder = state.root / "plugins" / "router" / "data"
    file = state.root / "plugins" / "router" / "config.yml"
    process = await daemons.start(_sleeper(folders=(str(folder),), files={str(file): "a: 1\n"}))
    uid = int(_status(process, "Uid").split()[0])
    assert file.read_text() == "a: 1\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (file.stat().st_uid, folder.stat().st_uid) == (uid, uid)


async def test_output_goes_to_the_log(daemons):
    """What a daemon writes is in its log, that of an earlier run before it."""
    daemon = Daemon(name="talker", argv=("/bin/sh", "-c", "echo one; echo two >&2; exec sleep 600"))
    await daemons.start(daemon)
    await _until(lambda: daemons.log(daemon).read_text() == "one\ntwo\n")
    await daemons.stop("talker")
    await daemons.start(daemon)
    await _until(lambda: daemons.log(daemon).read_text() == "one\ntwo\none\ntwo\n")


async def test_environment_is_only_its_own(daemons, monkeypatch):
    """A daemon sees the variables it names and none of the server's."""
    monkeypatch.setenv("AGENTPOD_DATABASE_URL", "postgresql://a:secret@b/c")
    process = await daemons.start(_sleeper(env={"A": "1"}))
    assert _environment(process) == b"A=1\0"


async def test_missing_program_is_named(daemons):
    """What cannot be executed is reported with step and reason, and leaves no record."""
    with pytest.raises(PermanentError) as caught:
        await daemons.start(Daemon(name="ghost", argv=("/nowhere/ghost",)))
    assert caught.value.reason == "ProcessNotStarted"
    assert caught.value.params == {"name": "ghost", "step": "exec", "problem": "No such file or directory"}
    assert daemons.names() == []


async def test_keep_restarts_the_dead(daemons):
    """A daemon that is killed comes back by itself; cancelling the keeper leaves it running."""
    task = asyncio.create_task(daemons.keep(_sleeper()))
    first = await _until(lambda: daemons.running("sleeper"))
    first.send(signal.SIGKILL)
    assert await first.ended(5.0)
    second = await _until(lambda: daemons.running("sleeper"))
    assert second != first
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert second.is_alive


async def test_keep_outlasts_failure(daemons, state):
    """A keeper tries again when a start fails."""
    program = state.root / "late"
    task = asyncio.create_task(daemons.keep(Daemon(name="late", argv=(str(program),), identity="late")))
    await asyncio.sleep(0.2)
    assert daemons.running("late") is None
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o755)
    assert await _until(lambda: daemons.running("late"))
    task.cancel()


async def test_keep_outlasts_a_full_disk(daemons, monkeypatch):
    """A keeper that cannot move a log away goes on keeping."""
    tried = 0

    def trim(log):
        nonlocal tried
        tried += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logs, "trim", trim)
    task = asyncio.create_task(daemons.keep(_sleeper()))
    assert await _until(lambda: tried > 1 or task.done())
    assert not task.done()
    assert daemons.running("sleeper") is not None
    task.cancel()


_SERVER = """
import asyncio, sys
from pathlib import Path
from agentpod_core import Daemon
from agentpod_server.embedded.daemons import Daemons
from agentpod_server.state import State

async def main():
    daemons = Daemons(State.open(Path(sys.argv[1])))
    asyncio.create_task(daemons.keep(Daemon(name="sleeper", argv=("/bin/sleep", "600"))))
    while daemons.running("sleeper") is None:
        await asyncio.sleep(0.01)
    print("up", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_daemon_survives_its_server(daemons, state, number):
    """A killed or interrupted server leaves the daemon running; the next one adopts it."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _SERVER,
        str(state.root),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert await server.stdout.readline() == b"up\n"
    running = daemons.running("sleeper")
    os.killpg(server.pid, number)
    await server.wait()
    assert running.is_alive
    assert await daemons.start(_sleeper()) == running


@as_root
async def test_root_runs_it_unprivileged(daemons):
    """Started by root, a daemon is somebody else, without capabilities or groups of root."""
    process = await daemons.start(_sleeper())
    account = accounts.account(accounts.PROXY)
    assert account.uid != 0
    assert {int(uid) for uid in _status(process, "Uid").split()} == {account.uid}
    assert {int(gid) for gid in _status(process, "Gid").split()} == {account.gid}
    assert _status(process, "Groups").split() == [str(account.gid)]
    for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        assert int(_status(process, kind), 16) == 0


def _first_open_port() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())


@as_root
async def test_low_port_needs_its_capability(daemons):
    """With net_bind_service, and only with it, an unprivileged daemon gets a port below 1024."""
    perl = shutil.which("perl")
    if perl is None or _first_open_port() < 1024:
        pytest.skip("needs perl and protected ports")
    script = (
        "use Socket; socket(my $s, PF_INET, SOCK_STREAM, 0);"
        "print bind($s, sockaddr_in(997, INADDR_LOOPBACK)) ? 'yes' : 'no', qq(\\n);"
    )
    for name, capabilities, answer in (("with", ("net_bind_service",), "yes\n"), ("without", (), "no\n")):
        daemon = Daemon(name=name, argv=(perl, "-e", script), capabilities=capabilities)
        await daemons.start(daemon)
        await _until(lambda daemon=daemon, answer=answer: daemons.log(daemon).read_text() == answer)


@as_root
async def test_groups_are_given_and_no_others(daemons):
    """A daemon is in its account's own group and in those it names, never in one of ours."""
    own = _status(await daemons.start(_sleeper(name="none")), "Groups").split()
    assert len(own) == 1
    given = _status(await daemons.start(_sleeper(name="some", groups=(4711, 4712))), "Groups").split()
    assert sorted(given) == sorted([*own, "4711", "4712"])


@as_root
async def test_program_below_a_closed_folder_runs(daemons, state):
    """A program that its account cannot get to, as one below root's home, runs all the same."""
    program = state.folder("closed") / "sleep"
    shutil.copy(SLEEP, program)
    process = await daemons.start(_sleeper(argv=(str(program), "600")))
    assert (await _until(lambda: _status(process, "Uid"))).split()[0] != "0"


@as_root
async def test_owned_paths_are_given(daemons, state):
    """What a daemon is to own becomes its account's at each start; links and second names stay what they are."""
    owned = state.folder("owned")
    (owned / "deep").mkdir()
    (owned / "deep" / "key").write_text("x")
    outside = state.root / "outside"
    outside.write_text("x")
    (owned / "link").symlink_to(outside)
    os.link(outside, owned / "name")
    daemon = _sleeper(owned=(str(owned),), identity="same")
    uid = int(_status(await daemons.start(daemon), "Uid").split()[0])
    (owned / "later").write_text("x")
    await daemons.start(daemon)
    assert {path.stat().st_uid for path in (owned, owned / "deep", owned / "deep" / "key", owned / "later")} == {uid}
    assert outside.stat().st_uid == 0


def test_accounts_of_proxy_and_database_differ():
    """The proxy, which strangers talk to, never shares an account with the database while there is another."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    if os.geteuid() != 0 or len(names & set(accounts.PROXY)) < 2:
        pytest.skip("needs root and two accounts")
    assert accounts.account(accounts.DATABASE) != accounts.account(accounts.PROXY)


def test_no_account_is_refused():
    """Root never runs anything as root for want of another account."""
    if os.geteuid() != 0:
        assert accounts.account(("nobody-like-this",)) is None
        return
    with pytest.raises(PermanentError, match="NoUnprivilegedUser"):
        accounts.account(("nobody-like-this",))


def test_large_log_moves_aside(tmp_path):
    """A log that has grown too large is moved aside under the hands of whoever appends to it."""
    log = tmp_path / "x.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"a" * 100)
        assert logs.trim(log, limit=99)
        writer.write(b"b")
    assert log.read_bytes() == b"b"
    assert (tmp_path / "x.log.1").read_bytes() == b"a" * 100
    assert not logs.trim(log, limit=99)


def test_trimming_follows_no_link(tmp_path):
    """A link in a log's place is not followed."""
    target = tmp_path / "target"
    target.write_bytes(b"a" * 100)
    (tmp_path / "x.log").symlink_to(target)
    assert not logs.trim(tmp_path / "x.log", limit=1)
    assert target.stat().st_size == 100
