"""How the Echo image is made: Debian's Python, two protocol libraries, and the program beside this module."""

from __future__ import annotations

from importlib.resources import files

from agentpod_core import ImageRecipe

IMAGE = "agentpod-echo:0.1.0"
"""Pinned to the program's version: a changed program gets a new tag."""

_PROGRAM = "/opt/echo_agent"
_SOURCES = (".py", ".html", ".js")

RECIPE = ImageRecipe(
    image=IMAGE,
    packages=("python3", "python3-h11", "python3-wsproto"),
    files={
        f"{_PROGRAM}/{source.name}": source.read_text("utf-8")
        for source in sorted(files("agentpod_echo.program").iterdir(), key=lambda source: source.name)
        if source.name.endswith(_SOURCES)
    },
    steps=(
        # Compiled at build time: the root is read-only and every start would compile anew.
        f"python3 -m compileall -q --invalidation-mode unchecked-hash {_PROGRAM}",
        # A new volume takes the owner of the folder that it covers.
        "install -d -o 1000 -g 1000 /data /etc/echo",
    ),
    user="echo",
    env={"PYTHONPATH": "/opt", "PYTHONDONTWRITEBYTECODE": "1"},
    command=("python3", "-m", "echo_agent"),
)
