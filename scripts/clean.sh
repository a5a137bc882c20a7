#!/usr/bin/env bash
# Removes what AgentPod's make targets made on this machine: processes, containers, networks, firewall chains, .venv.
# Data (volumes and the state folder) goes only after a yes: YES=1 answers it.
set -euo pipefail
cd "$(dirname "$0")/.."

state="${AGENTPOD_STATE_DIR:-/var/lib/agentpod}"
[ "$(id -u)" -eq 0 ] || state="${AGENTPOD_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/agentpod}"

if [ -x .venv/bin/agentpod ]; then .venv/bin/agentpod down || true; fi

if docker info >/dev/null 2>&1 && [ -r "$state/instance" ] && [ -x .venv/bin/python ]; then
  instance=$(cat "$state/instance")
  .venv/bin/python -m agentpod_docker.sweep "$instance"
  answer="${YES:+y}"
  if [ -z "$answer" ] && [ -t 0 ]; then
    count=$(docker volume ls -q --filter "label=agentpod.instance=$instance" | wc -l)
    echo "Remove the data too? $count volumes and $state (database, keys). This cannot be undone."
    read -r -p "Type y to remove it: " answer
  fi
  if [ "$answer" = y ]; then
    .venv/bin/python -m agentpod_docker.sweep "$instance" --volumes
    rm -rf "$state"
  else
    echo "Data kept: the volumes of instance $instance and $state"
  fi
fi

rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench/results
