"""How the OpenClaw image is made where no registry has it: Debian's base, Node, and OpenClaw's npm package."""

from __future__ import annotations

from importlib.resources import files

from agentpod_core import ImageRecipe
from agentpod_openclaw.render import STATE, WORKSPACE

VERSION = "2026.9.6"
IMAGE = f"agentpod-openclaw:{VERSION}-2"
"""OpenClaw's version and the recipe's own revision."""

_PACKAGE = "/app/node_modules/openclaw"
CLI = ("node", f"{_PACKAGE}/openclaw.mjs")
SDK = f"{_PACKAGE}/dist/plugin-sdk"

DOCTOR = (*CLI, "doctor", "--fix", "--yes", "--non-interactive")
"""OpenClaw's own repair, as its contract with a supervisor has it (gateway/embedding.md)."""

RECIPE = ImageRecipe(
    image=IMAGE,
    packages=("ca-certificates", "curl", "git", "procps", "tini"),
    node="24.19.0",
    node_packages=(f"openclaw@{VERSION}",),
    node_lock=files("agentpod_openclaw").joinpath("package-lock.json").read_text("utf-8"),
    user="node",
    steps=(
        # No package's scripts ran on the host that built this; OpenClaw starts only once its own one has.
        f"cd {_PACKAGE} && node scripts/postinstall-bundled-plugins.mjs",
        f"ln -sf {_PACKAGE}/openclaw.mjs /usr/local/bin/openclaw",
        # A new volume takes the owner of the folder that it covers.
        f"install -d -o 1000 -g 1000 -m 0700 {STATE}",
    ),
    env={
        "NODE_ENV": "production",
        # Node's compile cache saves a start one processor second of thirteen and takes 140 MiB for it.
        "NODE_DISABLE_COMPILE_CACHE": "1",
        # Its many threads would each keep freed memory to themselves: 40 MiB, and 110 in a small pod.
        "MALLOC_ARENA_MAX": "2",
        "HOME": "/home/node",
        "OPENCLAW_HOME": "/home/node",
        "OPENCLAW_STATE_DIR": STATE,
        "OPENCLAW_CONFIG_PATH": f"{STATE}/openclaw.json",
        "OPENCLAW_WORKSPACE_DIR": WORKSPACE,
        "OPENCLAW_DISABLE_BONJOUR": "1",
        "OPENCLAW_NO_RESPAWN": "1",
        "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
        "XDG_CACHE_HOME": f"{STATE}/cache",
        # What the agent installs for itself goes into its volume and survives a new container.
        "NPM_CONFIG_PREFIX": f"{STATE}/npm",
        "NPM_CONFIG_CACHE": f"{STATE}/cache/npm",
        "PATH": f"{STATE}/npm/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    },
    entrypoint=("/usr/bin/tini", "--"),
    # Right below its init: a signal reaches the gateway, and its exit code the engine.
    command=("node", f"{_PACKAGE}/dist/index.js", "gateway", "--bind", "lan", "--port", "18789"),
    workdir="/home/node",
)
