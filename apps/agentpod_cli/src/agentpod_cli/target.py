"""Where the server is and who asks: which of the many places that may say so counts.

A token is only ever given to the server that it belongs to: one from a file is dropped when the
address was overridden. Nothing here talks to a server.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from agentpod_cli.errors import CliError
from agentpod_cli.exits import Exit


class Target(Struct, frozen=True, kw_only=True):
    """A server, the token for it, the CA file that vouches for it, and which place named it."""

    server: str
    token: str | None = None
    ca: str | None = None
    source: str = ""

    def __repr__(self) -> str:
        return f"Target(server={self.server!r}, source={self.source!r})"


def user_context_path(environ: Mapping[str, str]) -> Path:
    """Give the file in which ``agentpod login`` remembers servers."""
    if named := environ.get("AGENTPOD_CONTEXT"):
        return Path(named)
    root = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".config")
    return Path(root) / "agentpod" / "context.json"


def state_context_path(environ: Mapping[str, str]) -> Path:
    """Give the file that a server on this machine writes for the people who may read its state folder."""
    return state_folder(environ) / "context.json"


def state_folder(environ: Mapping[str, str]) -> Path:
    """Give the state folder of a server on this machine, as the server itself chooses it."""
    if named := environ.get("AGENTPOD_STATE_DIR"):
        return Path(named)
    if os.geteuid() == 0:
        return Path("/var/lib/agentpod")
    root = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME") or "~").expanduser() / ".local" / "state")
    return Path(root) / "agentpod"


def find_target(environ: Mapping[str, str], *, server: str | None = None, ca: str | None = None) -> Target:
    """Choose the server: the option, then the environment, then the user's context, then the state folder's.

    Raises:
        CliError: no place names a server, or its address is no http(s) address.
    """
    user, local = _read(user_context_path(environ)), _read(state_context_path(environ))
    named = server or environ.get("AGENTPOD_SERVER") or None
    if named is not None:
        wanted, source = named, "--server" if server else "AGENTPOD_SERVER"
    elif user.get("current"):
        wanted, source = str(user["current"]), str(user_context_path(environ))
    elif local.get("server"):
        wanted, source = str(local["server"]), str(state_context_path(environ))
    else:
        raise CliError("NoServer", Exit.UNREACHABLE)
    address = checked_address(wanted)
    entry = _entry(user, address) or _entry(local, address)
    return Target(
        server=address,
        token=environ.get("AGENTPOD_TOKEN") or entry.get("token") or None,
        ca=ca or environ.get("AGENTPOD_CA") or entry.get("ca") or None,
        source=source,
    )


def checked_address(text: str) -> str:
    """Give the address as it is compared and stored: no slash at the end, a scheme, no user name.

    Raises:
        CliError: it is no http(s) address.
    """
    address = text.strip()
    if "://" not in address:
        address = f"http://{address}"
    address = address.rstrip("/")
    try:
        parts = urlsplit(address)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        raise CliError("BadServer", Exit.USAGE, server=text) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or not port_is_valid:
        raise CliError("BadServer", Exit.USAGE, server=parts.hostname or text)
    return address


def remember(environ: Mapping[str, str], target: Target) -> Path:
    """Write a server into the user's context and make it the current one; the file is 0600 at every moment.

    Raises:
        CliError: the file cannot be written.
    """
    path = user_context_path(environ)
    context = _read(path)
    servers = context.get("servers")
    entry = {"token": target.token} | ({"ca": target.ca} if target.ca else {})
    context = {
        "current": target.server,
        "servers": (servers if isinstance(servers, dict) else {}) | {target.server: entry},
    }
    try:
        _write(path, context)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CliError("ContextUnwritable", Exit.FAILED, path=path, why=why) from None
    return path


def _write(path: Path, context: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # mkstemp makes the file 0600, and the rename keeps a reader from seeing half of it.
    handle, name = tempfile.mkstemp(prefix=".context-", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(context, file, indent=2)
            file.write("\n")
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        # A state folder of another user is no server of ours; that nothing was found is said later.
        return {}
    except (ValueError, OSError) as error:
        raise CliError("BadContext", Exit.FAILED, path=path, why=type(error).__name__) from None
    if not isinstance(content, dict):
        raise CliError("BadContext", Exit.FAILED, path=path, why="not an object")
    return content


def _entry(context: dict[str, Any], address: str) -> dict[str, Any]:
    servers = context.get("servers")
    if isinstance(servers, dict) and isinstance(servers.get(address), dict):
        return dict(servers[address])
    return context if str(context.get("server", "")).rstrip("/") == address else {}
