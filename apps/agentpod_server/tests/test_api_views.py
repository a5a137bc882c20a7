"""How what is stored is shown; pure, no server is asked."""

from __future__ import annotations

import pytest

from agentpod_core import catalogue
from agentpod_core.values.status import PodStatus
from agentpod_server.api.views import status_view


@pytest.mark.parametrize("language", catalogue.LANGUAGES)
def test_a_status_says_what_to_do_about_it(language):
    """The verdict and its repair come together, in the reader's language."""
    unseen = PodStatus(reason="EngineUnreachable", params={"address": "/run/docker.sock"})
    shown = status_view(unseen, language, "acme/main")
    assert shown.repair == catalogue.repair("EngineUnreachable", {"address": "/run/docker.sock"}, language)
    assert shown.repair


def test_a_status_that_asks_for_nothing_has_no_repair():
    """Nobody is told to do something about a pod that runs."""
    assert status_view(PodStatus(reason="Running"), "en", "acme/main").repair is None
