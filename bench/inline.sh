#!/usr/bin/env bash
# One TCP stream through `filterctl run` and through a kernel bridge with an equivalent stateful
# nftables table (tests/world/baseline.nft), in the same namespaces, by turns; medians and their ratio.
#   ROUNDS=3 SECONDS_EACH=3 bench/inline.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-3}
readonly world=tests/world/world.sh prefix=fw-$$-bench
readonly filterctl=${FILTERCTL:-$PWD/out/filterctl}
readonly folder=/run/filter-world/$prefix
readonly servers=(198.51.100.7 2001:db8:f::7)
declare -A results=()      # "WHO SERVER" -> Gbit/s of each round

on() { ip netns exec "$prefix-$1" "${@:2}"; }
ctl() { on filter "$filterctl" "$1" --socket "$folder/filter.sock" "${@:2}"; }

# measure WHO: both families once
measure() {
  local server gbits
  on client ping -q -c1 -W2 "${servers[0]}" > /dev/null
  for server in "${servers[@]}"; do
    gbits=$(on client timeout $((seconds + 15)) iperf3 -c "$server" -t "$seconds" -f g | awk '/receiver/ { print $7 }')
    printf '  %-22s %-14s %6.2f Gbit/s\n' "$1" "$server" "$gbits"
    results["$1 $server"]+="$gbits "
  done
}

kernel_round() {
  "$world" kernel "$prefix" nft
  measure 'kernel + nftables'
  "$world" unkernel "$prefix"
}

filter_round() {
  on filter "$filterctl" run rules/bridge.yaml --device outside=eth0 --device inside=eth1 \
    --state "$folder/state" --socket "$folder/filter.sock" < /dev/null > "$folder/filter.log" 2>&1 &
  local daemon=$! i
  for i in $(seq 60); do
    if ctl status > /dev/null 2>&1; then break; fi
    kill -0 $daemon 2> /dev/null || break
    sleep 0.25
  done
  kill -0 $daemon 2> /dev/null || { echo "filterctl did not come up after $i tries:" >&2; cat "$folder/filter.log" >&2; exit 1; }
  measure 'Filter'
  ctl stop --restore > /dev/null
  wait $daemon || true
}

median() { tr ' ' '\n' <<< "$1" | grep . | sort -n | awk '{ all[NR] = $1 } END { print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }

trap '"$world" down "$prefix"' EXIT
trap 'exit 130' INT TERM
"$world" up bridge "$prefix"

for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  # Each goes first by turns: the machine's mood changes.
  if ((round % 2)); then kernel_round; filter_round; else filter_round; kernel_round; fi
done

echo
echo "medians of $rounds rounds, one TCP stream, $seconds s each"
for server in "${servers[@]}"; do
  kernel=$(median "${results["kernel + nftables $server"]}")
  filter=$(median "${results["Filter $server"]}")
  awk -v server="$server" -v kernel="$kernel" -v filter="$filter" 'BEGIN {
    printf "  %-14s  kernel bridge + nftables %.2f Gbit/s   Filter %.2f Gbit/s   ratio %.2f\n", server, kernel, filter, filter / kernel }'
done
