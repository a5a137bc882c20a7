"""Starts one program in a session of its own, as another user if need be, and notes its pid before it runs.

Run as a script with the standard library alone (``python -I -S detach.py``); it reads what to do as JSON
from its input, so nothing shows in the process list. The program is no child of the server and holds no
descriptor of it: it outlives Ctrl-C and a killed server. It is recorded before it can do anything, so a
crash of the server leaves no process that nobody knows of; where the record names a process that still
runs, nothing is started.

Output: one line of JSON, ``{"pid", "started", "boot"}`` with ``"existing": true`` for a running one, or
``{"error", "step"}``.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

PR_SET_KEEPCAPS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 8, 38, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAPABILITIES = {"net_bind_service": 10, "net_raw": 13, "net_admin": 12}


def main() -> None:
    """Start what the input describes, tell how it went, and leave it alone."""
    task = json.load(sys.stdin)
    reading, writing = os.pipe2(os.O_CLOEXEC)
    if os.fork() == 0:
        os.close(reading)
        _become(task, writing)
    os.close(writing)
    with os.fdopen(reading) as told:
        sys.stdout.write(told.read() or '{"error": "it ended before it began", "step": "start"}')


def _become(task: dict[str, Any], tell: int) -> NoReturn:
    """Turn this process into the program. What goes wrong is told to the parent."""
    step = "record"
    record = None
    try:
        os.setsid()
        record = _record(task, tell)
        step = "log"
        _attach(task["log"])
        step = "exec"
        program = os.open(task["argv"][0], os.O_PATH | os.O_CLOEXEC)
        step = "user"
        _drop(task.get("user"), task.get("capabilities", []), task.get("groups", []))
        step = "exec"
        os.umask(0o077)
        os.chdir(task.get("folder") or "/")
        for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _execute(program, task["argv"], task["env"])
    except BaseException as error:  # noqa: BLE001 - whatever it is, the parent has to hear of it
        if record:
            with suppress(OSError):
                os.unlink(record)  # noqa: PTH108 - no pathlib here: it costs more than all the rest
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        os.write(tell, b"\n" + json.dumps({"error": reason, "step": step}).encode())
    os._exit(1)


def _record(task: dict[str, Any], tell: int) -> str:
    """Note this process's pid, start time and identity, unless the one noted there still runs.

    The pid and the start time stay what they are when the program is executed. Two that start at
    once wait for one another at the lock, so that one of them sees the other's record.
    """
    path = str(task["record"])
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with open("/proc/sys/kernel/random/boot_id") as file:  # noqa: PTH123 - see above
        boot = file.read().strip()
    with suppress(OSError, ValueError, KeyError), open(path) as file:  # noqa: PTH123
        there = json.load(file)
        if there["boot"] == boot and _started(there["pid"]) == there["started"]:
            os.write(tell, json.dumps({**there, "existing": True}).encode())
            os._exit(0)
    mine = {"pid": os.getpid(), "started": _started(os.getpid()), "boot": boot, "identity": task["identity"]}
    pending = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    os.write(pending, json.dumps(mine).encode())
    os.fsync(pending)
    os.rename(f"{path}.new", path)  # noqa: PTH104
    os.write(tell, json.dumps(mine).encode())
    return path


def _started(pid: int) -> int | None:
    try:
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            state, *rest = file.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state in "ZX" else int(rest[18])


def _attach(log: str) -> None:
    """Put nothing on the input, the log on both outputs, and let go of every other descriptor at exec."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    os.dup2(nothing, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _drop(user: dict[str, int] | None, names: list[str], groups: list[int]) -> None:
    """Become ``user`` in those groups with exactly those capabilities, and never get any others.

    An ordinary user cannot give what it has not: the program then finds out for itself.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    wanted = [CAPABILITIES[name.removeprefix("cap_").lower()] for name in names]
    if user:
        _control(libc, PR_SET_KEEPCAPS, 1)
        os.setgroups([user["gid"], *groups])
        os.setresgid(user["gid"], user["gid"], user["gid"])
        os.setresuid(user["uid"], user["uid"], user["uid"])
        _set_capabilities(libc, sum(1 << number for number in wanted))
        for number in wanted:
            _control(libc, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number)
    _control(libc, PR_SET_NO_NEW_PRIVS, 1)


def _execute(program: int, argv: list[str], env: dict[str, str]) -> None:
    """Run it by its path; by its descriptor where the account cannot get there, as below root's home."""
    try:
        os.execve(argv[0], argv, env)  # noqa: S606 - that is the purpose
    except PermissionError:
        os.execve(program, argv, env)  # noqa: S606


def _control(libc: ctypes.CDLL, option: int, first: int, second: int = 0) -> None:
    _check(libc.prctl(option, *(ctypes.c_ulong(value) for value in (first, second, 0, 0))))


def _set_capabilities(libc: ctypes.CDLL, bits: int) -> None:
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    data = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    _check(libc.capset(header, data))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


if __name__ == "__main__":
    main()
