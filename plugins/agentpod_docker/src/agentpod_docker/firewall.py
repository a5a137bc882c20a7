"""Closes the host's own services to pods: a chain of ours, hooked into INPUT.

A pod reaches anything on the host that listens on all addresses, by way of any bridge's address. Only
new connections into the host are refused; the host still reaches its pods. Nothing foreign is
changed, and where this cannot be had it is said, never raised.
"""

from __future__ import annotations

import asyncio
import ipaddress
import shutil
from collections.abc import Sequence
from pathlib import Path

from agentpod_core import Protection

BACKENDS = ("iptables", "iptables-nft", "iptables-legacy")
RESOLVERS = Path("/etc/resolv.conf")
_ENGINE_CHAIN = "-N DOCKER-USER"


def chain(instance: str) -> str:
    """Name an instance's chain."""
    return f"AGENTPOD-{instance.upper()}"


def hook(instance: str) -> str:
    """Give the rule in INPUT that leads every packet from our bridges into our chain."""
    return f"-A INPUT -i ap{instance}-+ -j {chain(instance)}"


def rules(instance: str, ports: Sequence[int], resolvers: Sequence[str]) -> list[str]:
    """Give our chain's rules; what it lets pass goes on to the host's own rules."""
    name = chain(instance)
    return [
        f"-A {name} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        *(f"-A {name} -p tcp -m tcp --dport {port} -j RETURN" for port in sorted(set(ports))),
        *(
            f"-A {name} -d {resolver}/32 -p {protocol} -m {protocol} --dport 53 -j RETURN"
            for resolver in resolvers
            for protocol in ("udp", "tcp")
        ),
        f"-A {name} -j DROP",
    ]


def is_closed(instance: str, listing: Sequence[str]) -> bool:
    """Say whether a listing of all rules shows the host closed, with nothing of others before it."""
    incoming = [line for line in listing if line.startswith("-A INPUT ")]
    if hook(instance) not in incoming or f"-A {chain(instance)} -j DROP" not in listing:
        return False
    before = incoming[: incoming.index(hook(instance))]
    # Another AgentPod's hook speaks of other bridges.
    return all("-j AGENTPOD-" in line for line in before)


def local_resolvers(text: str) -> list[str]:
    """List the IPv4 name servers of a resolver file that a pod's questions may be passed on to."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or words[0] != "nameserver":  # noqa: PLR2004
            continue
        try:
            address = ipaddress.ip_address(words[1])
        except ValueError:
            continue
        if address.version == 4 and not address.is_loopback:  # noqa: PLR2004
            found.append(str(address))
    return found


async def protect(instance: str, ports: Sequence[int]) -> Protection:
    """Close the host but for those TCP ports and its resolver; twice is once."""
    program, listing = await _find()
    if program is None:
        return Protection(active=False, reason=listing[0])
    wanted = rules(instance, ports, local_resolvers(_resolver_file()))
    present = [line for line in listing if line.startswith(f"-A {chain(instance)} ")]
    if wanted == present and is_closed(instance, listing):
        return Protection(active=True)
    # One transaction: between two rules nothing is open or shut that should not be.
    lines = [
        f":{chain(instance)} - [0:0]",
        *wanted,
        *_unhooking(instance, listing),
        hook(instance).replace("-A INPUT", "-I INPUT 1", 1),
    ]
    done = await _restore(program, lines)
    return Protection(active=True) if done else Protection(active=False, reason="FirewallRefused")


async def protection(instance: str) -> Protection:
    """Say whether the host is closed."""
    program, listing = await _find()
    if program is None:
        return Protection(active=False, reason=listing[0])
    if is_closed(instance, listing):
        return Protection(active=True)
    return Protection(active=False, reason="NotProtected")


async def unprotect(instance: str) -> None:
    """Take our chain away; fine where there is none."""
    program, listing = await _find()
    if program is None:
        return
    lines = _unhooking(instance, listing)
    if f"-N {chain(instance)}" in listing:
        lines += [f"-F {chain(instance)}", f"-X {chain(instance)}"]
    if lines:
        await _restore(program, lines)


def _resolver_file() -> str:
    return RESOLVERS.read_text() if RESOLVERS.exists() else ""


async def protected_instances() -> list[str]:
    """List the instances that have a chain here."""
    program, listing = await _find()
    prefix = f"-N {chain('')}"
    return [line.removeprefix(prefix).lower() for line in listing if program and line.startswith(prefix)]


def _unhooking(instance: str, listing: Sequence[str]) -> list[str]:
    return [hook(instance).replace("-A", "-D", 1)] * list(listing).count(hook(instance))


async def _find() -> tuple[str | None, list[str]]:
    """Find the program whose rules are the engine's, and all rules; None, and the reason, where there is none."""
    present = [name for name in BACKENDS if shutil.which(name)]
    if not present:
        return None, ["FirewallMissing"]
    permitted: tuple[str | None, list[str]] = (None, ["FirewallNotPermitted"])
    for name in present:
        code, text = await _run((name, "-w", "5", "-S"))
        listing = text.splitlines()
        if code == 0 and _ENGINE_CHAIN in listing:
            return name, listing
        if code == 0 and permitted[0] is None:
            permitted = name, listing
    return permitted


async def _restore(program: str, lines: Sequence[str]) -> bool:
    text = "\n".join(["*filter", *lines, "COMMIT", ""])
    code, _ = await _run((f"{program}-restore", "--noflush", "-w", "5"), text)
    return code == 0


async def _run(argv: Sequence[str], text: str = "") -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    output, _ = await process.communicate(text.encode())
    return process.returncode or 0, output.decode(errors="replace")
