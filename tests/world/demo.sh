#!/usr/bin/env bash
# What `./dev run` shows: real traffic through Filter in three worlds, then the first of them live until Ctrl-C.
#   demo.sh [--once]     --once ends by itself; status 0 if all went as it should
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly world=tests/world/world.sh
readonly filterctl=${FILTERCTL:-$PWD/out/filterctl}
readonly www=www.example.test www4=198.51.100.7 www6=2001:db8:f::7
failures=0
worlds=()      # prefixes that are up
scene=         # the prefix of the scene on stage

case ${1-} in '' | --once) ;; *) echo "usage: ./dev run [--once]" >&2; exit 2 ;; esac

# --- telling -------------------------------------------------------------------------------------

if [ -t 1 ]; then bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
else bold='' dim='' green='' red='' plain=''; fi
readonly bold dim green red plain

title() { printf '\n%s%s%s\n\n' "$bold" "$*" "$plain"; }
note() { printf '\n  %s\n' "$*"; }
typed() { printf '  %s$ %s%s\n' "$dim" "$*" "$plain"; }
# At most COUNT lines of what comes in, set back.
quote() { sed "s/^/        /" | head -n "$1"; }

passed() { printf '  %sok%s    %-38s %s\n' "$green" "$plain" "$1" "${2-}"; }
failed() { printf '  %sFAIL%s  %-38s %s\n' "$red" "$plain" "$1" "${2-}"; failures=$((failures + 1)); }

# works TITLE CMD…: has to succeed; its last line is shown
works() {
  local what=$1 said; shift
  if said=$("$@" 2>&1); then passed "$what" "$(tail -n1 <<< "$said")"
  else failed "$what"; quote 10 <<< "$said"; fi
}

# fails TITLE CMD…: has to get no answer
fails() {
  local what=$1 said; shift
  if said=$("$@" 2>&1); then failed "$what" "$(tail -n1 <<< "$said")"
  else passed "$what" "no answer"; fi
}

# --- hosts ---------------------------------------------------------------------------------------

on() { local host=$1; shift; timeout 20 ip netns exec "$scene-$host" "$@"; }

# Each of these prints one line that says what came out.
pings() { on "$1" ping "-$2" -q -c3 -i0.1 -W2 "$3" | sed -n '/received/p'; }
page() { on "$1" curl "-$2" -sS -m5 "http://$www/"; }
resolves() {
  local a aaaa
  a=$(on "$1" dig +short +time=2 +tries=2 "$www" A)
  aaaa=$(on "$1" dig +short +time=2 +tries=2 "$www" AAAA)
  [ -n "$a" ] && [ -n "$aaaa" ] && echo "A $a, AAAA $aaaa"
}
streams() { on "$1" iperf3 -c "$2" "-${3:-t2}" | awk '/receiver/ { print $7, $8 }'; }

# listen HOST: services that nobody outside may reach (silence is Filter's doing), and a web page
listen() {
  setsid ip netns exec "$scene-$1" ncat -lk 8080 --sh-exec 'echo here' < /dev/null > /dev/null 2>&1 &
  setsid ip netns exec "$scene-$1" ncat -lku 8081 --sh-exec 'echo here' < /dev/null > /dev/null 2>&1 &
  setsid ip netns exec "$scene-$1" ncat -lk 80 --sh-exec tests/world/page.sh < /dev/null > /dev/null 2>&1 &
}
knocks_tcp() { on "$1" ncat --recv-only -w1 "$2" 8080; }
knocks_udp() { on "$1" bash -c "echo knock | ncat -u -w1 '$2' 8081 | grep ."; }

# unsolicited FROM ADDRESS…
unsolicited() {
  local address
  for address in "${@:2}"; do
    fails "TCP to $address" knocks_tcp "$1" "$address"
    fails "UDP to $address" knocks_udp "$1" "$address"
  done
}

# 60 pings at once, each a flow of its own: the rule that lets them in has a limit.
limited() {
  local answered
  # shellcheck disable=SC2016   # the inner shell's variables
  answered=$(on "$1" bash -c 'for i in {1..60}; do ping -q -c1 -W1 '"$2"' > /dev/null && echo yes & done; wait' | wc -l)
  echo "$answered of 60 answered"
  [ "$answered" -gt 0 ] && [ "$answered" -lt 60 ]
}

