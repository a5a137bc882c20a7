"""``/pods`` and ``/tenants/{tenant}/pods``: what is asked of pods, and their verbs."""

from __future__ import annotations

from litestar import Controller, Response, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody

from agentpod_core.catalogue import Language
from agentpod_core.values.pods import Wanted
from agentpod_server.api import views
from agentpod_server.api.bodies import StrictBody
from agentpod_server.api.paging import Adapter, Cursor, InPhase, KeepData, Limit, Search, Tenant
from agentpod_server.api.preconditions import etag
from agentpod_server.api.problems import reasons
from agentpod_server.api.shapes import ConfigView, ConfigWrite, Page, PodCreate, PodPatch, PodView
from agentpod_server.records import PodRecord, Scope
from agentpod_server.services import Services
from agentpod_server.services.asked import Asked
from agentpod_server.services.config import Given

POD = "/{tenant:str}/pods/{pod:str}"

_READING = reasons("PluginFailed")
_WANTING = reasons("PodDeleting", "PluginFailed")
_CHANGING = reasons(
    "InvalidConfig",
    "PodDeleting",
    "SubdomainTaken",
    "SubdomainUnavailable",
    "UnknownAdapter",
    "PluginFailed",
    "BadWorkload",
)
_MAKING = reasons(*_CHANGING["reasons"], "PodExists", "TenantDeleting", "AddressesExhausted")


class AllPodsController(Controller):
    """Pods across tenants."""

    path = "/pods"
    tags = ("Pods",)

    @get(operation_id="list_pods", opt=reasons("TenantNotFound", "PluginFailed"), summary="List pods")
    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        tenant: Tenant = None,
        phase: InPhase = None,
        adapter: Adapter = None,
        search: Search = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[PodView]:
        """List pods of all tenants, by tenant and name."""
        found, following = await services.pods.listing(
            asking, tenant=tenant, phase=phase, adapter=adapter, search=search, cursor=cursor, limit=limit
        )
        return Page(items=[views.pod_view(services, one, language) for one in found], next=following)


