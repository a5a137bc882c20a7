"""Kinds of agents whose code breaks."""

from __future__ import annotations

import time

from agentpod_core import Workload, hookimpl
from agentpod_echo import EchoAdapter


class Bad(EchoAdapter):
    title = "Bad"

    def recipe(self):
        raise RuntimeError("no recipe")


class Raising(Bad):
    name = "raising"

    def workload(self, config, pod, package):
        raise ValueError("a mistake")


class Dozing(Bad):
    name = "dozing"

    def workload(self, config, pod, package):
        time.sleep(10**6)


class Looping(Bad):
    name = "looping"

    def workload(self, config, pod, package):
        while True:
            pass


class Lying(Bad):
    name = "lying"

    def workload(self, config, pod, package):
        return Workload(image=["not", "a", "name"])


@hookimpl
def agentpod_agents():
    """Offer them."""
    return [Raising(), Dozing(), Looping(), Lying()]
