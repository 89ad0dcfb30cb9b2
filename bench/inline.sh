#!/usr/bin/env bash
# Filter as a bridge beside a kernel bridge with an equivalent stateful nftables table (tests/world/baseline.nft), in the
# same namespaces, by turns: packets a second, processor time a packet, TCP, idle round trips. Medians and their ratios.
#   ROUNDS=5 SECONDS_EACH=3 WORKERS=1 bench/inline.sh [--driver packet,ring,xdp,xdp-generic] [--only pps,cpu,tcp,rtt]
# The world is small and its neighbours noisy: trust ratios within one run. What it prints last, bench/report/inline.tsv has too.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

drivers=packet only=pps,cpu,tcp,rtt
while (($#)); do
  case $1 in
    --driver) drivers=${2?"--driver needs words"}; shift 2 ;;
    --only) only=${2?"--only needs words"}; shift 2 ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"; exit 2 ;;
  esac
done

readonly rounds=${ROUNDS:-5} seconds=${SECONDS_EACH:-3} rate=${RATE:-100000}
readonly world=tests/world/world.sh prefix=fw-$$-bench
readonly filterctl=${FILTERCTL:-$PWD/out/filterctl}
readonly bench=${BENCH:-$PWD/bench/Filter.Bench/bin/Release/net10.0/Filter.Bench.dll}
readonly folder=/run/filter-world/$prefix
readonly table=bench/report/inline.tsv      # metric, who, median, the kernel's, must, aim
readonly client=192.0.2.5 servers=(198.51.100.7 2001:db8:f::7) frame=60 flows=256
declare -A results=()      # "WHO METRIC" -> the value of each round
alone=                     # nanoseconds that the generator takes for a frame that goes nowhere, of each round

on() { ip netns exec "$prefix-$1" "${@:2}"; }
ctl() { on filter "$filterctl" "$1" --socket "$folder/filter.sock" "${@:2}"; }
wants() { [[ ,$only, = *,$1,* ]]; }
keep() { results["$1 $2"]+="$3 "; printf '  %-22s %-26s %10s\n' "$1" "$2" "$3"; }
median() { tr ' ' '\n' <<< "$1" | grep . | sort -n | awk '{ all[NR] = $1 } END { if (NR) print NR % 2 ? all[(NR + 1) / 2] : (all[NR / 2] + all[NR / 2 + 1]) / 2 }'; }

# pump SECONDS RATE: frames sent, seconds, nanoseconds of processor time a frame
pump() { on client dotnet "$bench" pump eth0 "$gateway" "$client" "${servers[0]}:5201" "$frame" "$flows" "$1" "$2"; }

# What reaches the server; its stack does not see the generator's frames (a netdev drop behind the count).
arrived() { on server cat /sys/class/net/eth0/statistics/rx_packets; }

