"""The texts that the embedded PostgreSQL starts with, and what its own files say of it."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

HOST_RULES = """\
# Written by AgentPod at every start; changes here are lost.
local   all   all                  scram-sha-256
host    all   all   127.0.0.1/32   scram-sha-256
"""

_CONFIG = """\
# Written by AgentPod at every start; changes here are lost. Your own go into {own}.
listen_addresses = '{addresses}'
port = {port}
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
password_encryption = 'scram-sha-256'
ssl = off

# Small while idle: what runs here is one server with a few dozen connections.
max_connections = 60
shared_buffers = 32MB
work_mem = 4MB
maintenance_work_mem = 32MB
huge_pages = off
io_method = sync
jit = off
autovacuum_max_workers = 2
max_worker_processes = 4
max_parallel_workers = 2
max_logical_replication_workers = 0
max_wal_size = 256MB
min_wal_size = 32MB
wal_compression = pglz
checkpoint_timeout = 15min
effective_io_concurrency = 16
random_page_cost = 1.1

# A week of logs by day. No statement is logged, for statements may hold what must not be read.
logging_collector = on
log_directory = '{logs}'
log_filename = 'postgresql-%a.log'
log_rotation_age = 1d
log_rotation_size = 0
log_truncate_on_rotation = on
log_file_mode = 0600
log_line_prefix = '%m [%p] %q%u '
log_min_messages = warning
log_min_error_statement = panic
log_statement = none
log_parameter_max_length_on_error = 0
log_checkpoints = off
log_timezone = 'UTC'
timezone = 'UTC'
datestyle = 'iso, mdy'
lc_messages = 'C'
default_text_search_config = 'pg_catalog.simple'

{extra}"""


class Postmaster(Struct, frozen=True, kw_only=True):
    """What a data folder's ``postmaster.pid`` says: the pid, and whether it takes connections."""

    pid: int
    ready: bool


def config(  # noqa: PLR0913 - the gaps in a text
    *, port: int, on_loopback: bool, sockets: Path | None, logs: Path, own: Path, extra: str
) -> str:
    """Write ``postgresql.conf``: it listens on loopback, on a socket, or on both. ``extra`` lines come last."""
    where = {"port": port, "addresses": "127.0.0.1" if on_loopback else "", "sockets": _quoted(sockets or "")}
    return _CONFIG.format(**where, logs=_quoted(logs), own=own, extra=extra)


def _quoted(path: Path | str) -> str:
    return str(path).replace("'", "''")


def postmaster(data: Path) -> Postmaster | None:
    """Read ``postmaster.pid``; None where there is none (or one that is just being written)."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        return Postmaster(pid=int(lines[0]), ready=len(lines) > _STATUS and lines[_STATUS].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def serves(pid: int, data: Path) -> bool:
    """Whether that process runs PostgreSQL on that folder: a postmaster works in its data folder."""
    process = Path(f"/proc/{pid}")
    try:
        return (process / "cwd").readlink() == data.resolve() and "postgres" in (process / "comm").read_text()
    except OSError:
        return False


def data_version(data: Path) -> str:
    """Give the major version that wrote the folder."""
    return (data / "PG_VERSION").read_text().strip()


_STATUS = 7
