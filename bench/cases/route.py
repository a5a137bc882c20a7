"""A changed address, from its acceptance by the API until it answers, against the rename of the same file by hand.

50 pods are there. The reference is a second Traefik with the same static configuration, whose folder holds copies of
the very files that the platform wrote, and which lead to the same pods. Ours counts from the API's answer; a second
line, for reading, counts the same turns from before the request was sent. Both sides are asked every 10 ms.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence

from harness import Case, Row, Turns, interleaved, ratio, times_at_most
from stage import Stage
from stage.asking import Question, answered_at
from stage.platform import CROWD
from stage.router import Running

TITLE = "route change accepted → answers, 50 routes"
PAIRS = 45
ROUTES = 50


def run(stage: Stage) -> Sequence[Row]:
    """Change the address of one pod after another, and of its copy."""
    platform, router = stage.platform, stage.router
    pods = platform.crowd(ROUTES)
    texts = {path.name: path.read_text() for path in Running.of(platform).routes.iterdir()}
    for name, text in texts.items():
        router.write(name, text)
    numbers = itertools.count()
    since_sent: list[float] = []
    ours_next, theirs_next = itertools.cycle(pods), itertools.cycle(pods)

    def ours() -> float:
        pod, subdomain = next(ours_next), f"moved{next(numbers)}"
        path = f"/tenants/{CROWD}/pods/{pod['name']}"
        generation = platform.pod(CROWD, pod["name"])["spec"]["generation"]
        sent = time.time()
        platform.call("PATCH", path, {"subdomain": subdomain}, **{"If-Match": f'"{generation}"'})
        accepted = time.time()
        answered = answered_at(Question(port=platform.http, host=f"{subdomain}.localhost", path="/readyz"))
        since_sent.append(answered - sent)
        return answered - accepted

    def reference() -> float:
        pod, host = next(theirs_next), f"moved{next(numbers)}.localhost"
        name = f"agentpod-{pod['id']}.yml"
        text = texts[name].replace(platform.host(pod), host)
        begun = time.time()
        router.write(name, text)
        return answered_at(Question(port=router.http, host=host, path="/readyz")) - begun

    answered_at(Question(port=router.http, host=platform.host(pods[0]), path="/readyz"))
    taken = interleaved(ours, reference, count=stage.turns(PAIRS))
    router.clear()
    # The first one warmed up only.
    from_sent = Turns(ours=since_sent[1:], reference=taken.reference)
    return [
        ratio(TITLE, taken, times_at_most(1.2), note="against the rename of the same file"),
        ratio(TITLE, from_sent, note="the same turns, ours from before the request was sent"),
    ]


CASE = Case(name="route", title=TITLE, run=run)
