"""Where pods are reached: host names below the platform's domain and the origins that browsers see."""

from __future__ import annotations

from msgspec import Struct

from agentpod_core import Entrypoints

_HTTP, _HTTPS = 80, 443


class Addresses(Struct, frozen=True, kw_only=True):
    """The platform's public names. ``entrypoints`` are the router's; usual ports are left out of origins."""

    domain: str
    entrypoints: Entrypoints = Entrypoints()

    def hosts(self, subdomain: str) -> tuple[str, ...]:
        """Give the full host names of a pod with that subdomain."""
        return (f"{subdomain}.{self.domain}",)

    def origins(self, subdomain: str) -> tuple[str, ...]:
        """Give every origin under which a browser may open the pod, the best one first."""
        return tuple(origin for host in self.hosts(subdomain) for origin in self._of(host))

    def url(self, subdomain: str, path: str = "/") -> str:
        """Give the address of a pod for people."""
        return f"{self.origins(subdomain)[0]}/{path.lstrip('/')}"

    def _of(self, host: str) -> list[str]:
        points = self.entrypoints
        origins = []
        if points.https is not None:
            origins.append(f"https://{host}" if points.https == _HTTPS else f"https://{host}:{points.https}")
        origins.append(f"http://{host}" if points.http == _HTTP else f"http://{host}:{points.http}")
        return origins
