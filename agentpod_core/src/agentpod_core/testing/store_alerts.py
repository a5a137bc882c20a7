"""What every store must do about alerts; part of ``StoreContract``."""

from __future__ import annotations

import pytest

from agentpod_core.errors import ConflictError
from agentpod_core.ports import Store
from agentpod_core.testing.intact import IntactContract
from agentpod_core.testing.store_stage import HAPPENING, RECORD, STATUS, KeptAlert, StoreStage, led
from agentpod_core.values.alerts import AlertChange, Clear, Raise
from agentpod_core.values.pods import Wanted
from agentpod_core.values.status import Severity

ALERT = Raise(reason="Degraded", severity=Severity.ERROR, params={"failures": 3})
WORSE = Raise(reason="CrashLoop", severity=Severity.ERROR, params={"failures": 4}, replaces=("Degraded",))
OTHER = Raise(reason="OutOfMemory", severity=Severity.WARNING)
FULL = Raise(reason="DiskNearlyFull", severity=Severity.WARNING, subject="/one", params={"percent": 90, "词": "字"})
FULLER = Raise(reason="DiskNearlyFull", severity=Severity.WARNING, subject="/one", params={"percent": 99})
SECOND = Raise(reason="DiskNearlyFull", severity=Severity.WARNING, subject="/two")


class StoreAlerts(IntactContract):
    """The facts about alerts; fixtures are those of ``StoreContract``."""

    async def test_an_alert_that_is_open_is_not_raised_again(self, store: Store, stage: StoreStage) -> None:
        """Raised again, alone or among others, it stays the one that it was."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        epoch = await led(store)

        for changes in [(ALERT,), (ALERT, OTHER), (OTHER, ALERT, ALERT)]:
            await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=changes)

        assert await stage.kept_alerts() == [_kept(ALERT), _kept(OTHER)]

    async def test_a_cleared_alert_is_over(self, store: Store, stage: StoreStage) -> None:
        """What is cleared is over, a second time is fine, and what is raised afterwards is another alert."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        epoch = await led(store)
        rounds: list[tuple[AlertChange, ...]] = [
            (ALERT, OTHER),
            (Clear(reason="Degraded"), Clear(reason="Hung")),
            (Clear(reason="Degraded", is_stopped=True), ALERT),
        ]

        for changes in rounds:
            await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=changes)

        assert await stage.kept_alerts() == [_kept(ALERT, is_open=False), _kept(OTHER), _kept(ALERT)]

    async def test_a_worse_alert_takes_over(self, store: Store, stage: StoreStage) -> None:
        """One that grew out of another is that very alert; only where that one is open."""
        tenant_id = await stage.add_tenant("acme")
        pod_id, fresh = await stage.add_pod(tenant_id, "main"), await stage.add_pod(tenant_id, "fresh")
        epoch = await led(store)

        for changes in [(ALERT,), (OTHER,), (WORSE,), (WORSE,)]:
            await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=changes)
        await store.save(epoch, fresh, status=STATUS, record=RECORD, alerts=(WORSE,))

        assert await stage.kept_alerts() == [_kept(WORSE), _kept(OTHER), _kept(WORSE, pod="fresh")]

    async def test_an_open_alert_gets_the_latest_facts(self, store: Store, stage: StoreStage) -> None:
        """What is raised again says how bad it is by now."""
        for changes in [(FULL,), (FULLER,)]:
            await store.report((), alerts=changes)

        assert await stage.kept_alerts() == [_kept(FULLER, tenant="", pod="")]

    async def test_alerts_of_one_reason_differ_by_subject(self, store: Store, stage: StoreStage) -> None:
        """What is wrong in two places is two alerts, and each is over by itself."""
        await store.report((), alerts=(FULL, SECOND))

        await store.report((), alerts=(Clear(reason=FULL.reason, subject="/one"), Clear(reason=FULL.reason)))

        assert await stage.kept_alerts() == [
            _kept(FULL, tenant="", pod="", is_open=False),
            _kept(SECOND, tenant="", pod=""),
        ]

    async def test_the_platforms_open_alerts_are_read_back(self, store: Store, stage: StoreStage) -> None:
        """Whoever begins to lead learns what is open of the platform, as it was raised, and nothing of pods."""
        pod_id = await stage.add_pod(await stage.add_tenant("acme"), "main")
        epoch = await led(store)
        await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=(ALERT,))
        assert await store.platform_alerts() == []

        await store.report((), alerts=(OTHER, FULL, SECOND))
        await store.report((), alerts=(Clear(reason=OTHER.reason),))

        assert sorted(await store.platform_alerts(), key=lambda one: one.subject) == [FULL, SECOND]

    async def test_a_report_of_a_former_leader_is_refused(self, store: Store, stage: StoreStage) -> None:
        """In the name of a leader only that leader reports: another's words are refused as a whole."""
        epoch = await led(store)
        before = await stage.events()

        with pytest.raises(ConflictError) as raised:
            await store.report((HAPPENING,), alerts=(FULL,), epoch=epoch - 1)

        assert raised.value.reason == "NotLeader"
        assert (await stage.events(), await stage.kept_alerts()) == (before, [])
        await store.report((HAPPENING,), alerts=(FULL,), epoch=epoch)
        assert len(await stage.events()) == len(before) + 1
        assert await stage.kept_alerts() == [_kept(FULL, tenant="", pod="")]

    async def test_alerts_keep_to_whom_they_are_about(self, store: Store, stage: StoreStage) -> None:
        """Each pod and the platform have their own alert of a reason, and clear their own."""
        tenant_id = await stage.add_tenant("acme")
        first, second = await stage.add_pod(tenant_id, "first"), await stage.add_pod(tenant_id, "second")
        epoch = await led(store)
        for pod_id in (first, second):
            await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=(ALERT,))
        await store.report((), alerts=(ALERT, OTHER))

        await store.report((), alerts=(Clear(reason="Degraded"),))
        await store.save(epoch, first, status=STATUS, record=RECORD, alerts=(Clear(reason="Degraded"),))

        assert await stage.kept_alerts() == [
            _kept(ALERT, pod="first", is_open=False),
            _kept(ALERT, pod="second"),
            _kept(ALERT, tenant="", pod="", is_open=False),
            _kept(OTHER, tenant="", pod=""),
        ]

    async def test_a_pod_that_goes_takes_its_alerts_along(self, store: Store, stage: StoreStage) -> None:
        """The alerts of a forgotten pod are over, and it raises no more."""
        tenant_id = await stage.add_tenant("acme")
        pod_id, other = await stage.add_pod(tenant_id, "main"), await stage.add_pod(tenant_id, "other")
        epoch = await led(store)
        for one in (pod_id, other):
            await store.save(epoch, one, status=STATUS, record=RECORD, alerts=(ALERT,))
        await stage.want_pod(pod_id, Wanted.DELETED)

        await store.forget_pod(epoch, pod_id)
        await store.save(epoch, pod_id, status=STATUS, record=RECORD, alerts=(OTHER,))

        assert await stage.kept_alerts() == [_kept(ALERT, is_open=False), _kept(ALERT, pod="other")]


def _kept(raised: Raise, *, tenant: str = "acme", pod: str = "main", is_open: bool = True) -> KeptAlert:
    return KeptAlert(
        tenant=tenant,
        pod=pod,
        reason=raised.reason,
        subject=raised.subject,
        severity=raised.severity,
        params=raised.params,
        is_open=is_open,
    )
