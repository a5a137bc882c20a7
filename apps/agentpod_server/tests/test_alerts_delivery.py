"""Alerts on a real PostgreSQL: who is told of what, until when nobody is, and whom there is to tell."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from agentpod_core.errors import ConfigError, ConflictError, NotFoundError, TemporaryError
from agentpod_core.values.alerts import Clear, Raise
from agentpod_core.values.status import Severity
from agentpod_server.alert_records import MessageState
from agentpod_server.services.alerts import Asked
from agentpod_server.services.alerts.targets import MOST_OF_A_TENANT
from agentpod_server.services.alerts.testing import ALL, AWAY, DOWN, GROWS
from agentpod_server.services.config import Given
from agentpod_server.store import alerts, counting, outbox, targets


async def test_an_alert_is_told_once_and_its_end_once(stage):
    """Raised and raised again it is one message, and one more when it is over; both know what they are about."""
    await stage.target("ops")
    for _ in range(3):
        await stage.change("acme/bot", DOWN)
        await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    await stage.drain()
    await stage.drain()

    raised, over = stage.box.sent
    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]
    assert raised.alert_id == over.alert_id
    assert raised.id != over.id
    assert (raised.title, over.title) == ("acme/bot: Crash loop", "acme/bot is well again: Crash loop")
    assert "exit code 78" in raised.text
    assert "agentpod pod restart acme/bot" in raised.text
    assert over.params["ends"] == [raised.alert_id]
    assert await stage.deliveries() == [("ops", "raised", "delivered"), ("ops", "recovered", "delivered")]


async def test_who_is_told_of_what(stage):
    """A target of the platform hears all, a tenant's only that tenant's, and each what it asked for."""
    theirs = await stage.theirs("acme")
    await stage.target("all", min_severity=Severity.INFO)
    await stage.target("grave", min_severity=Severity.ERROR)
    await stage.target("engine", reasons=("EngineUnreachable",))
    await stage.target("own", scope=theirs, min_severity=Severity.INFO)

    await stage.change("acme/bot", GROWS)
    await stage.change("globex/bot", DOWN)
    await stage.store.report((), alerts=(AWAY,))

    found, _ = await stage.alerts.listing(ALL)
    told = {alert.reason: sorted(one.target for one in alert.deliveries) for alert in found}
    assert told == {
        "MemoryGrowing": ["all", "own"],
        "CrashLoop": ["all", "grave"],
        "EngineUnreachable": ["all", "engine", "grave"],
    }


async def test_a_worse_alert_is_told_only_to_who_did_not_know(stage):
    """Whoever heard of the lesser one is not told again; whoever asked for the worse one alone is."""
    await stage.target("ops")
    await stage.target("loops", reasons=("CrashLoop",))
    await stage.change("acme/bot", Raise(reason="Degraded", severity=Severity.ERROR))
    await stage.change("acme/bot", Raise(reason="CrashLoop", severity=Severity.ERROR, replaces=("Degraded",)))
    await stage.change("acme/bot", Clear(reason="CrashLoop"))

    assert sorted(await stage.deliveries()) == [
        ("loops", "raised", "pending"),
        ("loops", "recovered", "pending"),
        ("ops", "raised", "pending"),
        ("ops", "recovered", "pending"),
    ]


async def test_alerts_that_end_together_end_in_one_message(stage):
    """A target hears once that it is over, and which alerts that ends."""
    await stage.target("ops")
    await stage.target("memory", reasons=("MemoryGrowing",))
    await stage.change("acme/bot", GROWS, DOWN)
    await stage.change("acme/bot", Clear(reason="MemoryGrowing"), Clear(reason="CrashLoop"))
    await stage.drain()

    over = [one for one in stage.box.sent if one.recovered]
    raised = {one.alert_id for one in stage.box.sent if not one.recovered}
    assert len(over) == 2
    assert [set(one.params["ends"]) for one in over] == [raised, raised]


async def test_of_a_pod_that_is_stopped_the_end_is_told(stage):
    """Whoever heard of the alert hears that it is over, and that the pod is not well again but stopped."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.change("acme/bot", Clear(reason="CrashLoop", is_stopped=True))
    await stage.drain()

    raised, over = stage.box.sent
    assert stage.sent() == [("acme/bot", "CrashLoop", False), ("acme/bot", "CrashLoop", True)]
    assert raised.alert_id == over.alert_id
    assert over.title == "acme/bot was stopped or deleted: Crash loop"
    assert over.params["stopped"] is True


