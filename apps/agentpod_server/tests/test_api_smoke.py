from __future__ import annotations


async def test_a_tenant_and_a_pod_can_be_made(api):
    """A tenant and a pod can be made."""
    made = await api.post("/api/v1/tenants", json={"slug": "acme"})
    assert made.status_code == 201, made.text
    pod = await api.post(
        "/api/v1/tenants/acme/pods",
        json={"name": "main", "adapter": "talker", "config": {"greeting": "hi"}, "secrets": {"api_key": "s3cret"}},
    )
    assert pod.status_code == 201, pod.text
    print(pod.text, pod.headers)
