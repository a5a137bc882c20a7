"""Routes in labels instead of files, on a whole platform: the same promises, and a switch between the two."""

from __future__ import annotations

import signal
import subprocess

import pytest

pytestmark = [pytest.mark.docker, pytest.mark.slow]

BY_LABELS = {"AGENTPOD_ROUTER_TRAEFIK_PROVIDER": "docker"}


@pytest.fixture(scope="module")
def labelled(new_platform):
    """Give a running platform whose routes are labels, with one pod that echoes."""
    platform = new_platform(network="10.226.0.0/16", extra=BY_LABELS)
    platform.up()
    platform.agentpod("image", "build", "echo")
    platform.agentpod("create", "acme", "--type", "echo")
    return platform


def carriers(platform) -> list[str]:
    """List the keys of the routes that are in labels."""
    ours = f"label=agentpod.instance={platform.instance}"
    shown = ["docker", "ps", "-a", "--filter", ours, "--filter", "label=agentpod.route"]
    done = subprocess.run(
        [*shown, "--format", '{{.Label "agentpod.route"}}'], capture_output=True, text=True, check=True
    )
    return sorted(done.stdout.split())


def files(platform) -> list[str]:
    """List the keys of the routes that are in files."""
    folder = next(platform.state.rglob("routes"))
    return sorted(path.stem.removeprefix("agentpod-") for path in folder.glob("agentpod-*.yml"))


def answers(platform, host: str) -> bool:
    """Say whether the agent answers at that address."""
    return platform.get(host, "/readyz").status_code == 200


def test_a_pod_is_reached_by_labels(labelled, wait_until) -> None:
    """The pod's route and the dashboard's are carriers; what runs for the pod has no labels for Traefik."""
    wait_until(lambda: answers(labelled, "acme.localhost"), seconds=10, what="the address answers")
    pod = labelled.json("pod", "get", "acme/main")
    assert carriers(labelled) == sorted([pod["id"], "agentpod"])
    assert files(labelled) == []
    assert [label for label in labelled.container(pod["id"])["Config"]["Labels"] if label.startswith("traefik")] == []


def test_carriers_are_no_pods(labelled, wait_until) -> None:
    """The engine takes them neither for pods nor for orphans, and acts on none of them."""
    labelled.agentpod("reconcile")
    assert "OrphanContainer" not in labelled.agentpod("events", "-o", "json").stdout


def test_a_route_changes_without_its_container(labelled, wait_until) -> None:
    """Another address is another carrier; the agent's container is the same one, and the old address is gone."""
    pod = labelled.json("pod", "get", "acme/main")
    before = labelled.container(pod["id"])
    labelled.agentpod("pod", "update", "acme/main", "--subdomain", "renamed")
    wait_until(lambda: answers(labelled, "renamed.localhost"), seconds=10, what="the new address answers")
    wait_until(
        lambda: labelled.get("acme.localhost").status_code == 404, seconds=10, what="the old address is not found"
    )
    after = labelled.container(pod["id"])
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert carriers(labelled) == sorted([pod["id"], "agentpod"])
    labelled.agentpod("pod", "update", "acme/main", "--subdomain", "")
    wait_until(lambda: answers(labelled, "acme.localhost"), seconds=10, what="the first address answers again")


def test_routes_outlive_the_server_and_its_end(labelled, wait_until) -> None:
    """After a kill -9 the address answers; after "down" and "up" a new Traefik serves it from its start."""
    wait_until(lambda: answers(labelled, "acme.localhost"), seconds=10, what="the address answers")
    labelled.end(signal.SIGKILL)
    assert answers(labelled, "acme.localhost")
    labelled.agentpod("down")
    kept = carriers(labelled)
    assert "agentpod" in kept
    labelled.up()
    wait_until(lambda: answers(labelled, "acme.localhost"), seconds=10, what="the address answers again")
    assert carriers(labelled) == kept


def test_the_provider_can_be_switched(labelled, wait_until) -> None:
    """A platform with pods moves its routes into files and back, and nothing of the other way is left."""
    pod = labelled.json("pod", "get", "acme/main")
    both = sorted([pod["id"], "agentpod"])
    before = labelled.container(pod["id"])
    for provider, in_labels, in_files in (("file", [], both), ("docker", both, [])):
        labelled.end(signal.SIGINT)
        labelled.env["AGENTPOD_ROUTER_TRAEFIK_PROVIDER"] = provider
        labelled.up()
        wait_until(lambda: answers(labelled, "acme.localhost"), seconds=10, what="the address answers")
        wait_until(
            lambda wanted=(in_labels, in_files): (carriers(labelled), files(labelled)) == wanted,
            seconds=20,
            what=f"routes are where {provider} keeps them, and only there",
        )
        assert answers(labelled, "acme.localhost")
    after = labelled.container(pod["id"])
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])


def test_a_deleted_pod_leaves_no_carrier(labelled, wait_until) -> None:
    """Its route goes with it; the sweep takes what is left, the dashboard's and the bell."""
    labelled.agentpod("tenant", "delete", "acme", "--cascade", "--yes")
    wait_until(lambda: carriers(labelled) == ["agentpod"], seconds=20, what="only the dashboard's carrier is left")
    wait_until(lambda: labelled.get("acme.localhost").status_code == 404, seconds=10, what="the address is gone")
    labelled.end(signal.SIGINT)
    labelled.sweep()
    assert labelled.leftovers() == []
