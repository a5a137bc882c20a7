"""Histories on a real engine, with real PostgreSQL, Traefik and server: whatever happened, in peace all is well again.

Three tenants live their histories side by side; in each round some things befall the whole platform, too.
``AGENTPOD_CHAOS_ROUNDS=100`` lives more of them, and ``AGENTPOD_CHAOS_SEED`` others.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import os
import random
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from types import SimpleNamespace

import pytest
from real.foreign import Foreign, foreign
from real.hands import HANDS, dealt, kill, lend, live
from real.misfortunes import Misfortunes
from real.outages import (
    assert_a_frozen_engine_is_told_and_blames_nobody,
    assert_an_engine_that_starts_again_in_order_blames_nobody,
)
from real.receiver import Receiver
from real.tenancy import Tenancy
from real.truths import undelivered, untold, untruths
from real.watch import PATIENCE, Watch, until

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(1800)]

STEPS = 4
KILLED = "the leader is killed in the midst of making a pod"
MISFORTUNES = (
    (KILLED,),
    ("PostgreSQL is killed", "the leader freezes for a moment"),
    (KILLED, "PostgreSQL is restarted"),
    ("the engine restarts",),
    ("a second server comes", KILLED),
    ("the leader freezes for longer than its lease",),
    ("PostgreSQL is restarted", KILLED),
    ("the second server is killed", "the engine is killed"),
    ("the router is killed", KILLED),
    ("PostgreSQL is killed", "the engine restarts"),
)
ROUNDS = int(os.environ.get("AGENTPOD_CHAOS_ROUNDS", len(MISFORTUNES)))
SEED = int(os.environ.get("AGENTPOD_CHAOS_SEED", "1"))


def assert_a_crash_loop_is_told_once(tenancy: Tenancy, receiver: Receiver) -> None:
    """Somebody is told of an agent that ends again and again, once, and once of its end."""
    pod = tenancy.pods[0]

    def alerts() -> list[dict]:
        return tenancy.platform.call(lambda: list(tenancy.client.list_alerts(tenant=pod.tenant, pod=pod.name)))

    def is_looping() -> bool:
        if tenancy.platform.container(pod.id).get("State", {}).get("Running"):
            with contextlib.suppress(OSError, RuntimeError):
                # Between two tries there is nobody to kill.
                kill(tenancy, pod)
        return [one["reason"] for one in alerts()] == ["CrashLoop"]

    until(is_looping, "it is a crash loop")
    tenancy.restart(pod)
    until(lambda: len(receiver.of(pod.tenant, pod.name)) > 1, "that it is over is told")
    (alert,) = alerts()
    assert receiver.of(pod.tenant, pod.name) == [("alert.raised", alert["id"]), ("alert.recovered", alert["id"])]


def assert_everybody_was_told(tenancies: list[Tenancy], receiver: Receiver) -> None:
    """Of every trouble there was an alert, which is over, and somebody was told of it and of its end."""

    def missing() -> list[str]:
        first = tenancies[0]
        every = first.platform.call(lambda: list(first.client.list_alerts()))
        return [*undelivered(every, receiver), *(what for one in tenancies for what in untold(one, receiver))]

    deadline = time.monotonic() + PATIENCE
    while found := missing():
        assert time.monotonic() < deadline, "\n".join(found)
        time.sleep(0.5)
    told = Counter((one["data"]["alert_id"], one["type"]) for one in receiver.got)
    assert told, "there were troubles, and nobody was told of any"


def assert_an_address_is_left_to_who_has_it(tenancy: Tenancy, watch: Watch, things: Foreign) -> None:
    """A pod whose address somebody took says so and lets it be; it comes up once the other one is gone."""
    pod = tenancy.pods[0]
    until(things.holds_address, "the address is taken")
    tenancy.start(pod)

    def status() -> dict:
        (found,) = tenancy.platform.call(lambda: list(tenancy.client.list_tenant_pods(tenancy.tenant)))
        return found["status"]

    until(lambda: status()["reason"] == "AddressTaken", "it says that its address is taken", status)
    assert [what for what in watch.untruths() if "foreign" in what] == []
    things.leave_address()


def rest(tenancies: list[Tenancy], watch: Watch, history: list[str]) -> float:
    """Wait until all is well; let the new pods learn something then, and want all to run. Say how long that took."""
    took = watch.converged(history)
    for one in tenancies:
        for pod in [pod for pod in one.pods if not pod.token and not pod.is_stopped]:
            one.settle(pod)
    for one in tenancies:
        one.start_all()
    return took


def assert_every_hand_came_to_something(tenancies: list[Tenancy], watch: Watch) -> Counter[str]:
    """Whatever can be done was done; what came to nothing each time, comes to something in peace. Count it all."""
    first = tenancies[0]
    while missing := sorted(HANDS.keys() - {name for one in tenancies for name in one.done}):
        # In peace nothing is in its way: where it fails, it fails here.
        lend(first, missing[0], first.pods[0])
        rest(tenancies, watch, missing[:1])
        watch.converged(["all are to run again"])
    return sum((one.done for one in tenancies), Counter())


def assert_what_is_wrong_is_noticed(tenancy: Tenancy, watch: Watch) -> None:
    """The truths have teeth: of a world that is well, they say of each thing that is expected otherwise that it is."""
    pod, other = tenancy.pods
    wrong = (
        (replace(pod, token=other.token), "its route or its token"),
        (replace(pod, address=other.address), "its addresses are"),
        (replace(pod, note=other.note), "it has forgotten"),
        (replace(pod, image="another:1"), "its image is"),
        (replace(pod, memory=pod.memory + 1), "its limits are"),
        (replace(pod, is_stopped=True), "it is to be stopped"),
        (replace(pod, id=f"not-{pod.id}"), "the platform does not know it"),
    )
    seen = copy.copy(tenancy)
    for expected, said in wrong:
        seen.pods = [expected]
        found = list(untruths(seen))
        assert [said in what for what in found] == [True], (said, found)
    seen.pods, seen.gone = [], [pod.id]
    assert list(untruths(seen)) == [f"{pod.id} was deleted, and something of it is left"]
    every = tenancy.platform.call(lambda: list(tenancy.client.list_alerts()))
    assert len(list(undelivered(every, SimpleNamespace(got=[])))) > 0
    assert watch.untruths() == []
    tenancy.engine.docker("exec", "nobodys", "sh", "-c", "echo yours > /kept/note")
    assert watch.untruths() == ["the foreign content is yours\n"]


def test_every_history_ends_well(private_platform, capsys, tmp_path) -> None:
    """One container for each wanted pod, none for others; data, address, token and foreign objects as they were."""
    platform = private_platform(
        AGENTPOD_TIME_SCALE="0.05", AGENTPOD_NOTIFY_PRIVATE_ADDRESSES="127.0.0.1", AGENTPOD_DISK_ALERT_PERCENT="100"
    )
    closing = ExitStack()
    receiver = Receiver(platform.call)
    closing.callback(receiver.close)
    (tmp_path / "url").write_text(f"http://127.0.0.1:{receiver.port}/hook")
    (tmp_path / "key").write_text("whsec_" + base64.b64encode(os.urandom(32)).decode())
    secrets = ("--secret", f"url=@{tmp_path / 'url'}", "--secret", f"key=@{tmp_path / 'key'}")
    platform.agentpod("notifier", "add", "ops", "--kind", "webhook", *secrets)
    tenancies = [Tenancy(platform, tenant, 2) for tenant in ("acme", "bolt", "cord")]
    away = Tenancy(platform, "away", 1)
    away.stop(away.pods[0])
    misfortunes = Misfortunes(platform, random.Random(SEED))
    for one in (*tenancies, away, misfortunes):
        closing.callback(one.close)
    with closing, foreign(platform.engine) as things, ThreadPoolExecutor(len(tenancies)) as side_by_side:
        assert_a_frozen_engine_is_told_and_blames_nobody(tenancies, receiver)
        assert_an_engine_that_starts_again_in_order_blames_nobody(tenancies)
        assert_a_crash_loop_is_told_once(tenancies[0], receiver)
        until(lambda: not platform.container(away.pods[0].id)["State"]["Running"], "it is stopped")
        things.take_address(away.pods[0])
        watch = Watch([*tenancies, away], things)
        plan = dealt(random.Random(SEED), ROUNDS * len(tenancies) * STEPS)
        for number in range(ROUNDS):
            chance = random.Random(SEED * 1000 + number)
            lives = []
            for at, one in enumerate(tenancies):
                begin = (number * len(tenancies) + at) * STEPS
                seed = SEED * 100_000 + number * 10 + at
                lives.append(side_by_side.submit(live, one, seed, plan[begin : begin + STEPS]))
            time.sleep(chance.uniform(0.0, 1.0))
            befell = MISFORTUNES[number % len(MISFORTUNES)]
            for one in befell:
                misfortunes.befall(one, tenancies)
            history = [*befell, *(what for life in lives for what in [*life.result(), "--"])]
            took = rest(tenancies, watch, history)
            if number == ROUNDS // 2:
                assert_an_address_is_left_to_who_has_it(away, watch, things)
                watch = Watch([*tenancies, away], things)
            with capsys.disabled():
                # It takes minutes: whoever waits sees how far it came, and a run that is cut short says where.
                sys.stdout.write(f"\n  round {number}: well after {took:.1f} s: {', '.join(history)}")
        rest(tenancies, watch, ["the end"])
        done = assert_every_hand_came_to_something(tenancies, watch)
        with capsys.disabled():
            sys.stdout.write("\n  " + ", ".join(f"{name}: {count}" for name, count in sorted(done.items())))
        assert_everybody_was_told([*tenancies, away], receiver)
        assert_what_is_wrong_is_noticed(tenancies[0], watch)