# --- worlds and Filters --------------------------------------------------------------------------

# stage SCENE PREFIX
stage() {
  worlds+=("$2")
  "$world" up "$1" "$2"
  scene=$2
}

folder() { echo "/run/filter-world/$scene"; }
ctl() { local host=$1 verb=$2; shift 2; on "$host" "$filterctl" "$verb" --socket "$(folder)/$host.sock" "$@"; }

# filter HOST RULESET PORT=DEV…: starts Filter on a host and waits until it answers; what it drops is kept
filter() {
  local host=$1 rules=$2 pair devices=() log i; shift 2
  for pair in "$@"; do devices+=(--device "$pair"); done
  log=$(folder)/$host.filter.log
  typed "filterctl run $rules ${devices[*]}"
  setsid ip netns exec "$scene-$host" "$filterctl" run "$rules" "${devices[@]}" \
    --state "$(folder)/$host.state" \
    --socket "$(folder)/$host.sock" < /dev/null > "$log" 2>&1 &
  for i in $(seq 60); do
    if ctl "$host" status > /dev/null 2>&1; then
      setsid ip netns exec "$scene-$host" "$filterctl" drops --socket "$(folder)/$host.sock" \
        < /dev/null > "$(folder)/$host.drops" 2>&1 &
      passed "Filter is up on $host"
      return
    fi
    if ! kill -0 $! 2> /dev/null; then break; fi
    sleep 0.25
  done
  failed "Filter is up on $host" "after $i tries"
  quote 20 < "$log"
  exit 1
}

# dropped HOST TEXT…: Filter has to have told of drops that contain each TEXT
dropped() {
  local host=$1 text drops; shift
  drops=$(folder)/$host.drops
  sleep 1
  for text in "$@"; do
    if grep -qF "$text" "$drops"; then passed "Filter says what it dropped" "$text"; else failed "Filter says what it dropped" "nothing of $text"; fi
  done
  typed "filterctl drops"
  # One of each kind is enough: packets that differ only in ports and numbers are alike.
  awk '{ kind = $0; gsub(/[0-9]+/, "", kind); if (!seen[kind]++) print }' "$drops" | quote 12
}

clean() {
  local prefix
  trap '' INT TERM
  for prefix in "${worlds[@]}"; do "$world" down "$prefix" || true; done
  worlds=()
}
trap clean EXIT
trap 'exit 130' INT TERM

# --- the scenes ----------------------------------------------------------------------------------

scene_bridge() {
  title "1. A transparent bridge"
  cat << 'END'
    client ─────────── eth1 [ Filter ] eth0 ─────────── server
    192.0.2.5          inside       outside             www.example.test
    2001:db8:1::5                                       198.51.100.7, 2001:db8:f::7

END
  stage bridge "fw-$$-bridge"
  filter filter rules/bridge.yaml outside=eth0 inside=eth1
  note "What the client asks for:"
  works "ping, IPv4" pings client 4 $www4
  works "ping, IPv6" pings client 6 $www6
  works "DNS" resolves client
  works "a page by name, IPv6" page client 6
  works "a page by name, IPv4" page client 4
  works "iperf3, one TCP stream, IPv4" streams client $www4
  works "iperf3, one TCP stream, IPv6" streams client $www6
  listen client
  note "What rules let in:"
  works "a page of the inner web server, IPv4" on server curl -sS -m5 http://192.0.2.10/
  works "a page of the inner web server, IPv6" on server curl -sS -m5 'http://[2001:db8:1::10]/'
  works "60 pings at once, where a few may" limited server 192.0.2.5
  note "What nobody inside asked for:"
  unsolicited server 192.0.2.5 2001:db8:1::5
  dropped filter 192.0.2.5:8080 192.0.2.5:8081 '[2001:db8:1::5]:8080' '[2001:db8:1::5]:8081'
  typed "filterctl counters"
  ctl filter counters | awk '/^PORT/ { all = 1 } all || !/^[a-z0-9 -]+ +0( .*)?$/' | quote 40   # what counted nothing says nothing
}

