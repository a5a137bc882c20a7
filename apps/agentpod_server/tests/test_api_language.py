from __future__ import annotations

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAIN = "/api/v1/tenants/acme/pods/main"


@pytest.mark.parametrize(
    ("wished", "given"),
    [
        ("zh-Hans", "zh-CN"),
        ("zh-Hans-CN", "zh-CN"),
        ("ZH_cn", "zh-CN"),
        ("zh-TW", "zh-CN"),
        ("zh;q=0", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("en;q=0.3, zh;q=0.9", "zh-CN"),
        ("en, zh", "en"),
        ("fr, de;q=0.9, *;q=0.1", "en"),
        ("*", "en"),
        ("zh;q=nonsense", "en"),
        ("x" * 5000, "en"),
        ("zh," * 1000, "zh-CN"),
    ],
)
async def test_the_language_is_the_one_that_is_wished_most(api, rig, wished, given):
    """Quality decides, then order; what we do not have reads English."""
    await rig.pod(api)
    answer = await api.get(MAIN, headers={"Accept-Language": wished})
    assert answer.headers["content-language"] == given
    assert ("。" in answer.json()["status"]["message"]) is (given == "zh-CN")


@pytest.mark.parametrize("path", [MAIN, "/api/v1/events", "/api/v1/plugins", "/api/v1/tenants/nobody", "/nowhere"])
async def test_what_depends_on_the_language_says_so(api, rig, path):
    """An answer with texts names its language and that it varies with the reader's."""
    await rig.pod(api)
    answer = await api.get(path)
    assert answer.headers["content-language"] == "en"
    assert "accept-language" in answer.headers["vary"].lower()


async def test_what_has_no_texts_has_no_language(api):
    """An answer without texts of ours names no language."""
    answer = await api.get("/api/v1/version")
    assert "content-language" not in answer.headers
    assert "vary" not in answer.headers
