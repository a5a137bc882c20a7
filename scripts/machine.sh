#!/usr/bin/env bash
# Brings a Debian or Ubuntu machine to where AgentPod can run: installs what is missing and starts Docker.
# Usage: scripts/machine.sh [docker] [debootstrap] [chromium] [postgresql] [venv]. Touches nothing that is there already.
set -euo pipefail

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
want() { command -v "$1" >/dev/null 2>&1 || packages+=("${@:2}"); }

for part in "$@"; do
  case "$part" in
    docker)
      if ! docker info >/dev/null 2>&1; then want dockerd docker.io; fi
      want iptables iptables
      want ip iproute2
      ;;
    venv) packages+=(python3-venv) ;;
    debootstrap) want debootstrap debootstrap ;;
    chromium) want chromium chromium fonts-noto-cjk ;;
    postgresql)
      if command -v apt-get >/dev/null; then want /usr/lib/postgresql/15/bin/postgres postgresql-15; fi
      ;;
    *) echo "machine.sh: unknown part '$part'" >&2; exit 2 ;;
  esac
done

if [ "${#packages[@]}" -gt 0 ]; then
  command -v apt-get >/dev/null || {
    echo "AgentPod can install what it needs on Debian and Ubuntu only. Please install: ${packages[*]}" >&2
    exit 1
  }
  echo "installing: ${packages[*]}"
  as_root apt-get update -qq
  if [[ " ${packages[*]} " == *" postgresql-15 "* ]]; then
    # Tests want its programs and run servers of their own: the machine gets no database that nobody asked for.
    no_cluster=/etc/postgresql-common/createcluster.d/agentpod-tests.conf
    trap 'as_root rm -f "$no_cluster"' EXIT
    as_root install -D -m 644 /dev/stdin "$no_cluster" <<<"create_main_cluster = false"
    if [ -z "$(apt-cache madison postgresql-15)" ]; then
      echo "This distribution has no postgresql-15: the tests on it are skipped, those on PostgreSQL 18 run." >&2
      others=()
      for package in "${packages[@]}"; do [ "$package" = postgresql-15 ] || others+=("$package"); done
      packages=("${others[@]}")
    fi
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

[[ " $* " == *" docker "* ]] || exit 0
docker info >/dev/null 2>&1 && exit 0
if [ -d /run/systemd/system ]; then
  as_root systemctl start docker
else
  # No init system: a container or a minimal machine. Docker gets a session of its own, so it outlives this shell.
  as_root sh -c 'mkdir -p /var/log; setsid nohup dockerd >>/var/log/dockerd.log 2>&1 </dev/null &'
fi
for _ in $(seq 60); do
  docker info >/dev/null 2>&1 && exit 0
  sleep 0.5
done
echo "Docker did not start within 30 seconds. Its log: journalctl -u docker, or /var/log/dockerd.log" >&2
exit 1
