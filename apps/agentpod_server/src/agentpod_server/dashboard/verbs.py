"""What can be done to a pod: start, stop, restart, delete, open. What interrupts or destroys asks first.

The question is a page of its own, so it is asked without scripts too.
"""

from __future__ import annotations

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from agentpod_core import NotFoundError
from agentpod_core.catalogue import Language
from agentpod_core.values.pods import Wanted
from agentpod_server import forms
from agentpod_server.dashboard import pages, shown
from agentpod_server.dashboard.pages import Anything
from agentpod_server.dashboard.pods import pod_of
from agentpod_server.records import Role, Scope
from agentpod_server.services import Services

_ASKED_FIRST: Final = frozenset({"restart", "stop", "delete"})
_UNASKED: Final = frozenset({"start", "open"})


class VerbPages(Controller):
    """Questions and deeds."""

    path = "/pods/{ref:str}"

    @get(["/restart", "/stop", "/delete"], opt={"role": Role.OPERATOR})
    async def question(
        self,
        request: Anything,
        ref: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Ask whether it is meant."""
        verb = _verb(request)
        found = await pod_of(services, asking, ref, verb)
        return pages.page(request, "pod_verb.html", verb=verb, pod=shown.shown_pod(services, found, language))

    @get(["/start", "/open"])
    async def back(
        self, request: Anything, ref: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[Any]:
        """Lead back to the pod: these are done by its buttons."""
        found = await pod_of(services, asking, ref, _verb(request))
        return pages.go(f"/dashboard/pods/{found.id}")

    @post(["/restart", "/start", "/stop", "/delete"])
    async def deed(
        self, request: Anything, ref: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[Any]:
        """Do it."""
        verb = _verb(request)
        found = await pod_of(services, asking, ref)
        posted = forms.posted_of((await request.form()).multi_items())
        where = (found.tenant, found.name)
        match verb:
            case "restart":
                await services.pods.restart(asking, *where)
            case "start":
                await services.pods.set_wanted(asking, *where, Wanted.RUNNING)
            case "stop":
                await services.pods.set_wanted(asking, *where, Wanted.STOPPED)
            case _:
                keep_data = forms.last(posted, "keep_data") == "true"
                await services.pods.set_wanted(asking, *where, Wanted.DELETED, keep_data=keep_data)
        return pages.go(f"/dashboard/pods/{found.id}?done={verb}")

    @post("/open")
    async def open(
        self, ref: FromPath[str], services: NamedDependency[Services], asking: NamedDependency[Scope]
    ) -> Response[Any]:
        """Lead a browser into the agent, by a link that works once where the agent has such a door."""
        door = await services.agents.open(await pod_of(services, asking, ref))
        return pages.go(door.url)


def _verb(request: Anything) -> str:
    verb = str(request.scope["path"]).rstrip("/").rpartition("/")[2]
    if verb not in _ASKED_FIRST | _UNASKED:
        raise NotFoundError("NotFound", path=request.scope["path"])
    return verb
