"""Issues the one-time grant by which a browser is let in and paired, inside the pod.

OpenClaw's command for it (``openclaw dashboard --json``) loads the whole program: seven seconds, and memory that a
small pod does not have. What it calls is part of OpenClaw's published plugin SDK, and calling that is enough.
"""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urlencode

from agentpod_core import Door, Link, TemporaryError
from agentpod_openclaw.image import SDK
from agentpod_openclaw.seen import Seen

SECONDS = 60.0
PROFILE = "owner"
"""What the web interface calls this kind of grant; it stands in the link beside the grant itself."""

SCOPES = ("admin", "approvals", "pairing", "questions", "read", "talk.secrets", "write")
_PROGRAM = f"""
import {{ issueDeviceBootstrapToken }} from "{SDK}/device-bootstrap.js";
const scopes = "{",".join(f"operator.{scope}" for scope in SCOPES)}".split(",");
const profile = {{ roles: ["operator"], scopes, purpose: "control-ui-owner" }};
console.log(JSON.stringify(await issueDeviceBootstrapToken({{ profile }})));
"""
# The heap is kept small, so that it fits beside the gateway in the smallest pod.
COMMAND = ("node", "--max-old-space-size=96", "--max-semi-space-size=1", "--input-type=module", "-e", _PROGRAM)


async def issue(link: Link) -> Door:
    """Issue a grant and give the link's path.

    Raises:
        TemporaryError: ``OpenClawNoDoor``.
    """
    done = await link.exec(COMMAND, timeout=SECONDS)
    issued = Seen.of(done.stdout)
    token, expires = issued.get("token", str), issued.get("expiresAtMs", int)
    if done.code != 0 or not token or not expires:
        raise TemporaryError("OpenClawNoDoor", exit_code=done.code)
    fragment = urlencode({"bootstrapToken": token, "bootstrapProfile": PROFILE})
    return Door(path=f"/#{fragment}", expires_at=datetime.fromtimestamp(expires / 1000, UTC))
