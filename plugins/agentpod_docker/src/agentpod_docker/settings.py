"""What an operator can set about the Docker engine."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct


class DockerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the engine is and what AgentPod may do on its host."""

    url: Annotated[
        str,
        Meta(
            title="Engine address",
            description="unix:///path/to/docker.sock or tcp://host:port.",
            pattern=r"^(unix|tcp|http)://.+",
        ),
    ] = "unix:///var/run/docker.sock"
    protect_host: Annotated[
        bool,
        Meta(title="Protect the host", description="Close this machine's own services to pods by packet filter."),
    ] = True
    pull_timeout: Annotated[
        float, Meta(title="Pull timeout", description="How long one image pull may take, in seconds.", gt=0)
    ] = 600.0
    base_timeout: Annotated[
        float,
        Meta(
            title="Base image timeout",
            description="How long to look for a ready base image before making one here, in seconds.",
            ge=0,
        ),
    ] = 10.0
