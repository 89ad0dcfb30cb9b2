#!/usr/bin/env bash
# One TCP stream without and with a SYN flood beside it, through `filterctl run` and through a kernel bridge with an
# equivalent stateful nftables table, in the same namespaces. The flood comes from senders who do not exist, to a web
# server behind the bridge, and is bounded in size and rate.
#   SECONDS_EACH=4 RATE=50000 FLOWS=65536 bench/flood.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly seconds=${SECONDS_EACH:-4} rate=${RATE:-50000} flows=${FLOWS:-65536}
readonly world=tests/world/world.sh prefix=fw-$$-flood
readonly filterctl=${FILTERCTL:-$PWD/out/filterctl}
readonly bench=${BENCH:-$PWD/bench/Filter.Bench/bin/Release/net10.0/Filter.Bench.dll}
readonly folder=/run/filter-world/$prefix
readonly servers=(198.51.100.7 2001:db8:f::7) targets=(192.0.2.10:80 '[2001:db8:1::10]:80')

on() { ip netns exec "$prefix-$1" "${@:2}"; }
ctl() { on filter "$filterctl" "$1" --socket "$folder/filter.sock" "${@:2}"; }

# stream SERVER: Gbit/s of one TCP stream from the machine behind the bridge
stream() { on client timeout $((seconds + 15)) iperf3 -c "$1" -t "$seconds" -f g | awk '/receiver/ { print $7 }'; }

# measure WHO COUNT SEEN: both families; COUNT says how many flows are in the table, SEEN how many frames came from outside and
# how many of them were lost
measure() {
  local family alone beside flood mac before after
  mac=$(on client cat /sys/class/net/eth0/address)
  for family in 0 1; do
    on client ping -q -c1 -W2 "${servers[family]}" > /dev/null
    alone=$(stream "${servers[family]}")
    before=$($3)
    on server dotnet "$bench" flood eth0 "$mac" "${targets[family]}" $((seconds * rate)) "$rate" > "$folder/flood" &
    flood=$!
    beside=$(stream "${servers[family]}")
    wait $flood
    after=$($3)
    read -r sent offered < "$folder/flood"
    printf '  %-18s IPv%s  alone %6.2f Gbit/s   beside a flood %6.2f Gbit/s   flood: %7d SYNs, %6d/s offered%s   flows in the table: %s\n' \
      "$1" "$((4 + 2 * family))" "$alone" "$beside" "$sent" "$offered" \
      "$(awk -v before="$before" -v after="$after" 'BEGIN { split(before, b); split(after, a)
        if (a[1] > b[1]) printf ", frames from outside: %d handled, %d lost", a[1] - b[1], a[2] - b[2] }')" "$($2)"
  done
}

tracked() { on filter cat /proc/sys/net/netfilter/nf_conntrack_count; }
nothing() { echo 0 0; }
in_table() { ctl status | awk '$1 == "flows" { print $2 " of " $4 " " $5 " proven" }'; }
came() { ctl counters | awk '$1 == "outside" { print $6, $10 }'; }

# Frames that came in from outside and that the kernel lost, once none waits any more.
settled() {
  local last now
  now=$(came)
  until [ "$now" = "${last-}" ]; do last=$now; sleep 0.2; now=$(came); done
  echo "$now"
}

kernel_round() {
  "$world" kernel "$prefix" nft
  on filter sysctl -qw "net.netfilter.nf_conntrack_max=$flows" 2> /dev/null || true
  measure 'kernel + nftables' tracked nothing
  "$world" unkernel "$prefix"
}

filter_round() {
  sed "s/^filter: 1\$/filter: 1\nlimits: { flows: $flows }/" rules/bridge.yaml > "$folder/flood.yaml"
  on filter "$filterctl" run "$folder/flood.yaml" --device outside=eth0 --device inside=eth1 \
    --state "$folder/state" --socket "$folder/filter.sock" < /dev/null > "$folder/filter.log" 2>&1 &
  local daemon=$!
  for _ in $(seq 60); do
    if ctl status > /dev/null 2>&1; then break; fi
    kill -0 $daemon 2> /dev/null || break
    sleep 0.25
  done
  kill -0 $daemon 2> /dev/null || { echo "filterctl did not come up:" >&2; cat "$folder/filter.log" >&2; exit 1; }
  measure 'Filter' in_table settled
  echo '  what Filter says of it:'
  ctl counters | awk '/^flows / || /^LIMIT/ { on = 1 } /^$/ { on = 0 } /^REASON/ { on = 1 } on { print "    " $0 }'
  sed -n 's/^[^ ]* limit /    limit /p' "$folder/filter.log" | tail -3
  ctl stop --restore > /dev/null
  wait $daemon || true
}

trap '"$world" down "$prefix"' EXIT
trap 'exit 130' INT TERM
"$world" up bridge "$prefix"
# Somebody has to listen where the flood goes, or its resets would end each flow at once.
on client busybox httpd -f -p 80 -h "$folder" &
disown

echo "one TCP stream, $seconds s, without and with a flood of $rate SYNs a second to one service beside it"
kernel_round
filter_round
