"""Whatever a plan concludes, plans or waits for, there is a whole sentence for it in both languages."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from pod_life import INSTANCE, POD

from agentpod_core import catalogue
from agentpod_core.desired import desire
from agentpod_core.errors import TemporaryError
from agentpod_core.observed import Observed, Probed
from agentpod_core.plan import conclude, hidden, plan, unseen
from agentpod_core.values.names import container_name
from agentpod_core.values.pods import PodSpec, Wanted
from agentpod_core.values.reports import ProbeResult, Repair
from agentpod_core.values.resources import Resources
from agentpod_core.values.status import Record
from agentpod_core.values.workload import Port, Probe, RouteSpec, Workload
from agentpod_core.values.world import Container, ContainerState

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
SLUG = re.compile(r"(?:[A-Z][a-z0-9]+){2,}")
AGO = NOW - timedelta(minutes=4)
PODS = [
    replace(
        POD,
        spec=PodSpec(adapter="echo", wanted=wanted),
        workload=Workload(
            image="a:1",
            ports=(Port(name="http", number=80),),
            probe=Probe(probe="http"),
            route=RouteSpec(port="http"),
            permanent_exits=(78,),
            boot_cost=1,
            resources=Resources(memory=memory),
        ),
        hosts=("a.example",),
    )
    for wanted, memory in [*((wanted, 512 * 1024**2) for wanted in Wanted), (Wanted.RUNNING, None)]
]
ANSWERS = (
    None,
    ProbeResult(alive=True, ready=True, reason="Answering"),
    ProbeResult(alive=True, ready=False, reason="NotReady", params={"status": 503}),
    ProbeResult(alive=False, ready=False, reason="Timeout"),
    ProbeResult(alive=False, ready=False, reason="BackendOfAPlugin"),
)
RECORDS = [
    Record(
        generation=1,
        container_id="c1",
        started_at=AGO,
        failures=(AGO,) * failures,
        not_before=not_before,
        was_ready=was_ready,
        ready_since=AGO if was_ready else None,
        blocked=blocked,
        last_exit=1 if failures else None,
        cause=cause if failures else "",
        seen_exit=seen,
    )
    for failures, not_before, was_ready, blocked, cause, seen in itertools.product(
        (0, 1, 3, 5),
        (None, NOW + timedelta(minutes=2)),
        (False, True),
        (None, 78),
        ("EndedByItself", "EndedAndRestarted", "EndedForMemory", "FellSilent"),
        (None, AGO),
    )
]


GROWING = "The memory of the agent grows steadily: 800 MiB of 1000 MiB are used, and in 3 minutes nothing is left."
RESTARTED = "The agent had nothing to do and 800 MiB of 1000 MiB in use, so it was restarted in a quiet moment."


def _container(pod, state, code, *, oom=False):
    desired = desire(INSTANCE, pod)
    return Container(
        id="c1",
        name=container_name(INSTANCE, pod.id),
        state=state,
        labels=desired.labels,
        deep=True,
        limits=desired.limits,
        address="10.0.0.4" if state is ContainerState.RUNNING else None,
        started_at=AGO,
        finished_at=AGO if state is ContainerState.EXITED else None,
        exit_code=code if state is ContainerState.EXITED else None,
        oom_killed=oom,
    )


def _plans():
    for pod in PODS:
        desired = desire(INSTANCE, pod)
        containers = [None, *(_container(pod, state, 1) for state in ContainerState)]
        containers += [
            _container(pod, ContainerState.EXITED, 78),
            _container(pod, ContainerState.EXITED, 137, oom=True),
        ]
        for container, record, answer in itertools.product(containers, RECORDS, ANSWERS):
            probed = answer and Probed(result=answer, failures=9, silences=0, at=NOW, started_at=AGO)
            for repair, slot, has_image in (
                (None, True, True),
                (None, False, True),
                (None, True, False),
                (Repair(reason="PermanentExit", command=("fix",)), True, True),
            ):
                observed = Observed(
                    containers=(container,) if container else (),
                    volumes=(),
                    probed=probed or None,
                    has_boot_slot=slot,
                    has_image=has_image,
                    repair=repair,
                    routed=True,
                )
                yield plan(desired, observed, record, NOW)


@pytest.fixture(scope="module")
def found():
    """All that plans of every kind of world have to say: verdicts, conditions, reasons of actions, of waiting."""
    said = {}
    for one in _plans():
        away = unseen(one.status, None, TemporaryError("EngineUnreachable"), NOW)
        alone = hidden(Wanted.RUNNING, one.status, one.record, None, TemporaryError("EngineUnreachable"), NOW).status
        verdicts = [(which.phase.value, which.reason, which.params) for which in (one.status, alone)]
        conditions = [(c.type.value, c.reason, c.params) for c in (*one.status.conditions, *away.conditions)]
        actions = [("action", action.reason, {}) for action in one.actions]
        waits = [("waits", one.waits_for, {})] if one.waits_for else []
        for about, reason, params in (*verdicts, *conditions, *actions, *waits):
            said[about, reason, tuple(sorted((key, str(value)) for key, value in params.items()))] = params
    return [(about, reason, params) for (about, reason, _), params in said.items()]


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_there_is_a_whole_sentence_for_everything(found, language):
    """No reason is missing, no placeholder is left, and no param was forgotten."""
    wrong = []
    for about, reason, params in found:
        text = catalogue.text(reason, params, language)
        repair = catalogue.repair(reason, params, language) or "-"
        is_known = catalogue.entry(reason, language).known or reason == "BackendOfAPlugin"
        if not is_known or not text or any(mark in text + repair for mark in ("?", "{", "}", "  ")):
            wrong.append((about, reason, params, text, repair))

    assert wrong == []


def test_every_verdict_was_met(found):
    """The worlds above lead to each phase and to each reason that the code knows for one."""
    written = {
        word.value.value
        for call in ast.walk(ast.parse(inspect.getsource(conclude)))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Verdict"
        for word in call.keywords
        if word.arg == "reason" and isinstance(word.value, ast.Constant)
    }
    phases = {about for about, _, _ in found}

    assert written - {reason for _, reason, _ in found} == set()
    assert phases >= {"pending", "creating", "starting", "running", "degraded", "crash-loop", "blocked", "stopping"}
    assert phases >= {"stopped", "deleting", "action", "waits"}


def test_every_reason_in_the_plan_is_in_the_catalogue():
    """Those that these worlds do not lead to are words in the code, and known as well."""
    sources = [path.read_text(encoding="utf-8") for path in Path(inspect.getfile(conclude)).parent.glob("*.py")]
    words = {
        node.value
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and SLUG.fullmatch(node.value)
    }

    assert {"NoContainer", "LimitsDiffer", "SecondContainer", "BackingOff"} <= words
    assert words - catalogue.reasons() == set()


def test_a_verdict_says_what_is_wrong_since_when_what_is_done_and_what_to_do():
    """An agent that is killed again and again for lack of memory is spoken of in one breath."""
    params = {
        "failures": 5,
        "since": AGO.isoformat(),
        "cause": "EndedForMemory",
        "exit_code": 137,
        "limit": 512 * 1024**2,
        "doing": "TriesLater",
        "next_at": (NOW + timedelta(minutes=2)).isoformat(),
    }

    assert catalogue.text("CrashLoop", params) == (
        "The agent failed 5 times in a row since 2026-11-21 14:26 UTC."
        " It was killed for lack of memory (limit 512 MiB). AgentPod tries again at 14:32:00 UTC."
    )
    assert catalogue.repair("CrashLoop", params) == "Give it more: agentpod pod update TENANT/POD --memory SIZE"
    assert catalogue.text("CrashLoop", params, "zh-CN") == (
        "自 2026-11-21 14:26 UTC 以来，智能体连续失败 5 次。"
        "它因内存不足被终止（上限 512 MiB）。AgentPod 将在 14:32:00 UTC 再次尝试。"
    )


@pytest.mark.parametrize(
    ("template", "params", "expected"),
    [
        ("CrashLoop", {"failures": 4, "cause": "CrashLoop"}, "The agent failed 4 times in a row since ?."),
        ("MemoryGrowing", {"memory": 800 * 1024**2, "limit": 1000 * 1024**2, "minutes": 3}, GROWING),
        ("RestartedBeforeFull", {"memory": 800 * 1024**2, "limit": 1000 * 1024**2, "minutes": 3}, RESTARTED),
        ("EndedForMemory", {"limit": 1536 * 1024**2}, "It was killed for lack of memory (limit 1.5 GiB)."),
        (
            "Ailing",
            {"cause": "BackendOfAPlugin"},
            "The agent was ready and is not any more. Backend of a plugin. AgentPod restarts it",
        ),
        ("TriesLater", {"next_at": "soon"}, "AgentPod tries again at soon."),
        ("TriesLater", {"next_at": "0001-01-01T00:00:00+14:00"}, "AgentPod tries again at 0001-01-01T00:00:00+14:00."),
    ],
)
def test_a_form_that_does_not_fit_shows_what_there_is(template, params, expected):
    """A text is made of whatever params there are, and a reason that names itself comes to an end."""
    assert catalogue.text(template, params).startswith(expected)
