"""Loads the plugins of this Python environment for a look at them, as the server would when it starts."""

from __future__ import annotations

import contextlib
import sys
import tomllib
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from agentpod_cli.target import state_folder

if TYPE_CHECKING:
    from agentpod_client import shapes
    from agentpod_core.catalogue import Language

_SETTING = "disabled_plugins"


def plugins(environ: Mapping[str, str], language: str) -> list[shapes.Plugin]:
    """Describe the installed plugins as the server does; nothing is opened."""
    from agentpod_core.host import Host, Redactor, report, secrets_in  # noqa: PLC0415 - only this verb needs the host

    redactor = Redactor()
    for secret in secrets_in(dict(environ)):
        redactor.learn(secret)
    # What a plugin prints while it is loaded is no part of the answer.
    with contextlib.redirect_stdout(sys.stderr):
        host = Host(disabled=_disabled(environ), redactor=redactor)
    return [cast("shapes.Plugin", report(one, cast("Language", language))) for one in host.plugins()]


def _disabled(environ: Mapping[str, str]) -> frozenset[str]:
    """Read which plugins the server of this machine is not to load: the variable, else the line in its file."""
    if text := environ.get(f"AGENTPOD_{_SETTING.upper()}"):
        return frozenset(name.strip() for name in text.split(",") if name.strip())
    try:
        kept = tomllib.loads((state_folder(environ) / "agentpod.toml").read_text()).get(_SETTING, [])
    except (OSError, ValueError):
        # The server's own complaint about its file is better than one from here.
        return frozenset()
    return frozenset(str(name) for name in kept) if isinstance(kept, list) else frozenset()
