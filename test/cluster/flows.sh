#!/usr/bin/env bash
# Prints a node's own addresses and every connection through it, attempts included, until it gets SIGTERM. Runs as root
# in the node's network namespace; needs iproute2, procps and conntrack.
set -euo pipefail
if [[ $(sysctl -n net.bridge.bridge-nf-call-iptables 2>/dev/null || echo 1) != 1 ]]; then
  echo 'net.bridge.bridge-nf-call-iptables is 0: connections between pods of one node are not tracked. Set it to 1' >&2
  exit 1
fi
ip -4 -o address
# Record connections when they begin: refused ones are forgotten at once, so a later list would not have them.
conntrack -E -e NEW -o extended -b 8388608 &
events=$!
# The list adds connections that began earlier and are still open.
trap 'kill "$events"; conntrack -L -o extended' TERM
wait "$events" || true
