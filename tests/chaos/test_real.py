"""Histories on a real engine, with real PostgreSQL, Traefik and server: whatever happened, in peace all is well again.

Three tenants live their histories side by side; in each round something befalls the whole platform, too.
``AGENTPOD_CHAOS_ROUNDS=100`` lives more of them, and ``AGENTPOD_CHAOS_SEED`` others.
"""

from __future__ import annotations

import base64
import os
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from real import Receiver, Tenancy, foreign_container, kill_after_event, kill_postgres

from agentpod_client import ClientError

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]

ROUNDS = int(os.environ.get("AGENTPOD_CHAOS_ROUNDS", "10"))
SEED = int(os.environ.get("AGENTPOD_CHAOS_SEED", "1"))
PATIENCE = 60.0
STEPS = 4


def befall(platform, what: str, chance: random.Random) -> None:
    """Let something happen to the platform as a whole."""
    match what:
        case "the server is killed":
            kill_after_event(platform, chance.randint(1, 12))
            platform.up()
        case "the engine restarts":
            platform.engine.restart()
        case "the engine is killed":
            platform.engine.cut_power()
            platform.engine.start()
        case "PostgreSQL is killed":
            kill_postgres(platform)
        case "the server freezes":
            platform.process.send_signal(signal.SIGSTOP)
            time.sleep(3)
            platform.process.send_signal(signal.SIGCONT)


MISFORTUNES = (
    "the server is killed",
    "PostgreSQL is killed",
    "the engine restarts",
    "the server is killed",
    "the engine is killed",
    "the server freezes",
    "nothing",
)


def converged(tenancies: list[Tenancy], history: list[str]) -> float:
    """Wait until all is as it must be, and say how long that took."""
    begun = time.monotonic()
    found = ["nobody has looked yet"]
    while found:
        if time.monotonic() > begun + PATIENCE:
            log = tenancies[0].platform.log[-6000:]
            pytest.fail("\n".join(["after", *history, f"within {PATIENCE:g} s:", *found, log]))
        time.sleep(0.3)
        try:
            found = [what for one in tenancies for what in one.untruths()]
        except (ClientError, httpx.HTTPError, RuntimeError) as error:
            # Who cannot be asked just now is not well yet.
            found = [repr(error)]
    return time.monotonic() - begun


def assert_everybody_was_told(tenancy: Tenancy, receiver: Receiver) -> None:
    """Every alert that was raised in these histories is over, and somebody was told of it, and of its end."""
    deadline = time.monotonic() + PATIENCE
    while missing := list(tenancy.untold(receiver)):
        assert time.monotonic() < deadline, "\n".join(missing)
        time.sleep(0.5)


def test_every_history_ends_well(private_platform, capsys) -> None:
    """One container for each wanted pod, none for others; data, address, token and foreign objects as they were."""
    platform = private_platform(
        AGENTPOD_TIME_SCALE="0.05", AGENTPOD_NOTIFY_PRIVATE_ADDRESSES="127.0.0.1", AGENTPOD_DISK_ALERT_PERCENT="100"
    )
    receiver = Receiver(platform.call)
    url = f"url=http://127.0.0.1:{receiver.port}/hook"
    key = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    platform.agentpod("notifier", "add", "ops", "--kind", "webhook", "--set", url, "--secret", "key=-", given=key)
    tenancies = [Tenancy(platform, tenant, 3) for tenant in ("acme", "bolt", "cord")]
    with foreign_container(platform.engine) as foreign, ThreadPoolExecutor(len(tenancies)) as side_by_side:
        before = foreign()
        for number in range(ROUNDS):
            chance = random.Random(SEED * 1000 + number)
            misfortune = MISFORTUNES[number % len(MISFORTUNES)]
            lives = [
                side_by_side.submit(one.live, SEED * 100_000 + number * 10 + at, STEPS)
                for at, one in enumerate(tenancies)
            ]
            time.sleep(chance.uniform(0.0, 2.0))
            befall(platform, misfortune, chance)
            history = [misfortune, *(what for life in lives for what in [*life.result(), "--"])]
            took = converged(tenancies, history)
            for one in tenancies:
                for pod in [pod for pod in one.pods if not pod.token and not pod.is_stopped]:
                    one.settle(pod)
            for one in tenancies:
                one.start_all()
            assert foreign() == before
            with capsys.disabled():
                # It takes minutes: whoever waits sees how far it came, and a run that is cut short says where.
                sys.stdout.write(f"\n  round {number}: well after {took:.1f} s: {', '.join(history)}")
        converged(tenancies, ["the end"])
        assert foreign() == before
    assert_everybody_was_told(tenancies[0], receiver)
    for one in tenancies:
        one.close()
    receiver.close()
