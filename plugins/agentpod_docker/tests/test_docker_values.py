"""What the Docker plugin decides without an engine."""

from __future__ import annotations

import asyncio
import struct
import tarfile
from datetime import UTC, datetime

import pytest

from agentpod_core import (
    ContainerState,
    CreateContainer,
    ImageRecipe,
    Limits,
    PermanentError,
    Resources,
    SecretRef,
    TemporaryError,
    Volume,
    Workload,
)
from agentpod_docker import firewall
from agentpod_docker.base_images import base_tag
from agentpod_docker.build import dockerfile, recipe_hash, write_context
from agentpod_docker.engine import Refused, _api_version
from agentpod_docker.making import container_body, granted_cpus, update_body
from agentpod_docker.networks import route_in_the_way
from agentpod_docker.reading import inspected_container, listed_container, moment, seen_network
from agentpod_docker.streams import frames
from agentpod_docker.usage import Sample, millicores

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
wg0\t0000D50A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
apaaaaaaaa-1\t4000D60A\t00000000\t0001\t0\t0\t0\tC0FFFFFF\t0\t0\t0
"""


def test_an_old_engine_is_refused_by_name():
    """An engine before 20.10 is refused, with its version and the one that is needed."""
    with pytest.raises(PermanentError) as caught:
        _api_version({"ApiVersion": "1.40", "MinAPIVersion": "1.12", "Version": "19.03.15"})
    assert caught.value.reason == "EngineTooOld"
    assert caught.value.params == {"version": "19.03.15", "needed": "20.10"}


@pytest.mark.parametrize(
    ("newest", "oldest", "chosen"), [("1.41", "1.12", "1.41"), ("1.49", "1.24", "1.41"), ("1.52", "1.44", "1.44")]
)
def test_the_oldest_common_version_is_spoken(newest, oldest, chosen):
    """A newer engine is spoken to as the oldest supported one, as far as it lets us."""
    assert _api_version({"ApiVersion": newest, "MinAPIVersion": oldest}) == chosen


def test_a_host_route_is_in_the_way():
    """A subnet within a route of the host is in the way; the default route and our own bridge are not."""
    assert route_in_the_way("10.213.5.0/26", "apaaaaaaaa-2", ROUTES) == "wg0"
    assert route_in_the_way("10.212.0.0/14", "apaaaaaaaa-2", ROUTES) == "wg0"
    assert route_in_the_way("10.215.0.0/26", "apaaaaaaaa-2", ROUTES) is None
    assert route_in_the_way("10.214.0.64/26", "apaaaaaaaa-1", ROUTES) is None
    assert route_in_the_way("10.214.0.64/26", "apaaaaaaaa-2", ROUTES) == "apaaaaaaaa-1"


def test_only_reachable_resolvers_are_let_through():
    """Loopback and IPv6 name servers are no destination of a pod's packets."""
    text = (
        "# nameserver 9.9.9.9\nnameserver 127.0.0.53\nnameserver 192.0.2.53\nnameserver fd00::1\nnameserver x\nsearch a"
    )
    assert firewall.local_resolvers(text) == ["192.0.2.53"]


def test_the_chain_lets_through_what_is_asked():
    """Answers, the given ports and the resolver pass on to the host's own rules; the rest is dropped last."""
    rules = firewall.rules("abcdefgh", (8443, 80, 80), ["192.0.2.53"])
    assert rules[0].endswith("RELATED,ESTABLISHED -j RETURN")
    assert [rule for rule in rules if "--dport" in rule] == [
        "-A AGENTPOD-ABCDEFGH -p tcp -m tcp --dport 80 -j RETURN",
        "-A AGENTPOD-ABCDEFGH -p tcp -m tcp --dport 8443 -j RETURN",
        "-A AGENTPOD-ABCDEFGH -d 192.0.2.53/32 -p udp -m udp --dport 53 -j RETURN",
        "-A AGENTPOD-ABCDEFGH -d 192.0.2.53/32 -p tcp -m tcp --dport 53 -j RETURN",
    ]
    assert rules[-1] == "-A AGENTPOD-ABCDEFGH -j DROP"


