#!/usr/bin/env bash
# One TCP stream through two Filters that protect the link between them, in tunnel and in transport mode, over both
# families; medians. With OTHER, another build's filterctl, by turns with that one.
#   ROUNDS=3 SECONDS_EACH=3 OTHER=/path/to/filterctl bench/esp.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3}
readonly world=tests/world/world.sh prefix=fw-$$-esp
readonly folder=/run/filter-world/$prefix
readonly filterctl=${FILTERCTL:-$PWD/out/filterctl} other=${OTHER-}
declare -A results=()      # "SCENE BINARY SERVER" -> Mbit/s of each round

on() { ip netns exec "$prefix-$1" "${@:2}"; }

# filter HOST RULESET BINARY: starts Filter on a host and waits until it answers
filter() {
  on "$1" "$3" run "$2" --device outside=eth0 --device inside=eth1 \
    --state "$folder/$1.state" --socket "$folder/$1.sock" < /dev/null > "$folder/$1.log" 2>&1 &
  local daemon=$! i
  for i in $(seq 60); do
    if on "$1" "$3" status --socket "$folder/$1.sock" > /dev/null 2>&1; then return; fi
    kill -0 $daemon 2> /dev/null || break
    sleep 0.25
  done
  echo "filterctl did not come up on $1 after $i tries:" >&2
  cat "$folder/$1.log" >&2
  exit 1
}

# measure SCENE BINARY RULESET-A RULESET-B SERVER…
measure() {
  local scene=$1 binary=$2 server mbits host
  filter a "$3" "$binary"
  filter b "$4" "$binary"
  for server in "${@:5}"; do
    on client ping -q -c2 -i0.1 -W2 "$server" > /dev/null
    mbits=$(on client timeout $((seconds + 15)) iperf3 -c "$server" -t "$seconds" -f m | awk '/receiver/ { print $7 }')
    printf '  %-11s %-14s %6.0f Mbit/s  %s\n' "$scene" "$server" "$mbits" "$binary"
    results["$scene $binary $server"]+="$mbits "
  done
  for host in a b; do on $host "$binary" stop --restore --socket "$folder/$host.sock" > /dev/null; done
  wait
}

# scene NAME RULESET-A RULESET-B SERVER…
scene() {
  local round binary
  "$world" up "$1" "$prefix"
  for round in $(seq "$rounds"); do
    for binary in $filterctl $other; do measure "$1" "$binary" "${@:2}"; done
  done
  "$world" down "$prefix"
}

median() { tr ' ' '\n' <<< "$1" | grep . | sort -n | awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }

trap '"$world" down "$prefix"' EXIT
trap 'exit 130' INT TERM
scene esp-tunnel rules/site-to-site.yaml rules/site-to-site-peer.yaml 10.2.0.10 2001:db8:b::10
scene esp tests/world/transport-a.yaml tests/world/transport-b.yaml 192.0.2.20 2001:db8:1::20

echo
echo "medians of $rounds rounds, one TCP stream, $seconds s each"
for key in "${!results[@]}"; do
  read -r scene binary server <<< "$key"
  printf '  %-11s %-14s %6.0f Mbit/s  %s\n' "$scene" "$server" "$(median "${results[$key]}")" "$binary"
done | sort
