"""How the OpenClaw image is made where no registry has it: Debian's base, Node, and OpenClaw's npm package."""

from __future__ import annotations

from importlib.resources import files

from agentpod_core import ImageRecipe
from agentpod_openclaw.render import STATE, WORKSPACE

VERSION = "2026.9.6"
IMAGE = f"agentpod-openclaw:{VERSION}-1"
"""OpenClaw's version and the recipe's own revision."""

_ENTRY = "/app/node_modules/openclaw/dist/index.js"
CLI = ("node", "/app/node_modules/openclaw/openclaw.mjs")
_CACHE = "/opt/compile-cache"

# The compile cache is filled by one start of the gateway at build time: it saves every customer's
# start the parsing of some 7,000 modules, and the root is read-only later.
_WARM = f"""su -s /bin/sh node -c '
export HOME=/tmp/warm OPENCLAW_HOME=/tmp/warm OPENCLAW_STATE_DIR=/tmp/warm/state NODE_COMPILE_CACHE={_CACHE}
export OPENCLAW_GATEWAY_TOKEN=warm OPENCLAW_DISABLE_BONJOUR=1 OPENCLAW_NO_RESPAWN=1 OPENCLAW_SKIP_CHANNELS=1
mkdir -p /tmp/warm/state
node {_ENTRY} gateway --allow-unconfigured --port 18789 >/tmp/warm/log 2>&1 &
for i in $(seq 180); do curl -sf -m 2 http://127.0.0.1:18789/readyz >/dev/null && break; sleep 0.5; done
curl -sf -m 2 http://127.0.0.1:18789/readyz >/dev/null || {{ cat /tmp/warm/log; exit 1; }}
node {CLI[1]} --version
sleep 2
kill -TERM $!
wait'"""

RECIPE = ImageRecipe(
    image=IMAGE,
    packages=("ca-certificates", "curl", "git", "procps", "tini"),
    node="24.19.0",
    node_packages=(f"openclaw@{VERSION}",),
    node_lock=files("agentpod_openclaw").joinpath("package-lock.json").read_text("utf-8"),
    user="node",
    steps=(
        "ln -sf /app/node_modules/openclaw/openclaw.mjs /usr/local/bin/openclaw",
        f"install -d -o 1000 -g 1000 -m 0700 {STATE}",
        f"install -d -o 1000 -g 1000 -m 0755 {_CACHE}",
        _WARM,
        "rm -rf /tmp/warm /tmp/openclaw",
    ),
    env={
        "NODE_ENV": "production",
        "NODE_COMPILE_CACHE": _CACHE,
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
    command=("node", _ENTRY, "gateway", "--bind", "lan", "--port", "18789"),
    workdir="/home/node",
)