async def test_of_a_pod_that_is_deleted_the_end_is_told(stage):
    """Whoever pairs beginnings and ends is left with no alert of a pod that is gone."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.forget("acme/bot")
    await stage.drain()

    assert [(one.recovered, one.params.get("stopped")) for one in stage.box.sent] == [(False, None), (True, True)]


@pytest.mark.parametrize("end", ["stop", "delete"])
async def test_what_was_not_told_before_a_pod_was_stopped_is_not_told_any_more(stage, end):
    """What still waits is dropped; what may have arrived, for it was tried, is ended."""
    await stage.target("ops")
    await stage.target("tried")
    stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y")]
    await stage.change("acme/bot", DOWN)
    await stage.execute("update alert_routes set is_paused = true where name = 'ops'")
    await stage.drain()
    if end == "stop":
        await stage.change("acme/bot", Clear(reason="CrashLoop", is_stopped=True))
    else:
        await stage.forget("acme/bot")
    await stage.execute("update alert_routes set is_paused = false")
    await stage.drain()
    await stage.execute("update alert_routes set not_before = null")
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", True)]
    assert await stage.deliveries() == [("tried", "raised", "failed"), ("tried", "recovered", "delivered")]


async def test_alerts_of_the_platform_end_each_by_itself(stage):
    """The engine that answers again says nothing of a disk, though both end in one report."""
    await stage.target("ops")
    disk = Raise(reason="DiskNearlyFull", severity=Severity.WARNING, subject="/", params={"path": "/", "percent": 91})
    await stage.store.report((), alerts=(AWAY, disk))
    await stage.store.report(
        (), alerts=(Clear(reason="EngineUnreachable"), Clear(reason="DiskNearlyFull", subject="/"))
    )

    assert (
        sorted(await stage.deliveries()) == [("ops", "raised", "pending")] * 2 + [("ops", "recovered", "pending")] * 2
    )


async def test_nobody_is_told_that_something_began_while_it_ends(stage):
    """What is being cleared at this moment is no news to a target that was just made, and holds up no other."""
    await stage.change("acme/bot", DOWN)
    await stage.target("ops")

    async def tell():
        async with stage.database.transaction(ALL):
            return await outbox.tell()

    async with stage.database.transaction(ALL):
        await alerts.change([Clear(reason="CrashLoop")], pod_id=stage.ids["acme/bot"])
        telling = asyncio.create_task(tell())
        await asyncio.wait([telling], timeout=3)

    assert await telling == 0
    assert await stage.deliveries() == []


async def test_a_target_that_comes_later_hears_what_is_open(stage):
    """Whoever is added in the midst of trouble is told of it."""
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.target("ops")
    await stage.drain()
    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]


# Silences.


@pytest.mark.parametrize(
    "about", [{"tenant": "acme"}, {"tenant": "acme", "pod": "bot"}, {"reason": "CrashLoop"}], ids=str
)
async def test_a_silenced_alert_is_told_when_the_silence_ends(stage, about):
    """While it is silenced it is kept and listed; what is still wrong afterwards is told then."""
    await stage.target("ops")
    ends_at = stage.clock.now() + timedelta(hours=1)
    silence = await stage.alerts.silence(ALL, ends_at=ends_at, **about)
    await stage.change("acme/bot", DOWN)
    await stage.change("globex/bot", GROWS)
    await stage.drain()
    assert stage.sent() == [("globex/bot", "MemoryGrowing", False)]
    found, _ = await stage.alerts.listing(ALL, is_open=True, tenant="acme")
    assert [(one.reason, one.is_silenced) for one in found] == [("CrashLoop", True)]

    await stage.alerts.end_silence(ALL, silence.id)
    await stage.drain()

    assert stage.sent()[1:] == [("acme/bot", "CrashLoop", False)]


async def test_a_silence_runs_out(stage):
    """After its time it is none, without anybody's doing."""
    await stage.target("ops")
    await stage.alerts.silence(ALL, ends_at=stage.clock.now() + timedelta(hours=1), tenant="acme")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.execute("update silences set ends_at = now()")

    await stage.drain()

    assert stage.sent() == [("acme/bot", "CrashLoop", False)]
    assert await stage.alerts.silences(ALL) == ([], None)


