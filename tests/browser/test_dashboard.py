"""The dashboard in a real browser, on a real server that runs real pods."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

pytestmark = [pytest.mark.docker, pytest.mark.slow]

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def platform(new_platform):
    """Give a running platform with the light agent's image."""
    platform = new_platform(network="10.214.0.0/18")
    platform.up()
    platform.agentpod("image", "build", "echo")
    return platform


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Give the machine's own browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, platform):
    """Give the way to log in: a context's page, watched for errors and for requests to anybody else."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []
    base = f"http://127.0.0.1:{platform.port}"
    password = re.findall(r"login +admin / (\S+)", platform.log)[0]

    def watched(page: Page) -> None:
        page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))
        page.on("request", lambda request: request.url.startswith(base) or wrong.append(request.url))
        # A refused form is a refused form: the browser's own line about its status is no mistake.
        page.on("console", lambda line: _is_fine(line.type, line.text) or wrong.append(f"{page.url}: {line.text}"))

    def log_in(path: str = "/dashboard", **options) -> Page:
        context = chromium.new_context(base_url=base, **options)
        contexts.append(context)
        context.on("page", watched)
        page = context.new_page()
        page.goto("/login")
        page.get_by_label("User name").fill("admin")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        expect(page).to_have_url(f"{base}/dashboard")
        page.goto(path)
        return page

    yield log_in
    for context in contexts:
        context.close()
    assert wrong == []


def _is_fine(kind: str, text: str) -> bool:
    return kind != "error" or "the server responded with a status of 4" in text


def test_a_pod_lives_by_forms_alone(visit, platform, wait_until) -> None:  # noqa: PLR0915 - a whole life
    """Tenant and pod are made, seen to become ready, changed, restarted and deleted; no page is reloaded for it."""
    page = visit("/dashboard/tenants")
    page.get_by_label("Short name").fill("globex")
    page.get_by_label("Name", exact=True).fill("Globex Ltd")
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Globex Ltd")

    watching = page.context.new_page()
    watching.goto("/dashboard/pods")
    watching.evaluate("window.wasNeverReloaded = true")

    page.get_by_role("link", name="New pod").click()
    page.get_by_role("link", name="Echo").click()
    page.get_by_label("Name required").fill("Not Good")
    page.get_by_label("Greeting").fill("Hello <b>Globex</b>")
    page.get_by_label("Burning (s)").fill("lots")
    page.get_by_text("Add: Script").click()
    # The row takes the focus a moment after it opens, also from whoever types already.
    expect(page.get_by_label("When the message contains").first).to_be_focused()
    page.get_by_label("When the message contains").first.fill("price")
    page.get_by_label("Answer required").first.fill("42")
    page.get_by_role("button", name="Create pod").click()
    summary = page.get_by_role("alert")
    expect(summary.get_by_role("link")).to_have_text(["Name", "Burning (s)"])
    expect(page.get_by_label("Name required")).to_be_focused()
    expect(page.get_by_label("Burning (s)")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Greeting")).to_have_value("Hello <b>Globex</b>")
    page.get_by_label("Name required").fill("support")
    page.get_by_label("Burning (s)").fill("0")
    page.get_by_role("button", name="Create pod").click()

    expect(page.locator(".notice")).to_have_text("Created.")
    page.evaluate("window.wasNeverReloaded = true")
    live = page.locator("#pod-live")
    expect(live).to_have_attribute("data-phase", "running")
    expect(live.get_by_text("The agent runs and answers.").first).to_be_visible()
    row = watching.get_by_role("row", name="support")
    expect(row).to_contain_text("Running")
    assert watching.evaluate("window.wasNeverReloaded")
    assert page.evaluate("window.wasNeverReloaded")
    pod = platform.json("pod", "get", "globex/support")
    assert pod["spec"]["config"]["script"] == [{"when": "price", "reply": "42"}]

    page.get_by_label("Model name").fill("not a model")
    page.get_by_role("button", name="Save changes").click()
    expect(page.get_by_label("Model name")).to_be_focused()
    page.get_by_label("Model name").fill("scripted-1")
    page.get_by_label("Greeting").fill("Good morning")
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator(".notice")).to_contain_text("Saved.")
    wait_until(
        lambda: "Good morning" in platform.get("support-globex.localhost").text, seconds=15, what="the greeting changed"
    )

    before = platform.container(pod["id"])["State"]["StartedAt"]
    page.get_by_role("link", name="Restart").click()
    page.get_by_role("button", name="Restart globex/support").click()
    wait_until(
        lambda: platform.container(pod["id"]).get("State", {}).get("StartedAt", before) != before,
        seconds=20,
        what="the agent was started again",
    )
    expect(live).to_have_attribute("data-phase", "running")

    page.get_by_role("link", name="Logs").click()
    expect(page.locator("#log")).to_contain_text("ready")
    expect(page.locator("#log-state")).to_have_text("Live")
    page.go_back()

    page.get_by_role("link", name="Delete").click()
    page.get_by_role("button", name="Delete globex/support").click()
    expect(page.get_by_role("heading", name="This pod is deleted.")).to_be_visible()
    expect(row).to_have_count(0)
    assert watching.evaluate("window.wasNeverReloaded")
    assert platform.container(pod["id"]) == {}


def test_what_the_command_line_does_shows_without_reload(visit, platform) -> None:
    """A pod that is made elsewhere comes into an open list within two seconds, and goes out of it."""
    platform.agentpod("tenant", "create", "initech")
    page = visit("/dashboard/pods")
    platform.agentpod("pod", "create", "initech/main", "--adapter", "echo", "--no-wait")
    row = page.get_by_role("row", name="main")
    expect(row).to_be_visible(timeout=2000)
    expect(row).to_contain_text("Running")
    page.get_by_label("Search pods").fill("nothing like it")
    expect(page.get_by_text("No pod matches these filters.")).to_be_visible()
    page.get_by_label("Search pods").fill("init")
    expect(row).to_be_visible()
    platform.agentpod("pod", "stop", "initech/main")
    expect(row).to_contain_text("Stopped", timeout=2000)
    platform.agentpod("tenant", "delete", "initech", "--cascade", "--yes")
    expect(row).to_have_count(0)


def test_everything_works_without_scripts(visit, platform) -> None:
    """With scripts off, forms are filled and sent, and every page fits a small phone."""
    platform.agentpod("tenant", "create", "umbrella")
    page = visit(
        "/dashboard/pods/new?type=echo&tenant=umbrella",
        java_script_enabled=False,
        viewport={"width": 360, "height": 740},
    )
    page.get_by_label("Name required").fill("main")
    page.get_by_text("Add: Script").click()
    page.get_by_label("When the message contains").fill("a")
    page.get_by_label("Answer required").fill("b")
    page.get_by_role("button", name="Create pod").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("main")
    address = page.url.partition("?")[0]
    page.get_by_text("Remove", exact=True).first.check()
    page.get_by_role("button", name="Save changes").click()
    expect(page.locator(".notice")).to_contain_text("Saved.")
    assert platform.json("pod", "get", "umbrella/main")["spec"]["config"].get("script", []) == []
    for path in (
        "/dashboard",
        "/dashboard/tenants",
        "/dashboard/pods",
        "/dashboard/adapters",
        address,
        f"{address}/logs",
    ):
        page.goto(path)
        width = page.locator("html").evaluate("page => page.scrollWidth")
        assert width <= 360, path
    page.goto(f"{address}/stop")
    page.get_by_role("button", name="Stop umbrella/main").click()
    expect(page.locator(".notice")).to_have_text("It is being stopped.")
