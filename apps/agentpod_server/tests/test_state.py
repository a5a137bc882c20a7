from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from agentpod_core.errors import ConflictError, PermanentError
from agentpod_server import atomic, state
from agentpod_server.state import State


@pytest.fixture
def root(tmp_path):
    """Give a state folder to be, whose parent is missing too."""
    return tmp_path / "deep" / "state"


def _mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_first_opening_makes_everything(root):
    """The first opening makes an instance id of 8 base32 letters, a key of 32 bytes and a password."""
    seen = State.open(root)
    assert seen.fresh
    assert len(seen.instance) == 8
    assert set(seen.instance) <= set("abcdefghijklmnopqrstuvwxyz234567")
    assert len(seen.encryption_key()) == 32
    assert len(seen.first_password() or "") >= 20


def test_second_opening_changes_nothing(root):
    """Opening again gives the same id, key and password, and is not fresh."""
    first, second = State.open(root), State.open(root)
    assert not second.fresh
    assert first.instance == second.instance
    assert first.encryption_key() == second.encryption_key()
    assert first.first_password() == second.first_password()


def test_two_folders_differ(tmp_path):
    """Two state folders share neither id nor key."""
    one, other = State.open(tmp_path / "a"), State.open(tmp_path / "b")
    assert one.instance != other.instance
    assert one.encryption_key() != other.encryption_key()


def test_files_are_the_owners_alone(root):
    """The folder lets root's accounts pass and shows nothing; every file in it is 0600, every folder 0700."""
    seen = State.open(root)
    seen.write_context("http://127.0.0.1:8700", "ap_x")
    assert _mode(root) == (0o711 if os.geteuid() == 0 else 0o700)
    assert {_mode(path) for path in root.iterdir()} == {0o600}
    assert _mode(seen.folder("plugins", "x")) == 0o700


@pytest.mark.parametrize("step", ["encryption.key", "first-password", "instance"])
def test_crash_at_any_step_is_mended(root, monkeypatch, step):
    """A crash before, at or after writing any file leaves a folder that the next opening completes."""
    whole = atomic.create

    def crash(path, content, **options):
        if path.name == step:
            (path.parent / f"{atomic.PENDING}half").write_bytes(content[:3])
            raise KeyboardInterrupt
        return whole(path, content, **options)

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "create", crash)
        with pytest.raises(KeyboardInterrupt):
            State.open(root)
    kept = {path.name: path.read_bytes() for path in root.iterdir() if not path.name.startswith(".")}
    seen = State.open(root)
    assert len(seen.encryption_key()) == 32
    assert seen.first_password()
    assert kept == {name: (root / name).read_bytes() for name in kept}
    with seen.lock("server"):
        assert not list(root.glob(f"{atomic.PENDING}*"))


def test_lost_key_is_never_made_anew(root):
    """A folder whose key is gone is reported: a new key would make every secret unreadable for ever."""
    seen = State.open(root)
    (root / "encryption.key").unlink()
    again = State.open(root)
    with pytest.raises(PermanentError, match="StateFileDamaged"):
        again.encryption_key()
    assert again.instance == seen.instance


@pytest.mark.parametrize("content", [b"", b"short\n", b"!" * 44])
def test_damaged_key_is_reported(root, content):
    """A key file that holds no 32 bytes of base64 is damaged."""
    seen = State.open(root)
    (root / "encryption.key").write_bytes(content)
    with pytest.raises(PermanentError, match="StateFileDamaged"):
        seen.encryption_key()


def test_damaged_instance_id_is_reported(root):
    """An instance id that is none is not used to name things."""
    State.open(root)
    (root / "instance").write_text("../../etc\n")
    with pytest.raises(PermanentError, match="StateFileDamaged"):
        State.open(root)


def test_folder_of_something_else_is_left_alone(tmp_path):
    """A folder with other things in it, such as a home, is refused and its mode stays."""
    tmp_path.chmod(0o750)
    (tmp_path / "thesis.txt").write_text("x")
    with pytest.raises(PermanentError, match=r"StateFolderForeign.*thesis\.txt"):
        State.open(tmp_path)
    assert _mode(tmp_path) == 0o750
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_settings_file_may_come_first(tmp_path):
    """An operator may write agentpod.toml before the first start."""
    (tmp_path / "agentpod.toml").write_text("port = 1\n")
    assert State.open(tmp_path).fresh