async def test_what_passed_in_silence_is_never_told(stage):
    """An alert that came and went while it was silenced has no message at all."""
    await stage.target("ops")
    await stage.alerts.silence(ALL, ends_at=stage.clock.now() + timedelta(hours=1), tenant="acme")
    await stage.change("acme/bot", DOWN)
    await stage.change("acme/bot", Clear(reason="CrashLoop"))
    await stage.execute("delete from silences")

    await stage.drain()

    assert stage.sent() == []


@pytest.mark.parametrize("tries", [0, 1])
async def test_a_silence_stops_what_waits(stage, tries):
    """What was to be told already is not told until the silence ends, and not at all if it passes meanwhile."""
    await stage.target("ops")
    for pod in ("acme/bot", "globex/bot"):
        await stage.change(pod, DOWN)
    stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y") for _ in range(2 * tries)]
    for _ in range(2 * tries):
        await stage.drain()
        await stage.execute("update alert_routes set not_before = null")
    await stage.make_due()
    stage.box.tried.clear()
    ends_at = stage.clock.now() + timedelta(hours=1)
    silence = await stage.alerts.silence(ALL, ends_at=ends_at, reason="CrashLoop")
    await stage.drain()
    assert stage.box.tried == []
    await stage.change("globex/bot", Clear(reason="CrashLoop"))

    await stage.alerts.end_silence(ALL, silence.id)
    await stage.drain()

    beginnings = [one for one in stage.sent() if not one[2]]
    assert beginnings == [("acme/bot", "CrashLoop", False)]
    assert len(stage.sent()) == 1 + tries


async def test_a_silence_about_a_tenant_that_is_gone_can_be_ended(stage):
    """Nobody has to wait until it runs out."""
    ends_at = stage.clock.now() + timedelta(hours=1)
    silence = await stage.alerts.silence(ALL, ends_at=ends_at, tenant="acme")
    await stage.execute("update silences set tenant = 'gone'")

    await stage.alerts.end_silence(ALL, silence.id)

    assert await stage.alerts.silences(ALL) == ([], None)


async def test_silences_go_with_what_they_are_about(stage):
    """A new pod or tenant of the same name is not born silent."""
    ends_at = stage.clock.now() + timedelta(hours=1)
    for pod in ("bot", None):
        await stage.alerts.silence(ALL, ends_at=ends_at, tenant="acme", pod=pod)
    await stage.alerts.silence(ALL, ends_at=ends_at, tenant="globex")
    await stage.forget("acme/bot")
    left, _ = await stage.alerts.silences(ALL)
    assert sorted((one.tenant, one.pod) for one in left) == [("acme", ""), ("globex", "")]

    await stage.execute("update tenants set wanted = 'deleted' where slug = 'acme'")
    await stage.store.forget_tenant(stage.leader.epoch, (await stage.theirs("acme")).tenant_id)

    assert [one.tenant for one in (await stage.alerts.silences(ALL))[0]] == ["globex"]


async def test_silenced_says_whether_the_readers_own_targets_are_told(stage):
    """The operator's are told in spite of a tenant's silence; a tenant's are not told in a silence of the operator."""
    theirs = await stage.theirs("acme")
    await stage.change("acme/bot", DOWN)
    ends_at = stage.clock.now() + timedelta(hours=1)

    async def silenced():
        return [(await stage.alerts.listing(scope))[0][0].is_silenced for scope in (ALL, theirs)]

    assert await silenced() == [False, False]
    own = await stage.alerts.silence(theirs, ends_at=ends_at)
    assert await silenced() == [False, True]
    await stage.alerts.end_silence(theirs, own.id)
    await stage.alerts.silence(ALL, ends_at=ends_at, tenant="acme")
    assert await silenced() == [True, True]
    assert await stage.alerts.silences(theirs) == ([], None)


