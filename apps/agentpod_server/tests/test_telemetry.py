from __future__ import annotations

from prometheus_client import REGISTRY

from agentpod_server.telemetry import ServerTelemetry


def _value(telemetry: ServerTelemetry, name: str, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(name, labels)


def test_passes_are_counted_by_kind():
    """A pass is counted under its key's kind and outcome, whichever pod it was for."""
    telemetry = ServerTelemetry()
    telemetry.reconciled("pod:1", 0.2, "ok")
    telemetry.reconciled("pod:2", 0.3, "ok")
    telemetry.reconciled("routes", 0.1, "failed")
    assert _value(telemetry, "agentpod_reconcile_seconds_count", kind="pod", outcome="ok") == 2
    assert _value(telemetry, "agentpod_reconcile_seconds_sum", kind="pod", outcome="ok") == 0.5
    assert _value(telemetry, "agentpod_reconcile_seconds_count", kind="routes", outcome="failed") == 1


def test_actions_and_probes_are_counted():
    """Actions are counted by action and outcome, probes by their reason."""
    telemetry = ServerTelemetry()
    telemetry.acted("CreateContainer", 1.0, "ok")
    telemetry.probed("1", 0.01, "Answering", ready=True)
    telemetry.probed("2", 5.0, "Timeout", ready=False)
    assert _value(telemetry, "agentpod_action_seconds_count", action="CreateContainer", outcome="ok") == 1
    assert _value(telemetry, "agentpod_probes_total", outcome="Timeout") == 1
    assert _value(telemetry, "agentpod_probe_seconds_count") == 2


def test_pods_make_no_series():
    """A thousand pods make as many series as one, and no id is in the text."""
    telemetry = ServerTelemetry()
    for number in range(1000):
        telemetry.probed(f"pod-{number}", 0.01, "Answering", ready=True)
        telemetry.reconciled(f"pod:pod-{number}", 0.01, "ok")
    text = telemetry.exposition()[0].decode()
    assert "pod-7" not in text
    assert len(text.splitlines()) < 250


def test_exposition_names_server_and_process():
    """The text says which server it is from, what the process uses, and its content type."""
    text, kind = ServerTelemetry(version="1.2", instance="abcdefgh").exposition()
    assert b'agentpod_info{platform="abcdefgh",version="1.2"} 1.0' in text
    assert b"process_resident_memory_bytes" in text
    assert kind.startswith("text/plain")


def test_two_servers_in_one_process_do_not_meet():
    """Each has a registry of its own; the library's global one stays untouched."""
    one, other = ServerTelemetry(), ServerTelemetry()
    one.probed("1", 1.0, "Answering", ready=True)
    assert _value(other, "agentpod_probes_total", outcome="Answering") is None
    assert REGISTRY.get_sample_value("agentpod_info") is None
