"""A platform of its own on an engine of its own, for whatever must not happen to the machine's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from private_engine import private_engine
from real.tenancy import IMAGE


@pytest.fixture(scope="module")
def echo_image(new_platform) -> str:
    """Give an image of the light agent that is on the machine's engine."""
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        builder = new_platform(network="10.226.0.0/17")
        builder.up()
        builder.agentpod("image", "build", "echo")
        builder.sweep()
    return IMAGE


@pytest.fixture
def private_platform(new_platform, echo_image) -> Iterator[Callable[..., Any]]:
    """Give a maker of one platform on a private engine; both are gone afterwards."""
    with private_engine(echo_image) as engine:
        made: list[Any] = []

        def make(**extra: str) -> Any:
            platform = new_platform(network="10.227.0.0/16", extra=extra, engine=engine)
            made.append(platform)
            platform.up()
            return platform

        yield make
        for platform in made:
            platform.sweep()