# Nanoseconds that Filter ran, and the kernel's own threads for what nobody is charged with.
ran() {
  local pid
  for pid in $(ip netns pids "$prefix-filter") $(pgrep '^ksoftirqd/'); do cat /proc/"$pid"/task/*/schedstat 2> /dev/null || true; done | awk '{ ns += $1 } END { printf "%.0f", ns }'
}

# measure WHO: all that is wanted, once
measure() {
  local who=$1 server before after ran_before ran_after sent took each
  on client ping -q -c1 -W2 "${servers[0]}" > /dev/null
  if wants pps; then
    pump 1 0 > /dev/null
    before=$(arrived)
    read -r sent took each < <(pump "$seconds" 0)
    sleep 0.1
    after=$(arrived)
    keep "$who" 'packets/s' "$(awk -v n=$((after - before)) -v s="$took" 'BEGIN { printf "%.0f", n / s }')"
  fi
  if wants cpu; then
    before=$(arrived) ran_before=$(ran)
    read -r sent took each < <(pump "$seconds" "$rate")
    sleep 0.1
    after=$(arrived) ran_after=$(ran)
    keep "$who" 'ns/packet' "$(awk -v sent="$sent" -v each="$each" -v others=$((ran_after - ran_before)) -v n=$((after - before)) -v alone="$(median "$alone")" \
      'BEGIN { printf "%.0f", (sent * each + others) / n - alone }')"
  fi
  if wants tcp; then
    for server in "${servers[@]}"; do
      keep "$who" "TCP 1 $server" "$(stream "$server" 1)"
    done
    keep "$who" "TCP 4 ${servers[0]}" "$(stream "${servers[0]}" 4)"
  fi
  if wants rtt; then
    keep "$who" 'round trip, us' "$(median "$(on client ping -c 200 -i 0.01 "${servers[0]}" | sed -n 's/.*time=\([0-9.]*\) ms/\1/p' | awk '{ printf "%d ", $1 * 1000 }')")"
  fi
}

# stream SERVER STREAMS: Gbit/s
stream() {
  on client timeout $((seconds + 15)) iperf3 -c "$1" -P "$2" -t "$seconds" -f g \
    | awk -v sum="$(($2 > 1))" '/receiver/ && (sum ? /^\[SUM\]/ : 1) { for (i = 1; i <= NF; i++) if ($i == "Gbits/sec") print $(i - 1) }'
}

# What the generator and its cable take where the frames are dropped at the other end of it.
alone_round() {
  wants cpu || return 0
  on filter nft -f - <<< 'table netdev nowhere { chain in { type filter hook ingress device "eth1" priority -500; policy drop; }; }'
  local sent took each ran_before ran_after
  ran_before=$(ran)
  read -r sent took each < <(pump "$seconds" "$rate")
  ran_after=$(ran)
  alone+="$(awk -v each="$each" -v sent="$sent" -v others=$((ran_after - ran_before)) 'BEGIN { print each + others / sent }') "
  on filter nft delete table netdev nowhere
}

kernel_round() {
  "$world" kernel "$prefix" nft
  measure kernel
  "$world" unkernel "$prefix"
}

# filter_round DRIVER
filter_round() {
  local daemon i word=on host
  # What a veth's far end leaves to the device, a program of the kernel's own does not see.
  if [ "$1" = xdp-generic ]; then word=off; fi
  for host in client server; do on $host ethtool -K eth0 tso $word gso $word; done
  on filter "$filterctl" run rules/bridge.yaml --driver "$1" --device outside=eth0 --device inside=eth1 ${WORKERS:+--workers "$WORKERS"} \
    --state "$folder/state" --socket "$folder/filter.sock" < /dev/null > "$folder/filter.log" 2>&1 &
  daemon=$!
  for i in $(seq 60); do
    if ctl status > /dev/null 2>&1; then break; fi
    kill -0 $daemon 2> /dev/null || break
    sleep 0.25
  done
  kill -0 $daemon 2> /dev/null || { echo "filterctl did not come up after $i tries:" >&2; cat "$folder/filter.log" >&2; exit 1; }
  measure "Filter $1"
  ctl stop --restore > /dev/null
  wait $daemon || true
  for host in client server; do on $host ethtool -K eth0 tso on gso on; done
}

# row METRIC AS MUST AIM: each one's median, and what it is of the kernel's
row() {
  local who base value
  base=$(median "${results["kernel $1"]-}")
  [ -n "$base" ] || return 0
  printf '  %-26s must %s, aim %s\n' "$1" "$2" "$3"
  for who in kernel $(tr , '\n' <<< "$drivers" | sed 's/^/Filter=/'); do
    value=$(median "${results["${who/=/ } $1"]-}")
    [ -n "$value" ] || continue
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$1" "${who/=/ }" "$value" "$base" "$2" "$3" >> "$table.new"
    awk -v who="${who/=/ }" -v value="$value" -v base="$base" -v metric="$1" 'BEGIN {
      if (metric ~ /round trip/) printf "    %-22s %10s   %+d us\n", who, value, value - base
      else printf "    %-22s %10s   %.2f x\n", who, value, value / base }'
  done
}

trap '"$world" down "$prefix"' EXIT
trap 'exit 130' INT TERM
"$world" up bridge "$prefix"
gateway=$(on server cat /sys/class/net/eth0/address)
on server nft -f - <<< 'table netdev sink { chain in { type filter hook ingress device "eth0" priority -500; udp dport 5201 drop; }; }'

for round in $(seq "$rounds"); do
  echo "round $round of $rounds"
  alone_round
  # Each goes first by turns: the machine's mood changes.
  order=(kernel ${drivers//,/ })
  for i in "${!order[@]}"; do
    who=${order[(i + round - 1) % ${#order[@]}]}
    if [ "$who" = kernel ]; then kernel_round; else filter_round "$who"; fi
  done
done

mkdir -p "${table%/*}"
: > "$table.new"
echo
echo "medians of $rounds rounds of $seconds s, and what they are of the kernel bridge's${alone:+; the generator alone takes $(median "$alone") ns a packet}"
row 'packets/s' '1.4 x' '1.8 x'
row 'ns/packet' '1.0 x' '0.8 x'
row "TCP 1 ${servers[0]}" '1.0 x' '1.2 x'
row "TCP 1 ${servers[1]}" '1.0 x' '1.2 x'
row "TCP 4 ${servers[0]}" '0.4 x' '1.0 x'
row 'round trip, us' '+60 us' '+30 us'
mv "$table.new" "$table"
