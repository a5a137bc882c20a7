"""The AgentPod server: REST API, dashboard, store and controller."""
