"""Waiting: how each step is told, and with which words and exit code it ends."""

from __future__ import annotations

import pytest

from agentpod_cli.errors import CliError
from agentpod_cli.inputs import SPAN, Reference
from agentpod_cli.progress import PlainSteps
from agentpod_cli.texts import texts_in
from agentpod_cli.wait import Waiter
from agentpod_client import Client, waiting

POD = "/tenants/acme/pods/support"
SUPPORT = Reference("acme", "support")


class Told:
    """Remembers the steps."""

    def __init__(self):
        self.steps = []

    def step(self, text):
        self.steps.append(text)

    def percent(self, amount):
        pass


@pytest.fixture
def told():
    """Give what remembers the steps."""
    return Told()


@pytest.fixture
def waiter(told, server, monkeypatch):
    """Make a waiter on a server that gives these pods one after the other; the last stays."""
    monkeypatch.setattr(waiting, "FIRST_PAUSE", 0.001)
    clients = []

    def make(*pods, timeout=60.0):
        for pod in pods:
            server.on("GET", POD, pod)
        clients.append(Client(server.url, retries=0))
        return Waiter(clients[0], texts_in("en"), told, timeout=timeout)

    yield make
    for client in clients:
        client.close()


def test_steps_are_told_once_each_until_it_is_ready(waiter, told, make_pod):
    """A person sees how it goes on, and no line twice."""
    creating = make_pod(phase="creating", status={"message": "Pulling."})
    accepted = make_pod(status={"observed_generation": 1})
    starting = make_pod(phase="starting", status={"message": ""})
    waiter(accepted, creating, creating, starting, make_pod()).ready(SUPPORT, 2)
    assert told.steps == ["accepted", "creating: Pulling.", "starting: Waiting"]


def test_a_server_that_is_away_is_told(waiter, told, server, make_pod):
    """The user sees why nothing goes on."""
    patient = waiter(make_pod(phase="starting"))
    server.on("GET", POD, "<html>Bad Gateway</html>", status=502, media="text/html")
    server.on("GET", POD, make_pod())
    patient.ready(SUPPORT, 2)
    assert told.steps[-1] == "the server does not answer; waiting for it"


def test_not_ready_in_time_is_5_with_the_last_word(waiter, make_pod):
    """The timeout tells what it was waiting for."""
    with pytest.raises(CliError) as caught:
        waiter(make_pod(phase="starting"), timeout=0.05).ready(SUPPORT, 2)
    assert caught.value.exit_code == 5
    assert "It is starting." in caught.value.format_message()
    assert "50 ms" in caught.value.format_message()


def test_blocked_is_1_at_once_with_reason_and_repair(waiter, make_pod):
    """Nobody waits for what will not come."""
    status = {"message": "The config is bad.", "repair": "Mend the config."}
    with pytest.raises(CliError) as caught:
        waiter(make_pod(phase="blocked", status=status), timeout=1e9).ready(SUPPORT, 2)
    assert caught.value.exit_code == 1
    assert "The config is bad." in caught.value.format_message()
    assert "Mend the config." in caught.value.format_message()


def test_a_pod_that_was_stopped_meanwhile_is_1(waiter, make_pod):
    """Somebody else's stop ends the waiting."""
    with pytest.raises(CliError) as caught:
        waiter(make_pod(phase="stopped")).ready(SUPPORT, 2)
    assert (caught.value.reason, caught.value.exit_code) == ("PodNotWanted", 1)


@pytest.mark.parametrize("verb", ["stopped", "pod_gone"])
def test_what_stays_as_it_was_is_5(waiter, make_pod, verb):
    """Stopping and deleting that take too long go on by themselves."""
    patient = waiter(make_pod(), timeout=0.05)
    with pytest.raises(CliError) as caught:
        patient.pod_gone(SUPPORT) if verb == "pod_gone" else patient.stopped(SUPPORT, 2)
    assert caught.value.exit_code == 5


def test_plain_steps_are_lines_on_stderr(capsys):
    """A log file gets one line for each step and one for each quarter."""
    steps = PlainSteps()
    steps.step("Pulling")
    for amount in (None, 10.0, 30.0, 31.0, 100.0):
        steps.percent(amount)
    assert capsys.readouterr() == ("", "Pulling\nPulling 25 %\nPulling 100 %\n")


def test_a_terminal_shows_a_moving_line(agentpod, server, make_pod):
    """Steps go to stderr on a terminal too."""
    server.on("POST", "/tenants/acme/pods", make_pod())
    server.on("GET", "/tenants/acme/pods/support", make_pod(phase="creating"))
    server.on("GET", "/tenants/acme/pods/support", make_pod())
    ended = agentpod("pod", "create", "acme/support", "--adapter", "echo", terminal=True)
    assert ended.code == 0
    assert "creating" in ended.err
    assert "creating" not in ended.out


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_spans_of_time_are_read(text, seconds):
    """Seconds, minutes and hours."""
    assert SPAN.convert(text, None, None) == seconds


def test_a_wrong_span_is_a_usage_error(agentpod):
    """It says how to write one."""
    ended = agentpod("pod", "start", "acme/support", "--timeout", "soon")
    assert ended.code == 2
    assert "90s" in ended.err
