"""The words of AgentPod as frozen data, without behaviour that could touch the world."""
