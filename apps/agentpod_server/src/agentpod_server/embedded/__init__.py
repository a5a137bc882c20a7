"""Processes that AgentPod keeps beside itself: its own PostgreSQL, and whatever a router needs."""
