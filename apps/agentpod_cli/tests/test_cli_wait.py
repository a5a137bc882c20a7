"""Waiting: what ends it, how each step is told, and what a short absence of the server does."""

from __future__ import annotations

import pytest

from agentpod_cli.errors import CliError, ServerError
from agentpod_cli.exits import Exit
from agentpod_cli.inputs import SPAN, Reference
from agentpod_cli.progress import PlainSteps
from agentpod_cli.texts import texts_in
from agentpod_cli.wait import PATIENCE, Waiter

SUPPORT = Reference("acme", "support")


class Time:
    """A clock that moves only when somebody sleeps."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += max(seconds, 0.01)


class Told:
    """Remembers the steps."""

    def __init__(self):
        self.steps = []

    def step(self, text):
        self.steps.append(text)

    def percent(self, amount):
        pass


class Script:
    """A client that gives scripted answers; the last stays."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def pod(self, tenant, pod):
        del tenant, pod
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def told():
    """Give what remembers the steps."""
    return Told()


@pytest.fixture
def waiter(told):
    """Make a waiter on a script."""

    def make(*answers, timeout=60.0):
        time = Time()
        return Waiter(Script(*answers), texts_in("en"), told, timeout=timeout, clock=time, sleep=time.sleep)

    return make


def away():
    """Give what a server that is away amounts to."""
    return CliError("ServerUnreachable", Exit.UNREACHABLE, server="s", source="x", why="refused")


def test_steps_are_told_once_each_until_it_is_ready(waiter, told, make_pod):
    """A person sees how it goes on, and no line twice."""
    creating = make_pod(phase="creating", status={"message": "Pulling."})
    accepted = make_pod(spec={"generation": 2}, status={"observed_generation": 1})
    starting = make_pod(phase="starting", status={"message": ""})
    waiter(accepted, creating, creating, starting, make_pod()).ready(SUPPORT, 2)
    assert told.steps == ["accepted", "creating: Pulling.", "starting: Waiting"]


def test_a_readiness_of_an_older_generation_does_not_count(waiter, make_pod):
    """The pod that is to be replaced is not taken for the new one."""
    done = waiter(make_pod(), make_pod(status={"observed_generation": 3})).ready(SUPPORT, 3)
    assert done["status"]["observed_generation"] == 3


def test_an_agent_that_answers_until_it_is_restarted_does_not_count(waiter, make_pod):
    """Ready is only what the phase calls so too."""
    before = make_pod(phase="starting", status={"ready": True})
    assert waiter(before, make_pod()).ready(SUPPORT, 2)["status"]["phase"] == "running"


def test_not_ready_in_time_is_5_with_the_last_word(waiter, make_pod):
    """The timeout tells what it was waiting for."""
    with pytest.raises(CliError) as caught:
        waiter(make_pod(phase="starting"), timeout=2.0).ready(SUPPORT, 2)
    assert caught.value.exit_code == 5
    assert "It is starting." in caught.value.format_message()
    assert "2.0 s" in caught.value.format_message()


def test_blocked_is_1_at_once_with_reason_and_repair(waiter, make_pod):
    """Nobody waits for what will not come."""
    status = {"message": "The config is bad.", "repair": "Mend the config."}
    time_out = waiter(make_pod(phase="blocked", status=status), timeout=1e9)
    with pytest.raises(CliError) as caught:
        time_out.ready(SUPPORT, 2)
    assert caught.value.exit_code == 1
    assert "The config is bad." in caught.value.format_message()
    assert "Mend the config." in caught.value.format_message()


def test_a_pod_that_was_stopped_meanwhile_is_1(waiter, make_pod):
    """Somebody else's stop ends the waiting."""
    with pytest.raises(CliError) as caught:
        waiter(make_pod(phase="stopped")).ready(SUPPORT, 2)
    assert (caught.value.reason, caught.value.exit_code) == ("PodNotWanted", 1)


def test_a_pod_that_is_gone_is_3(waiter):
    """A deletion by somebody else is told as such."""
    with pytest.raises(ServerError) as caught:
        waiter(ServerError(404, {"reason": "PodNotFound"})).ready(SUPPORT, 2)
    assert caught.value.exit_code == 3


def test_a_short_absence_of_the_server_is_waited_out(waiter, told, make_pod):
    """A server that restarts does not end a command that follows it."""
    waiter(make_pod(phase="starting"), away(), away(), make_pod()).ready(SUPPORT, 2)
    assert "the server does not answer; waiting for it" in told.steps


def test_a_long_absence_of_the_server_is_7(waiter):
    """A server that stays away is told after its patience is over."""
    waiting = waiter(away(), timeout=1000.0)
    with pytest.raises(CliError) as caught:
        waiting.ready(SUPPORT, 2)
    assert caught.value.exit_code == 7
    assert float(waiting.passed.split(" ")[0]) >= PATIENCE


def test_what_should_go_and_stays_is_5(waiter, make_pod):
    """Deleting that takes too long goes on by itself."""
    waiting = waiter(make_pod(phase="deleting"), timeout=3.0)
    with pytest.raises(CliError) as caught:
        waiting.gone("acme/support", make_pod)
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
