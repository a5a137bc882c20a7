"""Tenants: the list with the form for a new one, and each tenant's page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from agentpod_core import AgentPodError, ConfigError, ConflictError
from agentpod_core.catalogue import Language
from agentpod_core.values.pods import Wanted
from agentpod_server import forms
from agentpod_server.api import auth
from agentpod_server.dashboard import pages, podforms, shown, words
from agentpod_server.dashboard.pages import Anything
from agentpod_server.forms import Parts
from agentpod_server.records import Role, Scope, TenantRecord
from agentpod_server.services import Services

_PAGE = 100
_DONE = frozenset({"made", "there", "saved", "unchanged", "start", "stop"})
_EVENTS = 15


class TenantPages(Controller):
    """The list, a tenant, and what can be done to it."""

    path = "/tenants"

    @get()
    async def listing(  # noqa: PLR0913 - what a page needs
        self,
        request: Anything,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        q: FromQuery[str] = "",
        cursor: FromQuery[str] = "",
    ) -> Response[Any]:
        """List tenants."""
        return await _list_page(request, services, asking, language, search=q.strip()[:100], cursor=cursor)

    @post(opt=auth.PLATFORM)
    async def make(
        self,
        request: Anything,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Make a tenant, or show what is wrong with what was asked."""
        posted = forms.posted_of((await request.form()).multi_items())
        slug, name, email = ((forms.last(posted, f"tenant.{one}") or "").strip() for one in ("slug", "name", "email"))
        try:
            made, is_new = await services.tenants.create(asking, slug=slug, name=name or None, email=email)
        except (ConfigError, ConflictError) as error:
            return await _list_page(request, services, asking, language, posted=posted, error=error)
        return pages.go(f"/dashboard/tenants/{made.slug}?done={'made' if is_new else 'there'}")

    @get("/{slug:str}")
    async def one(  # noqa: PLR0913 - what a page needs
        self,
        request: Anything,
        slug: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        done: FromQuery[str] = "",
    ) -> Response[Any]:
        """Show a tenant with its pods."""
        return await _page(request, services, asking, language, slug, done=done if done in _DONE else "")

    @post("/{slug:str}", opt=auth.PLATFORM)
    async def change(
        self,
        request: Anything,
        slug: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[Any]:
        """Change name and address, or show what is wrong with them."""
        posted = forms.posted_of((await request.form()).multi_items())
        name, email = ((forms.last(posted, f"tenant.{one}") or "").strip() for one in ("name", "email"))
        expected = forms.number(forms.last(posted, "generation") or "") or 0
        before = await services.tenants.get(asking, slug)
        try:
            after = await services.tenants.update(asking, slug, expected={expected}, name=name or None, email=email)
        except (ConfigError, ConflictError) as error:
            return await _page(request, services, asking, language, slug, posted=posted, error=error)
        done = "saved" if after.generation != before.generation else "unchanged"
        return pages.go(f"/dashboard/tenants/{slug}?done={done}")

    @get(["/{slug:str}/stop", "/{slug:str}/delete"], opt={"role": Role.OPERATOR})
    async def question(
        self,
        request: Anything,
        slug: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[Any]:
        """Ask whether it is meant."""
        tenant = await services.tenants.get(asking, slug)
        return pages.page(request, "tenant_verb.html", verb=_verb(request), tenant=tenant)

    @get("/{slug:str}/start")
    async def back(self, slug: FromPath[str]) -> Response[Any]:
        """Lead back to the tenant: this is done by its button."""
        return pages.go(f"/dashboard/tenants/{slug}")

    @post(["/{slug:str}/start", "/{slug:str}/stop"])
    async def switch(
        self,
        request: Anything,
        slug: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[Any]:
        """Let all of its pods run, or stop them."""
        verb = _verb(request)
        await services.tenants.set_wanted(asking, slug, Wanted.RUNNING if verb == "start" else Wanted.STOPPED)
        return pages.go(f"/dashboard/tenants/{slug}?done={verb}")

    @post("/{slug:str}/delete", opt=auth.PLATFORM)
    async def remove(
        self,
        request: Anything,
        slug: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[Any]:
        """Ask for its end, with that of its pods."""
        posted = forms.posted_of((await request.form()).multi_items())
        keep_data = forms.last(posted, "keep_data") == "true"
        await services.tenants.delete(asking, slug, cascade=True, keep_data=keep_data)
        return pages.go("/dashboard/tenants?done=delete")


async def _list_page(  # noqa: PLR0913 - what a page needs
    request: Anything,
    services: Services,
    asking: Scope,
    language: Language,
    *,
    search: str = "",
    cursor: str = "",
    posted: forms.Posted | None = None,
    error: AgentPodError | None = None,
) -> Response[Any]:
    found, following = await services.tenants.listing(asking, search=search, cursor=cursor or None, limit=_PAGE)
    latest, _ = await services.events.listing(asking, limit=1)
    return pages.page(
        request,
        "tenants.html",
        status=podforms.status_of(error) if error else 200,
        tenants=found,
        search=search,
        following=following,
        form=_form(language, None, posted, error),
        done="delete" if request.query_params.get("done") == "delete" else "",
        after=latest[-1].seq if latest else 0,
    )


async def _page(  # noqa: PLR0913 - what a page needs
    request: Anything,
    services: Services,
    asking: Scope,
    language: Language,
    slug: str,
    *,
    done: str = "",
    posted: forms.Posted | None = None,
    error: AgentPodError | None = None,
) -> Response[Any]:
    since = datetime.now(UTC)
    status = await services.tenants.status(asking, slug)
    events, _ = await services.events.listing(asking, tenant=slug, limit=_EVENTS)
    tenant = status.tenant
    summary, _ = await services.availability.tenant_summary(asking, tenant)
    return pages.page(
        request,
        "tenant.html",
        status=podforms.status_of(error) if error else 200,
        tenant=tenant,
        ready=status.ready,
        availability=summary,
        pods=[shown.shown_pod(services, one, language) for one in status.pods],
        events=[shown.shown_event(one, language) for one in reversed(events)],
        form=_form(language, tenant, posted, error),
        generation=(forms.last(posted, "generation") if posted else None) or tenant.generation,
        done=done,
        after=events[-1].seq if events else 0,
        since=since,
    )


def _form(
    language: Language, tenant: TenantRecord | None, posted: forms.Posted | None, error: AgentPodError | None
) -> dict[str, Any]:
    """Draw the form of a tenant; one that is there keeps its slug."""
    problems: dict[str, list[str]] = {}
    alerts: list[podforms.Alert] = []
    if isinstance(error, ConfigError):
        for one in error.problems:
            problems.setdefault(f"tenant.{one.path.removeprefix('$.')}", []).append(words.problem_text(one, language))
    elif error is not None:
        alert = podforms.alert_of(error, language)
        if error.reason in {"TenantExists", "TenantDeleting"}:
            problems["tenant.slug"] = [alert.text]
        else:
            alerts.append(alert)
    shape = _schema(language, with_slug=tenant is None)
    current = None if tenant is None else {"name": tenant.name, "email": tenant.email}
    parts: Parts = forms.draw(shape, current, prefix="tenant", posted=posted, problems=problems)
    return {"parts": parts, "wrong": forms.wrong(parts), "focus": forms.first_wrong(parts), "alerts": alerts}


def _schema(language: Language, *, with_slug: bool) -> dict[str, Any]:
    slug = {
        "type": "string",
        "title": words.say("tenant.slug", language),
        "description": words.say("tenant.slug_help", language),
        "examples": ["acme"],
    }
    name = {
        "type": "string",
        "title": words.say("tenant.name", language),
        "description": words.say("tenant.name_help", language),
        "default": "",
        "examples": ["Acme Ltd"],
    }
    email = {
        "type": "string",
        "title": words.say("tenant.email", language),
        "default": "",
        "format": "email",
        "examples": ["it@acme.example"],
    }
    properties = {"name": name, "email": email}
    return {
        "type": "object",
        "properties": {"slug": slug, **properties} if with_slug else properties,
        "required": ["slug"] if with_slug else [],
    }


def _verb(request: Anything) -> str:
    return str(request.scope["path"]).rstrip("/").rpartition("/")[2]