async def test_a_tenant_silences_its_own_targets_only(stage):
    """The operator is still told of what a tenant does not want to hear."""
    theirs = await stage.theirs("acme")
    await stage.target("ops")
    await stage.target("own", scope=theirs)
    await stage.alerts.silence(theirs, ends_at=stage.clock.now() + timedelta(hours=1))
    await stage.change("acme/bot", DOWN)
    await stage.drain()

    assert await stage.deliveries() == [("ops", "raised", "delivered")]


async def test_a_silence_says_what_it_is_about(stage):
    """All that is wrong with a silence is told at once."""
    with pytest.raises(ConfigError) as caught:
        await stage.alerts.silence(ALL, ends_at=stage.clock.now(), comment="x" * 500)

    assert [one.reason for one in caught.value.problems] == ["SilenceOfNothing", "BadSilenceEnd", "TooLong"]


# Targets.


async def test_a_targets_secrets_are_kept_apart(stage):
    """What is stored of a target holds no secret; the notifier gets it, and it goes with the target."""
    await stage.target("ops", secret="pa55word")
    async with stage.database.transaction(ALL) as transaction:
        assert "pa55word" not in str(await transaction.fetch("select * from alert_routes"))
    target = await stage.targets.get(ALL, "ops")
    assert stage.targets.shown(target) == {"password": {"$secret": True}}
    assert list((await stage.vault.material("", target.settings)).values()) == ["pa55word"]

    await stage.targets.remove(ALL, "ops")

    assert await stage.secrets.list("") == []
    with pytest.raises(NotFoundError):
        await stage.targets.get(ALL, "ops")


async def test_the_same_target_again_is_the_same(stage):
    """Asked for again it is the one that exists; with other content it is refused, with what differs."""
    made = await stage.target("ops", secret="pw")
    assert (await stage.target("ops", secret="pw")).id == made.id

    with pytest.raises(ConflictError) as caught:
        await stage.target("ops", secret="other", min_severity=Severity.ERROR)

    assert caught.value.params["differences"] == ["min_severity", "config.password"]


async def test_all_that_is_wrong_with_a_target_is_told(stage):
    """Name, reasons and settings, each with its place."""
    asked = Asked(name="No Name", kind="fake", reasons=("Nonsense",), given=Given(config={"fails": "x", "odd": 1}))
    with pytest.raises(ConfigError) as caught:
        await stage.targets.create(ALL, asked)
    assert {one.path for one in caught.value.problems} == {"$.name", "$.reasons", "$.config.fails", "$.config.odd"}

    with pytest.raises(ConfigError) as caught:
        await stage.target("ops", secret="with space")
    assert [one.path for one in caught.value.problems] == ["$.config.password"]
    with pytest.raises(ConfigError) as caught:
        await stage.targets.create(ALL, Asked(name="ops", kind="telepathy"))
    assert [one.reason for one in caught.value.problems] == ["UnknownNotifier"]


async def test_tenants_have_targets_of_their_own(stage):
    """A tenant sees and removes its own only, and may use any name."""
    acme, globex = await stage.theirs("acme"), await stage.theirs("globex")
    await stage.target("ops")
    await stage.target("ops", scope=acme)

    assert [one.tenant for one in (await stage.targets.listing(acme))[0]] == ["acme"]
    assert (await stage.targets.listing(globex))[0] == []
    assert [one.tenant for one in (await stage.targets.listing(ALL))[0]] == ["", "acme"]
    with pytest.raises(NotFoundError):
        await stage.targets.remove(globex, "ops")
    await stage.targets.remove(ALL, "ops", tenant="acme")
    assert [one.tenant for one in (await stage.targets.listing(ALL))[0]] == [""]


