#!/usr/bin/env bash
# Prints a node's own addresses and every connection through it, attempts included, until it gets SIGTERM. Runs as root
# in the node's network namespace; needs iproute2, procps and conntrack.
set -euo pipefail
if [[ $(sysctl -n net.bridge.bridge-nf-call-iptables 2>/dev/null || echo 1) != 1 ]]; then
  echo 'net.bridge.bridge-nf-call-iptables is 0: what pods of one node say to each other goes untracked' >&2
  exit 1
fi
ip -4 -o address
# As they begin: a connection that is refused is forgotten at once, so no list would have it.
conntrack -E -e NEW -o extended -b 8388608 &
events=$!
# What began before, and lives, comes with the list.
trap 'kill "$events"; conntrack -L -o extended' TERM
wait "$events" || true