scene_host() {
  title "2. The box's own stack, behind a TAP"
  cat << 'END'
    far ─────────── eth0 [ Filter ] TAP ── the box's own IPv4 and IPv6
    www.example.test

END
  stage host "fw-$$-host"
  filter filter rules/host.yaml outside=eth0
  works "the box gets addresses: DHCP and SLAAC" "$world" lease "$scene" filter filter0
  note "What the box asks for:"
  works "ping, IPv4" pings filter 4 $www4
  works "ping, IPv6" pings filter 6 $www6
  works "DNS" resolves filter
  works "a page by name, IPv6" page filter 6
  works "a page by name, IPv4" page filter 4
  works "iperf3, one TCP stream, IPv6" streams filter $www6
  note "What nobody on the box asked for:"
  listen filter
  local box4 box6
  read -r box4 box6 < <(own_addresses filter)
  passed "the box is now" "$box4, $box6"
  works "60 pings at once, where a few may" limited far "$box4"
  unsolicited far "$box4" "$box6"
  dropped filter "$box4:8080" "[$box6]:8081"
}

# own_addresses HOST: its first global address of each family
own_addresses() {
  on "$1" ip -o addr show scope global | awk '
    { split($4, part, "/") }
    $3 == "inet" && !v4 { v4 = part[1] }
    $3 == "inet6" && !v6 { v6 = part[1] }
    END { print v4, v6 }'
}

scene_esp() {
  title "3. Two Filters protect the link with ESP"
  cat << 'END'
    client ── [ Filter a ] ══ link ══ [ Filter b ] ── server       site A 10.1.0.0/16, 2001:db8:a::/48
                                                                   site B 10.2.0.0/16, 2001:db8:b::/48
END
  echo
  stage esp-tunnel "fw-$$-esp"
  filter a rules/site-to-site.yaml outside=eth0 inside=eth1
  filter b rules/site-to-site-peer.yaml outside=eth0 inside=eth1
  local wire; wire=$(folder)/link.pcap
  setsid ip netns exec "$scene-link" tcpdump -n -U --immediate-mode -i eth0 -w "$wire" < /dev/null > /dev/null 2>&1 &
  local capture=$!
  sleep 1
  works "ping, IPv4" pings client 4 10.2.0.10
  works "ping, IPv6" pings client 6 2001:db8:b::10
  works "a page by name, IPv6" page client 6
  works "a page by name, IPv4" page client 4
  works "iperf3, one TCP stream, IPv4" streams client 10.2.0.10 n20M
  kill "$capture" 2> /dev/null || true
  wait "$capture" 2> /dev/null || true
  note "What stood on the link:"
  works "tshark, with the keys of site A" tests/world/icv.sh "$wire" rules/site-to-site.yaml
  works "packets between the sites, in the clear" none_on_link "$wire" \
    '(ip net 10.1.0.0/16 and ip net 10.2.0.0/16) or (ip6 net 2001:db8:a::/48 and ip6 net 2001:db8:b::/48)'
}

# none_on_link CAPTURE FILTER: no packet of the capture may match
none_on_link() {
  local count
  count=$(tcpdump -n -r "$1" "$2" 2> /dev/null | wc -l)
  echo "$count"
  [ "$count" = 0 ]
}

live() {
  scene=fw-$$-bridge
  title "Live: the bridge goes on until Ctrl-C"
  cat << END
  try:  ip netns exec $scene-client curl http://$www/
        ip netns exec $scene-server ping 192.0.2.5
        out/filterctl flows --socket $(folder)/filter.sock

END
  # A little life: a page asked for, and a knock from outside, every few seconds.
  while sleep 3; do page client 6 || true; knocks_tcp server 192.0.2.5 || true; done > /dev/null 2>&1 &
  local parts=($!)
  while true; do ctl filter status || true; sleep 15; done &
  parts+=($!)
  ip netns exec "$scene-filter" "$filterctl" drops --socket "$(folder)/filter.sock" &
  parts+=($!)
  local over=no
  trap 'over=yes' INT TERM
  wait $! || true
  trap 'exit 130' INT TERM
  kill "${parts[@]}" 2> /dev/null || true
  [ $over = yes ] || failed "the live view ended by itself"
}

scene_bridge
scene_host
scene_esp

scene=fw-$$-bridge
if [ "${1-}" != --once ]; then live; fi
title "The end"
works "Filter stops and gives everything back" ctl filter stop --restore
if [ $failures = 0 ]; then echo "  all went as it should"; else echo "  $failures went wrong"; fi
[ $failures = 0 ]
