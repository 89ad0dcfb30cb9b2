#!/usr/bin/env bash
# What busybox udhcpc calls with what it was given ($interface, $ip, $mask, $router). The resolver stays.
set -euo pipefail
[ "$1" = bound ] || exit 0
# shellcheck disable=SC2154
ip addr add "$ip/$mask" dev "$interface"
# shellcheck disable=SC2154
ip route replace default via "${router%% *}" dev "$interface"