@pytest.mark.parametrize(
    ("before", "closed"),
    [
        ([], True),
        (["-A INPUT -i apzzzzzzzz-+ -j AGENTPOD-ZZZZZZZZ"], True),
        (["-A INPUT -j ACCEPT"], False),
    ],
)
def test_a_rule_before_ours_opens_the_host(before, closed):
    """The host counts as closed only while nothing but another AgentPod's hook comes before ours."""
    listing = [*before, firewall.hook("abcdefgh"), "-A AGENTPOD-ABCDEFGH -j DROP"]
    assert firewall.is_closed("abcdefgh", listing) is closed
    assert not firewall.is_closed("abcdefgh", listing[:-1])


def test_a_container_is_hardened():
    """Every container drops all capabilities, gains no privileges, publishes nothing and has a bounded log."""
    ref = SecretRef(key="t")
    body = container_body(_creation(env={"B": ref, "A": "1"}), {ref: "v"}, 4)
    host = body["HostConfig"]
    assert body["User"] == "1000:1000"
    assert body["Env"] == ["A=1", "B=v"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["RestartPolicy"] == {"Name": "unless-stopped"}
    assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["PidsLimit"]) == (2**28, 2**28, 4 * 10**9, 512)
    assert host["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    assert "size=67108864" in host["Tmpfs"]["/tmp"]
    assert not {"PortBindings", "PublishAllPorts", "Privileged", "Binds", "ExposedPorts"} & {*host, *body}
    assert host["Mounts"][0]["VolumeOptions"]["Labels"] == {"agentpod.instance": "i"}
    assert body["NetworkingConfig"]["EndpointsConfig"]["n"]["IPAMConfig"] == {"IPv4Address": "10.214.0.10"}
    assert "Cmd" not in body


def test_a_lifted_limit_is_a_huge_one():
    """The engine reads 0 as "no change", so lifting memory and processors asks for all there is."""
    body = update_body(Limits(memory=None, cpus=None, pids=None, restart=False), 2)
    assert body["Memory"] == body["MemorySwap"] > 2**60
    assert (body["NanoCpus"], body["PidsLimit"], body["RestartPolicy"]) == (2 * 10**9, -1, {"Name": "no"})
    assert granted_cpus(64_000, 2) == 2000


def test_limits_are_read_back():
    """Limits are read from either of the engine's two ways to limit processors; a huge memory is none."""
    raw = _inspected({"Memory": 2**62, "CpuQuota": 150_000, "CpuPeriod": 100_000, "PidsLimit": None})
    assert inspected_container(raw).limits == Limits(memory=None, cpus=1500, pids=None, restart=False)


def test_a_restarting_container_shows_its_last_exit():
    """Between two tries the exit code is known; while it runs there is none."""
    raw = _inspected({}) | {"State": {"Status": "restarting", "ExitCode": 78, "OOMKilled": False}}
    assert inspected_container(raw).exit_code == 78
    raw["State"]["Status"] = "running"
    assert inspected_container(raw).exit_code is None


def test_unknown_states_count_as_dead():
    """A state that a later engine may invent never looks like running."""
    raw = {"Id": "1", "Names": ["/x"], "State": "hibernating", "Image": "i", "Labels": None}
    seen = listed_container(raw)
    assert (seen.state, seen.labels, seen.network) == (ContainerState.DEAD, {}, None)


def test_times_are_read():
    """Nanoseconds are cut, and the engine's "never" is None."""
    assert moment("2026-01-02T03:04:05.123456789Z") == datetime(2026, 1, 2, 3, 4, 5, 123456, tzinfo=UTC)
    assert moment("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert moment("0001-01-01T00:00:00Z") is None


def test_a_network_without_a_plan_is_read():
    """The host's own networks have no subnet, and are no error."""
    assert seen_network({"Id": "1", "Name": "host", "IPAM": {"Config": None}}).subnet == ""


def test_a_failure_may_pass_and_a_refusal_will_not():
    """The engine's 5xx and 409 are temporary, the rest of its refusals permanent."""
    assert isinstance(Refused(500, "no space\n").as_error(), TemporaryError)
    assert isinstance(Refused(409, "busy").as_error(), TemporaryError)
    assert isinstance(Refused(400, "bad").as_error(), PermanentError)


def test_use_is_compared_between_looks():
    """Half a second of processor time in one second is 500 millicores; without an earlier look it is unknown, 0."""
    first = Sample(at=datetime(2026, 1, 1, tzinfo=UTC), used=10**9)
    second = Sample(at=datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC), used=10**9 + 5 * 10**8)
    assert millicores(first, second) == 500
    assert millicores(None, second) == 0


async def test_frames_survive_any_cut():
    """Output is put together again wherever the connection happened to cut it."""
    raw = b"".join(struct.pack(">BxxxL", stream, len(text)) + text for stream, text in ((1, b"out\n"), (2, b"err\n")))

    class Content:
        async def iter_any(self):
            for byte in raw:
                await asyncio.sleep(0)
                yield bytes([byte])

    class Response:
        content = Content()

    assert [frame async for frame in frames(Response())] == [(1, b"out\n"), (2, b"err\n")]


def test_a_recipe_becomes_a_build(tmp_path):
    """Files come in one archive, steps are run as root in order, and quoting survives whatever a value holds."""
    recipe = ImageRecipe(
        image="x:1",
        files={"/opt/a": "text", "/opt/b": "#!/bin/sh\n"},
        steps=('echo "a b"', "true"),
        env={"E": 'a"b$c\\'},
        command=("run", "it"),
        user="bot",
    )
    text = dockerfile(recipe, "base:1", "hash")
    assert text.splitlines()[0] == "FROM base:1"
    assert 'RUN ["/bin/sh", "-euc", "echo \\"a b\\""]' in text
    assert 'ENV E="a\\"b\\$c\\\\"' in text
    assert text.index("ADD files.tar /") < text.index("USER 1000:1000")
    assert 'CMD ["run", "it"]' in text
    write_context(tmp_path / "context.tar", recipe, text, ())
    with tarfile.open(tmp_path / "context.tar") as archive:
        assert archive.getnames() == ["Dockerfile", "files.tar"]
        with tarfile.open(fileobj=archive.extractfile("files.tar")) as files:
            assert {one.name: one.mode for one in files} == {"opt/a": 0o644, "opt/b": 0o755}


def test_hashes_follow_from_what_they_stand_for():
    """A recipe's hash changes with anything in it; a base's tag with its packages, not with their order."""
    assert recipe_hash(ImageRecipe(image="x:1")) != recipe_hash(ImageRecipe(image="x:1", steps=("true",)))
    assert base_tag(("b", "a")) == base_tag(("a", "b")) != base_tag(("a",))


def _creation(**workload) -> CreateContainer:
    return CreateContainer(
        name="c",
        labels={"agentpod.instance": "i", "agentpod.spec-hash": "h"},
        workload=Workload(
            image="x:1",
            volumes=(Volume(name="data", path="/data"),),
            resources=Resources(memory=2**28, cpus=64_000),
            **workload,
        ),
        volumes={"data": "v"},
        network="n",
        address="10.214.0.10",
        hostname="h",
        reason="test",
    )


def _inspected(host: dict) -> dict:
    return {
        "Id": "1",
        "Name": "/x",
        "Config": {"Labels": None, "Image": "i"},
        "State": {"Status": "running", "ExitCode": 0},
        "HostConfig": host,
    }
