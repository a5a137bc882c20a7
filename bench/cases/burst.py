"""Fifty echo pods at once until all run, against the engine's bare API making the same containers.

Both count from before the first request until the moment at which the engine itself saw the last container run. The
same number of hands works on both sides: as many threads make the reference's containers, and send the requests for
ours, as passes of the platform work at once. Network, limits, labels and files are the same. docker-compose 1.29.2,
where it can be installed, gets the same containers to make in its own way, with the agent's files bound instead of
written; its line is for reading. Deleting does not count.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from agentpod_core.controller import Pace
from agentpod_echo import EchoAdapter
from harness import Case, Row, Turns, absent, interleaved, ratio, times_at_most
from stage import Stage
from stage.asking import Question, answered_at
from stage.compose import Compose, MissingError
from stage.engine import Engine
from stage.twin import ADDRESS, Twins, contents, workload
from stage.waiting import until

TITLE = "50 echo pods at once → all run"
TENANT = "burst"
PODS = 50
PAIRS = 3
COMPOSED = 2
HANDS = Pace().workers
PORT = 8080


def run(stage: Stage) -> Sequence[Row]:
    """Let both make them in turns, and docker-compose after that."""
    platform, engine = stage.platform, stage.engine
    platform.image("echo")
    platform.tenant(TENANT)
    platform.call("POST", f"/tenants/{TENANT}/pods", {"name": "pattern", "adapter": "echo"})
    pattern = engine.inspect(platform.container(platform.until_ready(TENANT, "pattern")))
    files = contents(workload(EchoAdapter(), {}))
    addresses = _after(ADDRESS, 5 if stage.is_quick else PODS)
    numbers = itertools.count()

    def ours() -> float:
        names = [f"p{next(numbers)}" for _ in addresses]
        begun = time.time()
        made = _by_hands(
            lambda name: platform.call("POST", f"/tenants/{TENANT}/pods", {"name": name, "adapter": "echo"}), names
        )
        containers = [platform.container(pod) for pod in made]
        until(lambda: all(map(engine.is_running, containers)), "all run", seconds=180, every=0.2)
        taken = max(map(engine.started_at, containers)) - begun
        for name in names:
            platform.until_ready(TENANT, name, seconds=180)
        _by_hands(lambda name: platform.delete(TENANT, name), names)
        return taken

    def reference() -> float:
        names = [f"apbench-burst-{next(numbers)}" for _ in addresses]
        hands = [Engine(engine.run) for _ in range(HANDS)]
        free = [Twins(hand, pattern, files) for hand in hands]

        def make(name: str, address: str) -> None:
            # A connection is one thread's at a time.
            mine = free.pop()
            mine.create(name, address)
            mine.send_files(name)
            mine.start(name)
            free.append(mine)

        begun = time.time()
        _by_hands(lambda pair: make(*pair), zip(names, addresses, strict=True))
        taken = max(map(engine.started_at, names)) - begun
        Twins(engine, pattern, files).prove(names[-1])
        for name in names:
            engine.remove(name)
        for hand in hands:
            hand.close()
        return taken

    taken = interleaved(ours, reference, count=stage.turns(PAIRS))
    rows = [ratio(TITLE, taken, times_at_most(1.1), note=f"against the raw Docker API, {HANDS} at once on both sides")]
    rows.append(beside(stage, taken, addresses, lambda compose: compose.write(pattern, files, addresses, engine.run)))
    platform.clear(TENANT)
    return rows


def beside(stage: Stage, taken: Turns, addresses: list[str], write: Callable[[Compose], None]) -> Row:
    """Let docker-compose make them too, in its own time."""
    engine = stage.engine
    with tempfile.TemporaryDirectory(prefix="agentpod-bench-compose-") as folder:
        Path(folder).chmod(0o755)
        try:
            compose = Compose(Path(folder), engine.run)
        except MissingError as missing:
            return absent(f"{TITLE}, beside docker-compose", str(missing))
        write(compose)
        spent = []
        for _ in range(1 if stage.is_quick else COMPOSED):
            begun = time.time()
            compose.up()
            spent.append(max(map(engine.started_at, compose.containers())) - begun)
            for address in addresses:
                answered_at(Question(address=address, port=PORT, host=address, path="/readyz"))
            compose.down()
    theirs = Turns(ours=taken.ours, reference=[statistics.median(spent)] * len(taken.ours))
    return ratio(f"{TITLE}, beside docker-compose", theirs, note=f"docker-compose 1.29.2, {len(spent)} times")


def _by_hands(work: Callable[[Any], Any], things: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(HANDS) as hands:
        return list(hands.map(work, things))


def _after(address: str, count: int) -> list[str]:
    start, _, last = address.rpartition(".")
    return [f"{start}.{int(last) + number}" for number in range(count)]


CASE = Case(name="burst", title=TITLE, run=run)
