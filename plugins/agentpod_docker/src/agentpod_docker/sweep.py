"""Removes what an instance left on an engine, by its label alone: for tests and for cleaning up.

``python -m agentpod_docker.sweep [INSTANCE] [--volumes]``; without an instance, everything of every one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from agentpod_docker import firewall
from agentpod_docker.engine import Engine, Refused, filters
from agentpod_docker.reading import INSTANCE

_AT_ONCE = 8
LOCAL = "unix:///var/run/docker.sock"


async def sweep(url: str, instance: str | None, *, with_volumes: bool) -> list[str]:
    """Remove containers, networks, the chain and, if asked, volumes; give the names of what went."""
    ours = filters(label=[INSTANCE if instance is None else f"{INSTANCE}={instance}"])
    engine = await Engine.connect(url)
    try:
        boxes = await engine.json("GET", "containers/json", params=ours | {"all": "1"})
        bridges = await engine.json("GET", "networks", params=ours)
        stored = (await engine.json("GET", "volumes", params=ours))["Volumes"] or () if with_volumes else ()
        gone = await _remove(
            engine, [(f"containers/{raw['Id']}?force=1&v=1", raw["Names"][0].removeprefix("/")) for raw in boxes]
        )
        gone += await _remove(engine, [(f"networks/{raw['Id']}", raw["Name"]) for raw in bridges])
        gone += await _remove(engine, [(f"volumes/{raw['Name']}", raw["Name"]) for raw in stored])
    finally:
        await engine.close()
    if engine.is_local:
        for one in [instance] if instance else await firewall.protected_instances():
            await firewall.unprotect(one)
    return gone


async def _remove(engine: Engine, objects: list[tuple[str, str]]) -> list[str]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def remove(path: str, name: str) -> list[str]:
        async with turns:
            with contextlib.suppress(Refused):
                await engine.json("DELETE", path)
                return [name]
        return []

    return [name for names in await asyncio.gather(*(remove(*one) for one in objects)) for name in names]


def main(argv: list[str]) -> None:
    """Sweep, and print the names of what went."""
    parser = argparse.ArgumentParser(prog="python -m agentpod_docker.sweep")
    parser.add_argument("instance", nargs="?")
    parser.add_argument("--volumes", action="store_true", help="remove volumes and the data in them too")
    parser.add_argument("--url", default=LOCAL)
    asked = parser.parse_args(argv)
    for name in asyncio.run(sweep(asked.url, asked.instance, with_volumes=asked.volumes)):
        sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
