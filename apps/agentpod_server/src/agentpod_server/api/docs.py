"""``/schema``: the API's description as an OpenAPI document, and a page to try it.

Both are open to everybody: they say nothing of this installation. The page and all of its assets come
from this server; it works without internet.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, Router, get
from litestar.static_files import create_static_files_router
from litestar.types import ControllerRouterHandler

from agentpod_server.api import auth, document

PATH = "/schema"
ASSETS = "/schema-assets"
_MEDIA_TYPE = "application/vnd.oai.openapi+json"
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


def handlers(prefix: str) -> list[ControllerRouterHandler]:
    """Give the handlers of page, document and files; the document is about what is below ``prefix``."""
    made: list[bytes] = []

    @get(PATH, opt=auth.OPEN, include_in_schema=False, media_type=MediaType.HTML)
    async def page() -> Response[str]:
        """Give the page."""
        return Response(_PAGE, media_type=MediaType.HTML, headers={"Content-Security-Policy": _PAGE_POLICY})

    @get(f"{PATH}/openapi.json", opt=auth.OPEN, include_in_schema=False)
    async def openapi(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Give the document, made at the first time."""
        if not made:
            version = request.app.state["version"]
            made.append(msgspec.json.encode(document.describe(request.app, prefix=prefix, version=version)))
        return Response(made[0], media_type=_MEDIA_TYPE)

    return [page, openapi, _assets()]


def _assets() -> Router:
    folder = Path(str(resources.files("agentpod_server.api") / "static"))
    return create_static_files_router(
        ASSETS, directories=[folder], opt=auth.OPEN, include_in_schema=False, name="schema-assets"
    )
