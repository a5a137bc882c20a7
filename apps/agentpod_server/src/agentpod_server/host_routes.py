"""Which networks this machine already routes, so that no tenant's network is laid over one of them."""

from __future__ import annotations

import ipaddress
from pathlib import Path

_TABLE = Path("/proc/net/route")
_FIELDS = 8


def routed_subnets(instance: str, table: Path = _TABLE) -> list[str]:
    """List the IPv4 subnets that the kernel routes, but for our own bridges and the default route.

    Read from ``/proc/net/route`` (proc(5): interface, destination and mask as little-endian hex);
    empty on a machine that has no such file.
    """
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return []
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < _FIELDS or fields[0].startswith(f"ap{instance}-"):
            continue
        destination, mask = (int.from_bytes(bytes.fromhex(field), "little") for field in (fields[1], fields[7]))
        if mask:
            found.append(str(ipaddress.IPv4Network((destination, mask.bit_count()))))
    return found
