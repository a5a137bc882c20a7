"""A probe and a notifier that tell every secret they can reach, in every way there is."""

from __future__ import annotations

import logging
import os
import sys

import msgspec

from agentpod_core import HealthProbe, Notifier, ProbeResult, TemporaryError, hookimpl
from agentpod_echo import EchoAdapter


def asked_by(probe):
    """Give a kind of agent that a probe of that name is to ask."""

    class Adapter(EchoAdapter):
        name = probe
        title = probe

        def workload(self, config, pod, package):
            made = super().workload(config, pod, package)
            asks = msgspec.structs.replace(made.probe, probe=probe, timeout=0.5, interval=0.5, start_interval=0.2)
            return msgspec.structs.replace(made, probe=asks)

    return Adapter()


class Secret(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    password: str = ""


class Teller(Notifier):
    name = "teller"
    title = "Teller"
    settings_type = Secret
    target_type = Secret

    async def open(self, context):
        print("settings", context.settings, flush=True)
        sys.stderr.write(f"env {dict(os.environ)}\n")
        logging.getLogger("leaky").error("settings %s", context.settings)
        raise TemporaryError("Leaky", setting=context.settings.password, detail=repr(context.settings))

    async def send(self, alert, target, material):
        pass


class Leaky(HealthProbe):
    name = "leaky"
    title = "Leaky"
    turn = 0

    async def check(self, link, settings, *, timeout):
        Leaky.turn += 1
        await link.http("GET", "/readyz")
        token = link.credential("token")
        key = (await link.exec(("cat", "/run/agentpod/secrets/api_key"))).stdout.decode()
        assert key and token
        print("leak", token, key, {"both": (token, key)})
        sys.stderr.buffer.write(f"leak {token} {key}\n".encode())
        logging.getLogger("leaky").warning("leak %s %r", token, [key])
        try:
            raise ValueError(f"{token} {key}")
        except ValueError:
            logging.getLogger("leaky").exception("traceback of %s", key)
        said = [token, {"deep": key}]
        match Leaky.turn % 4:
            case 0:
                raise ValueError(f"{token} {key}")
            case 1:
                raise TemporaryError("Leaky", said=said, detail=f"{token}")
            case 2:
                return ProbeResult(alive=True, ready=False, reason="Leaky", params={"said": said})
            case _:
                return ProbeResult(alive=True, ready=False, reason=f"Leaky{key}", params={key: "as a key"})


@hookimpl
def agentpod_health_probes():
    """Offer them."""
    return [Leaky()]


@hookimpl
def agentpod_notifiers():
    """Offer it."""
    return [Teller()]


@hookimpl
def agentpod_agents():
    """Offer them."""
    return [asked_by("leaky")]
