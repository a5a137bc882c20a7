"""Probes that do whatever a probe must not do, and a kind of agent that is asked by each."""

from __future__ import annotations

import asyncio
import sys
import time

import msgspec

from agentpod_core import HealthProbe, hookimpl
from agentpod_echo import EchoAdapter


def asked_by(probe):
    """Give a kind of agent that a probe of that name is to ask."""

    class Adapter(EchoAdapter):
        name = probe
        title = probe

        def workload(self, config, pod, package):
            made = super().workload(config, pod, package)
            asks = msgspec.structs.replace(made.probe, probe=probe, timeout=0.5, interval=0.5, start_interval=0.2)
            return msgspec.structs.replace(made, probe=asks)

    return Adapter()


class Bad(HealthProbe):
    title = "Bad"


class Asleep(Bad):
    name = "asleep"

    async def check(self, link, settings, *, timeout):
        time.sleep(10**6)


class Spinning(Bad):
    name = "spinning"

    async def check(self, link, settings, *, timeout):
        while True:
            pass


class Waiting(Bad):
    name = "waiting"

    async def check(self, link, settings, *, timeout):
        await asyncio.get_running_loop().create_future()


class Stubborn(Bad):
    name = "stubborn"

    async def check(self, link, settings, *, timeout):
        while True:
            try:
                await asyncio.sleep(10**6)
            except asyncio.CancelledError:
                pass


class Quitting(Bad):
    name = "quitting"

    async def check(self, link, settings, *, timeout):
        sys.exit(3)


class Silly(Bad):
    name = "silly"

    async def check(self, link, settings, *, timeout):
        return "fine"


ALL = (Asleep, Spinning, Waiting, Stubborn, Quitting, Silly)


@hookimpl
def agentpod_health_probes():
    """Offer them."""
    return [one() for one in ALL]


@hookimpl
def agentpod_agents():
    """Offer them."""
    return [asked_by(one.name) for one in ALL]
