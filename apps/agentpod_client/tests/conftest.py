"""A server that answers what it is told to, and a client of it that waits without losing time."""

from __future__ import annotations

import pytest

from agentpod_client import Client
from agentpod_client.testing import FakeServer

TOKEN = "ap_the-token-that-nobody-may-see"


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += max(seconds, 0.01)


@pytest.fixture
def server():
    """Give a fake server."""
    fake = FakeServer()
    yield fake
    fake.close()


@pytest.fixture
def clock():
    """Give the clock of the client."""
    return Time()


@pytest.fixture
def token():
    """Give the token that every request carries."""
    return TOKEN


@pytest.fixture
def client(server, clock):
    """Give a client of the fake server."""
    with Client(server.url, TOKEN, clock=clock, sleep=clock.sleep) as made:
        yield made