def test_folder_that_others_may_write_is_refused(root):
    """A folder in which others can exchange the key is refused."""
    State.open(root)
    root.chmod(0o777)
    with pytest.raises(PermanentError, match="StateFolderShared"):
        State.open(root)


def test_folder_that_cannot_be_made_is_reported(tmp_path):
    """A file in the folder's place is named, not stumbled over."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(PermanentError, match="StateFolderUnusable"):
        State.open(tmp_path / "file" / "state")


def test_first_password_is_shown_once(root):
    """After it was shown the password is gone; another is made only on demand."""
    seen = State.open(root)
    seen.first_password_shown()
    assert State.open(root).first_password() is None
    assert seen.new_first_password() == State.open(root).first_password()


def test_context_is_written_and_read(root):
    """The local client's context holds address and token; a damaged one counts as none."""
    seen = State.open(root)
    assert seen.context_token() is None
    seen.write_context("http://127.0.0.1:8700", "ap_one")
    seen.write_context("http://127.0.0.1:8700", "ap_two")
    assert seen.context_token() == "ap_two"
    (root / state.CONTEXT).write_text("{")
    assert seen.context_token() is None


_HOLD = """
import sys
from pathlib import Path
from agentpod_server.state import State
names = [one.removeprefix("--name=") for one in sys.argv if one.startswith("--name=")]
with State.open(Path(sys.argv[1])).lock(*(one for one in sys.argv[2:] if one[0] != "-"), name="".join(names)):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold(root):
    """Start processes that hold the folder for some roles."""
    started = []

    def start(*roles):
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(root), *roles], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        assert process.stdout.readline() == b"held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_second_server_is_refused_by_pid(root, hold):
    """A second server on one state folder is refused, naming the first one's pid."""
    first = hold("server")
    with pytest.raises(ConflictError) as caught, State.open(root).lock("server"):
        pass
    assert caught.value.params == {"folder": str(root), "pid": str(first.pid), "role": "server"}
    assert state.holder(root, "server") == first.pid


def test_halves_have_locks_of_their_own(root, hold):
    """A controller may run beside a server on one folder."""
    hold("server")
    with State.open(root).lock("controller"):
        assert state.holder(root, "controller") == os.getpid()


def test_named_servers_share_a_folder(root, hold):
    """A server of another name runs beside the first, is refused a second time, and both are found."""
    first, second = hold("server", "controller"), hold("server", "controller", "--name=b")
    assert state.holders(root) == {first.pid, second.pid}
    assert state.holders(root, "controller") == {first.pid, second.pid}
    with pytest.raises(ConflictError) as caught, State.open(root).lock("server", name="b"):
        pass
    assert caught.value.params["pid"] == str(second.pid)


def test_nobody_sweeps_what_another_server_is_writing(root, hold):
    """Unfinished files go when a server starts alone, and stay while another may be about to finish them."""
    pending = root / f"{atomic.PENDING}half"
    first = hold("server")
    pending.touch()
    with State.open(root).lock("server", name="b"):
        assert pending.exists()
    first.kill()
    first.wait()
    with State.open(root).lock("server", name="b"):
        assert not pending.exists()


def test_killed_server_leaves_no_lock(root, hold):
    """However a server ends, the next one may start."""
    first = hold("server", "controller")
    first.kill()
    first.wait()
    assert state.holder(root, "server") is None
    with State.open(root).lock("server", "controller"):
        assert state.holder(root, "server") == os.getpid()
    assert state.holder(root, "server") is None


def test_lock_is_not_inherited(root):
    """A process that the server starts does not keep the folder after the server."""
    with State.open(root).lock("server"):
        child = subprocess.Popen(["/bin/sleep", "60"])
    try:
        assert state.holder(root, "server") is None
    finally:
        child.kill()
        child.wait()


def test_replacing_follows_no_link(tmp_path):
    """A link in a file's place is replaced, its target stays."""
    (tmp_path / "target").write_text("mine")
    (tmp_path / "file").symlink_to(tmp_path / "target")
    atomic.replace(tmp_path / "file", b"new")
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "file").is_symlink()


def test_creating_keeps_what_is_there(tmp_path):
    """Creating never overwrites, and leaves nothing unfinished behind."""
    assert atomic.create(tmp_path / "file", b"first")
    assert not atomic.create(tmp_path / "file", b"second")
    assert (tmp_path / "file").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
