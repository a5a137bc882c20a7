"""``/schema``: the OpenAPI document, corrected where the framework says less than is true, and a page to try it.

The page and all of its assets come from this server; it works without internet.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router
from litestar.datastructures import ResponseHeader
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme
from litestar.static_files import create_static_files_router

from agentpod_server.api import auth, problems
from agentpod_server.api.shapes import ProblemView

PATH = "/schema"
ASSETS = "/schema-assets"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AgentPod API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{ASSETS}/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"><p>The API is described in <a href="{PATH}/openapi.json">openapi.json</a>.</p></div>
<script src="{ASSETS}/swagger-ui-bundle.js"></script>
<script src="{ASSETS}/start.js"></script>
</body>
</html>
"""


class _Document(OpenAPIRenderPlugin):
    """Gives the document as JSON."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type="application/vnd.oai.openapi+json")  # type: ignore[arg-type]
        self._bytes: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request
        if self._bytes is None:
            self._bytes = msgspec.json.encode(corrected(openapi_schema))
        return self._bytes


class _Page(OpenAPIRenderPlugin):
    """Gives the page."""

    def __init__(self) -> None:
        super().__init__(path="/", media_type=MediaType.HTML)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        del request, openapi_schema
        return _PAGE.encode()


def config(version: str) -> OpenAPIConfig:
    """Describe the API; document and page are open to everybody, they say nothing of this installation."""
    return OpenAPIConfig(
        title="AgentPod",
        version=version,
        description="Hosts AI agents for many customers. Errors are RFC 9457 problems with a `reason`.",
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer", description="An API token, ap_…")}
        ),
        security=[{"token": []}],
        render_plugins=[_Page(), _Document()],
        openapi_router=Router(
            PATH,
            route_handlers=[],
            opt=auth.OPEN,
            include_in_schema=False,
            dto=None,
            return_dto=None,
            response_headers=[ResponseHeader(name="Content-Security-Policy", value=_PAGE_POLICY)],
            after_request=_no_page_of_its_own,
        ),
    )


def assets() -> Router:
    """Serve the page's files."""
    folder = Path(str(resources.files("agentpod_server.api") / "static"))
    return create_static_files_router(
        ASSETS, directories=[folder], opt=auth.OPEN, include_in_schema=False, name="schema-assets"
    )


def corrected(document: dict[str, Any]) -> dict[str, Any]:
    """Say what is true of every operation: what errors look like, and that unknown members are refused."""
    schemas = document["components"]["schemas"]
    _, problem_schemas = msgspec.json.schema_components((ProblemView,), ref_template="#/components/schemas/{name}")
    schemas.update(problem_schemas)
    problem = {
        "description": "A problem.",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}},
    }
    for path in document["paths"].values():
        for operation in path.values():
            if not isinstance(operation, dict):
                continue
            kept = {status: one for status, one in operation["responses"].items() if status < "400"}
            operation["responses"] = {**kept, "default": problem}
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            name = body.get("$ref", "").rpartition("/")[2]
            if name in schemas:
                schemas[name]["additionalProperties"] = False
    return document


async def _no_page_of_its_own(response: Response[Any]) -> Response[Any]:
    """Turn the framework's HTML answer for unknown paths below into a problem like any other."""
    if response.status_code == 404:  # noqa: PLR2004 - an HTTP status
        raise NotFoundException
    return response
