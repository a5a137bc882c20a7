"""A hundred creates in a row, and how many of those pods are ready in the end, with no second command."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence

from harness import Case, Row, at_least, figure
from stage import Stage
from stage.platform import CROWDED
from stage.waiting import until

TITLE = "100 creates in a row"
PODS = 100
TENANTS = ("series", "series-1")
PATIENCE = 300.0


def run(stage: Stage) -> Sequence[Row]:
    """Create them without waiting for any, then only look."""
    platform = stage.platform
    platform.image("echo")
    wanted = 10 if stage.is_quick else PODS
    for tenant in TENANTS:
        platform.tenant(tenant)
    begun = time.monotonic()
    for number in range(wanted):
        tenant = TENANTS[number // CROWDED]
        platform.call("POST", f"/tenants/{tenant}/pods", {"name": f"p{number}", "adapter": "echo"})

    def ready() -> int:
        pages = [platform.call("GET", f"/tenants/{tenant}/pods?limit=500")["items"] for tenant in TENANTS]
        return sum(bool(pod["status"]["ready"]) for page in pages for pod in page)

    # How many are in the end is the figure.
    with contextlib.suppress(TimeoutError):
        until(lambda: ready() == wanted, "all are ready", seconds=PATIENCE, every=0.25)
    taken = time.monotonic() - begun
    count = ready()
    for tenant in TENANTS:
        platform.clear(tenant)
    return [
        figure(f"{TITLE} → ready", [count], "pods", goal=at_least(wanted, "pods"), note="no second command"),
        figure(f"{TITLE}: until the last is ready", [taken], "s"),
    ]


CASE = Case(name="series", title=TITLE, run=run)
