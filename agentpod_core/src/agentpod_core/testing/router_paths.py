"""Paths by which clients try to get past a router's refusals, and paths that only look like that."""

from __future__ import annotations

REFUSED = ("/api/v1/admin", "/v1")
"""The prefixes that an agent does not want to be asked for from outside."""

TRICKS = (
    "/api/v1/admin",
    "/api/v1/admin/",
    "/api/v1/admin/rpc",
    "/api/v1/admin?x=/",
    "/v1",
    "/v1/models",
    # what proxies and agents read differently
    "//api/v1/admin",
    "/api//v1///admin",
    "/./api/./v1/admin",
    "/x/../api/v1/admin",
    "/x/../../api/v1/admin",
    "/x/%2e%2e/api/v1/admin",
    "/%61pi/v1/admin",
    "/api/v1/%61dmi%6E",
    "/%2561pi/v1/admin",
    "/API/v1/Admin",
    "/api%2Fv1%2fadmin",
    "/api%252Fv1/admin",
    "/%2Fapi/v1/admin",
    "/x/..%2Fapi/v1/admin",
    "/api/x/..%2fv1/admin",
    "/.%2Fapi/v1/admin",
    "/api\\v1\\admin",
    "/api%5Cv1/admin",
    "/x\\..\\api/v1/admin",
    "/%5c%2e%2e%5capi/v1/admin",
    "/api;a=b/v1;c/admin",
    "/api%3Bx/v1/admin",
    "/api/v1/admin;x",
    "/api/v1/admin%00",
    "/api/v1/admin%20",
    "/api/v1/admin%2Frpc",
    "/api/v1/admin%3Fx",
    "/#/../api/v1/admin",
    "api/v1/admin",
    "http://{host}/api/v1/admin",
    "http://{host}//api/v1/admin",
    "http://other.contract.test/api/v1/admin",
)

FREE = (
    "/",
    "/api/v1/administrators",
    "/v1beta/models",
    "/x/api/v1/admin",
    "/files/a%20b%2Fc.txt",
    "/100%25",
    "/.well-known/x",
    "/..x/",
    "/?next=/api/v1/admin",
)