async def test_a_test_says_what_came_of_it(stage):
    """A test message is sent at once, past outbox and silences, and what went wrong is said."""
    await stage.target("ops")
    assert (await stage.targets.test(ALL, "ops")).failure is None
    assert [one.reason for one in stage.box.sent] == ["TestAlert"]
    stage.box.errors = [TemporaryError("TargetUnreachable", host="x", cause="y")]

    tested = await stage.targets.test(ALL, "ops")

    assert tested.failure.reason == "TargetUnreachable"
    assert (await stage.targets.get(ALL, "ops")).failure == tested.failure


async def test_a_tenant_has_only_so_many_targets(stage):
    """One more is refused with the number; what exists is still found, and the platform has as many as it likes."""
    theirs = await stage.theirs("acme")
    for number in range(MOST_OF_A_TENANT):
        await stage.target(f"own-{number}", scope=theirs)
    with pytest.raises(ConflictError) as caught:
        await stage.target("one-more", scope=theirs)

    assert (caught.value.reason, caught.value.params["maximum"]) == ("TooManyTargets", MOST_OF_A_TENANT)
    assert (await stage.target("own-0", scope=theirs)).name == "own-0"
    for number in range(MOST_OF_A_TENANT + 1):
        await stage.target(f"ops-{number}")


async def test_a_removed_target_hears_nothing_more(stage):
    """What it was still to be told goes with it."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.targets.remove(ALL, "ops")
    await stage.drain()

    assert stage.box.tried == []


async def test_a_forgotten_pod_leaves_no_open_alert(stage):
    """Listings of what is open hold nothing that is gone."""
    await stage.change("acme/bot", DOWN)
    await stage.forget("acme/bot")

    assert await stage.alerts.listing(ALL, is_open=True) == ([], None)
    assert [one.reason for one in (await stage.alerts.listing(ALL, is_open=False))[0]] == ["CrashLoop"]


async def test_messages_are_listed_with_their_state(stage):
    """An alert says whom it was told, and what came of that."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)

    (found,), _ = await stage.alerts.listing(ALL)

    assert [(one.target, one.state, one.attempts) for one in found.deliveries] == [("ops", MessageState.PENDING, 0)]
    async with stage.database.transaction(ALL):
        assert (await targets.get("ops")).delivered_at is None


async def test_of_a_pod_only_the_latest_alerts_are_kept(stage):
    """A pod that fails for months does not fill the database; what is open and other pods' alerts stay."""
    for _ in range(5):
        await stage.change("acme/bot", DOWN)
        await stage.change("acme/bot", Clear(reason="CrashLoop"))
    await stage.change("acme/bot", DOWN)
    for _ in range(2):
        await stage.store.report((), alerts=(AWAY,))
        await stage.store.report((), alerts=(Clear(reason="EngineUnreachable"),))
    newest = [one.id for one in (await stage.alerts.listing(ALL, pod="bot"))[0]]
    async with stage.database.transaction(ALL):
        assert await alerts.prune_crowded(2, 100) == 3
        assert await alerts.prune_crowded(2, 100) == 0

    kept, _ = await stage.alerts.listing(ALL)
    assert [one.id for one in kept if one.pod] == newest[:3]
    assert len(kept) == 5


async def test_what_was_delivered_is_not_counted(stage):
    """The outbox of the metrics is what is still to be delivered, and what was given up."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.drain()
    await stage.change("globex/bot", DOWN)
    async with stage.database.transaction(ALL):
        counted = await counting.count()

    assert counted.outbox == {"pending": 1}


async def test_what_waits_because_somebody_wants_it_to_is_not_late(stage):
    """For how long something waits to be delivered leaves out what is silenced, and what is for a paused target."""
    await stage.target("ops")
    await stage.change("acme/bot", DOWN)
    await stage.execute("update alerts_outbox set created_at = now() - interval '1 hour'")

    async def oldest():
        async with stage.database.transaction(ALL):
            return (await counting.count()).outbox_oldest

    assert 3600 <= await oldest() < 3700
    silence = await stage.alerts.silence(ALL, ends_at=stage.clock.now() + timedelta(hours=1), tenant="acme")
    assert await oldest() == 0.0
    await stage.alerts.end_silence(ALL, silence.id)
    await stage.execute("update alert_routes set is_paused = true")
    assert await oldest() == 0.0
