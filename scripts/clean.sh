#!/usr/bin/env bash
# Removes what AgentPod's make targets made on this machine: processes, containers, networks, firewall chains, .venv.
# Data (volumes and the state folder) goes only after a yes: YES=1 answers it.
set -euo pipefail
cd "$(dirname "$0")/.."

state="${AGENTPOD_STATE_DIR:-/var/lib/agentpod}"
[ "$(id -u)" -eq 0 ] || state="${AGENTPOD_STATE_DIR:-${XDG_STATE_HOME:-$HOME/.local/state}/agentpod}"

if [ -x .venv/bin/agentpod ]; then .venv/bin/agentpod down || true; fi

if docker info >/dev/null 2>&1 && [ -r "$state/instance" ]; then
  instance=$(cat "$state/instance")
  ours="label=agentpod.instance=$instance"
  docker ps -aq --filter "$ours" | xargs -r docker rm -f >/dev/null
  docker network ls -q --filter "$ours" | xargs -r docker network rm >/dev/null
  chain="AGENTPOD-$(echo "$instance" | tr '[:lower:]' '[:upper:]')"
  if command -v iptables >/dev/null && iptables -w -n -L "$chain" >/dev/null 2>&1; then
    iptables -w -S INPUT | { grep -- "-j $chain\$" || true; } | sed 's/^-A/-D/' | while read -r rule; do
      # shellcheck disable=SC2086 # a rule is a list of words
      iptables -w $rule
    done
    iptables -w -F "$chain" && iptables -w -X "$chain"
  fi
  volumes=$(docker volume ls -q --filter "$ours")
  answer="${YES:+y}"
  if [ -n "$volumes" ] || [ -d "$state" ]; then
    if [ -z "$answer" ] && [ -t 0 ]; then
      echo "Remove the data too? $(echo "$volumes" | grep -c . || true) volumes and $state (database, keys). This cannot be undone."
      read -r -p "Type y to remove it: " answer
    fi
    if [ "$answer" = y ]; then
      [ -z "$volumes" ] || echo "$volumes" | xargs docker volume rm >/dev/null
      rm -rf "$state"
    else
      echo "Data kept: docker volumes of instance $instance and $state"
    fi
  fi
fi

rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis bench/results
