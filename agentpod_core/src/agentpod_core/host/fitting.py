"""Says whether a plugin was built for this version of the core, by what its distribution requires.

Read from the distribution's metadata before any of its code runs. What else it requires is the installer's business.
"""

from __future__ import annotations

from importlib import metadata
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

CORE: Final = "agentpod-core"


def core_wanted(distribution: metadata.Distribution, present: str) -> str | None:
    """Give the versions of the core that a distribution was built for, if the present one is none of them."""
    wanted = [
        str(one.specifier)
        for one in _requirements(distribution)
        if canonicalize_name(one.name) == CORE and not one.specifier.contains(present, prereleases=True)
    ]
    return ", ".join(wanted) or None


def core_version() -> str:
    """Give the version of the core that is running."""
    return metadata.version(CORE)


def _requirements(distribution: metadata.Distribution) -> list[Requirement]:
    found = []
    for line in distribution.requires or ():
        try:
            one = Requirement(line)
        except InvalidRequirement:
            # Whatever it is, no installer understood it either.
            continue
        # What only an extra asks for is not asked of us.
        if one.marker is None or one.marker.evaluate({"extra": ""}):
            found.append(one)
    return found