class PodsController(Controller):
    """The pods of one tenant."""

    path = "/tenants"
    tags = ("Pods",)

    @get("/{tenant:str}/pods", operation_id="list_tenant_pods", opt=_READING, summary="List a tenant's pods")
    async def listing(  # noqa: PLR0913 - the filters of a listing
        self,
        tenant: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        phase: InPhase = None,
        adapter: Adapter = None,
        search: Search = "",
        cursor: Cursor = None,
        limit: Limit = 50,
    ) -> Page[PodView]:
        """List the pods of a tenant, by name."""
        found, following = await services.pods.listing(
            asking, tenant=tenant, phase=phase, adapter=adapter, search=search, cursor=cursor, limit=limit
        )
        return Page(items=[views.pod_view(services, one, language) for one in found], next=following)

    @post(
        "/{tenant:str}/pods",
        operation_id="create_pod",
        opt=_MAKING,
        responses={200: ResponseSpec(PodView, description="It exists already.")},
        summary="Create a pod",
        dto=StrictBody[PodCreate],
        return_dto=None,
    )
    async def create(
        self,
        tenant: FromPath[str],
        data: JSONBody[PodCreate],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Create a pod; the same again answers 200 with the one that exists. All that is wrong is told at once."""
        asked = Asked(
            given=Given(config=data.config, set=data.set, secrets=data.secrets),
            subdomain=data.subdomain,
            image=data.image,
            size=data.size,
            memory=data.memory,
            cpus=data.cpus,
            wanted=data.wanted,
        )
        made, is_new = await services.specs.create(asking, tenant, name=data.name, adapter=data.adapter, asked=asked)
        return _answer(services, made, language, 201 if is_new else 200)

    @get(POD, operation_id="get_pod", opt=_READING, summary="Get a pod")
    async def one(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Get a pod: what was asked, what is seen, where it is reached."""
        return _answer(services, await services.pods.get(asking, tenant, pod), language)

    @patch(
        POD, operation_id="update_pod", opt=_CHANGING, summary="Change a pod", dto=StrictBody[PodPatch], return_dto=None
    )
    async def update(  # noqa: PLR0913 - what a change takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        data: JSONBody[PodPatch],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        expected: NamedDependency[frozenset[int] | None],
    ) -> Response[PodView]:
        """Change what is asked of a pod by a JSON merge patch; If-Match is demanded."""
        asked = Asked(
            given=Given.patch(data.config, data.set, data.secrets),
            subdomain=data.subdomain,
            image=data.image,
            size=data.size,
            memory=data.memory,
            cpus=data.cpus,
            wanted=data.wanted,
        )
        changed = await services.specs.update(asking, tenant, pod, expected=expected, asked=asked)
        return _answer(services, changed, language)

    @delete(POD, operation_id="delete_pod", opt=_READING, summary="Delete a pod", status_code=202)
    async def remove(  # noqa: PLR0913 - what a deletion takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
        keep_data: KeepData = False,  # noqa: FBT002 - a query parameter
    ) -> Response[PodView]:
        """Ask for a pod's end; ``keep_data`` leaves its volumes. It is gone once nothing of it is left."""
        gone = await services.pods.set_wanted(asking, tenant, pod, Wanted.DELETED, keep_data=keep_data)
        return _answer(services, gone, language, 202)

    @post(f"{POD}/start", operation_id="start_pod", opt=_WANTING, summary="Start a pod", status_code=200)
    async def start(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Want a pod to run."""
        return _answer(services, await services.pods.set_wanted(asking, tenant, pod, Wanted.RUNNING), language)

    @post(f"{POD}/stop", operation_id="stop_pod", opt=_WANTING, summary="Stop a pod", status_code=200)
    async def stop(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Want a pod to be stopped; its data stays."""
        return _answer(services, await services.pods.set_wanted(asking, tenant, pod, Wanted.STOPPED), language)

    @post(
        f"{POD}/restart",
        operation_id="restart_pod",
        opt=reasons("PodDeleting", "PodIsStopped", "PluginFailed"),
        summary="Restart a pod",
        status_code=200,
    )
    async def restart(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Restart a pod's agent once."""
        return _answer(services, await services.pods.restart(asking, tenant, pod), language)

    @post(
        f"{POD}/rotate-token",
        operation_id="rotate_pod_token",
        opt=reasons("PodDeleting", "NothingToRotate", "UnknownAdapter", "PluginFailed", "BadWorkload"),
        summary="Give a pod a new token",
        status_code=200,
    )
    async def rotate_token(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        language: NamedDependency[Language],
    ) -> Response[PodView]:
        """Make new values for the secrets that AgentPod made for this pod."""
        return _answer(services, await services.specs.rotate(asking, tenant, pod), language)

    @get(f"{POD}/config", operation_id="get_pod_config", opt=_READING, summary="Get a pod's config")
    async def config(
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
    ) -> Response[ConfigView]:
        """Get a pod's config; secrets that are set read ``{"$secret": true}``."""
        return _config(services, await services.pods.get(asking, tenant, pod))

    @put(
        f"{POD}/config",
        operation_id="replace_pod_config",
        opt=_CHANGING,
        summary="Replace a pod's config",
        dto=StrictBody[ConfigWrite],
        return_dto=None,
    )
    async def replace_config(  # noqa: PLR0913 - what a change takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        data: JSONBody[ConfigWrite],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        expected: NamedDependency[frozenset[int] | None],
    ) -> Response[ConfigView]:
        """Replace the whole config; ``{"$secret": true}`` keeps a secret. If-Match is demanded."""
        asked = Asked(given=Given(config=data.config, set=data.set, secrets=data.secrets))
        return _config(services, await services.specs.update(asking, tenant, pod, expected=expected, asked=asked))

    @patch(
        f"{POD}/config",
        operation_id="update_pod_config",
        opt=_CHANGING,
        summary="Change a pod's config",
        dto=StrictBody[ConfigWrite],
        return_dto=None,
    )
    async def change_config(  # noqa: PLR0913 - what a change takes
        self,
        tenant: FromPath[str],
        pod: FromPath[str],
        data: JSONBody[ConfigWrite],
        services: NamedDependency[Services],
        asking: NamedDependency[Scope],
        expected: NamedDependency[frozenset[int] | None],
    ) -> Response[ConfigView]:
        """Change the config by a JSON merge patch. If-Match is demanded."""
        asked = Asked(given=Given(config=data.config, set=data.set, secrets=data.secrets, is_patch=True))
        return _config(services, await services.specs.update(asking, tenant, pod, expected=expected, asked=asked))


def _answer(services: Services, pod: PodRecord, language: Language, status: int = 200) -> Response[PodView]:
    headers = {"ETag": etag(pod.generation)}
    if status == 201:  # noqa: PLR2004 - an HTTP status
        headers["Location"] = f"/api/v1/tenants/{pod.tenant}/pods/{pod.name}"
    return Response(views.pod_view(services, pod, language), status_code=status, headers=headers)


def _config(services: Services, pod: PodRecord) -> Response[ConfigView]:
    return Response(views.config_view(services, pod), headers={"ETag": etag(pod.generation)})
