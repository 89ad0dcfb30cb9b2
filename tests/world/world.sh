#!/usr/bin/env bash
# Small worlds of hosts in network namespaces: the stage for tests, ./dev run and ./dev bench.
#
#   world.sh up SCENE PREFIX      build the hosts and links of SCENE, start its servers
#   world.sh down PREFIX          end every process in the world and remove it (safe to repeat)
#   world.sh kernel PREFIX [nft]  a kernel bridge stands where Filter would; nft: with a stateful table
#   world.sh unkernel PREFIX      take that kernel bridge away again
#   world.sh lease PREFIX HOST DEV  DEV gets its addresses from the network: DHCP and SLAAC
#   world.sh in PREFIX HOST CMD…  run CMD on HOST
#
# A host is a namespace PREFIX-HOST; PREFIX belongs to one run, so that worlds never meet.
# All addresses are documentation, private or ULA ones, and exist only inside the namespaces.
#
#   bridge      client eth0 ──── eth1 filter eth0 ──── eth0 server
#   routed      client ──── eth1 filter eth0 ──── near ──── far ──── server   near and far are routers with 1,280 bytes between them
#   host        far eth0 ──── eth0 filter (its own stack stands behind the TAP of the ruleset); far leases addresses
#   esp         client ── eth1 a eth0 ── eth0 link eth1 ── eth0 b eth1 ── server   link is a bridge: one LAN
#   esp-tunnel  the same, but link is a router between two sites
#   wire        far eth0 ──── eth0 filter; far's own stack says nothing but who it is: a program there speaks for it
#   kernel      filter eth0 ──── a Linux kernel of its own, which guest.sh boots; its own stack stands behind the TAP of the ruleset
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly here
# Kept in step with tests/Filter.Tests/World/World.cs and demo.sh.
readonly www4=198.51.100.7 www6=2001:db8:f::7 dns4=198.51.100.53 dns6=2001:db8:f::53
readonly name=www.example.test large=large.example.test
readonly every_host=(client near far filter a link b server)

die() { echo "world: $*" >&2; exit 2; }
need_root() { [ "$(id -u)" = 0 ] || die "network namespaces need root; try: sudo $0 ..."; }

# --- hosts and links -----------------------------------------------------------------------------

ns() { printf '%s-%s' "$prefix" "$1"; }
run_dir() { printf '/run/filter-world/%s' "$prefix"; }
on() { local host=$1; shift; ip netns exec "$(ns "$host")" "$@"; }
ip_on() { local host=$1; shift; ip -n "$(ns "$host")" "$@"; }

hosts() {
  local host
  for host in "$@"; do
    ip netns add "$(ns "$host")"
    # No duplicate address detection: addresses work at once. Multicast reports go out at once and not over the
    # first second, where they would meddle with counts. No bridge netfilter: only the nft baseline wants it.
    on "$host" sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
      net.ipv6.conf.default.accept_ra=0 net.ipv6.conf.default.router_solicitations=0 \
      net.ipv6.conf.default.mldv2_unsolicited_report_interval=10
    bridge_netfilter "$host" 0
    ip_on "$host" link set lo up
  done
}

# bridge_netfilter HOST 0|1: whether nftables sees what a kernel bridge forwards; quiet where the kernel has no such thing
bridge_netfilter() {
  if [ -e /proc/sys/net/bridge/bridge-nf-call-iptables ]; then
    on "$1" sysctl -qw "net.bridge.bridge-nf-call-iptables=$2" \
      "net.bridge.bridge-nf-call-ip6tables=$2" net.bridge.bridge-nf-call-arptables=0
  fi
}

# settle HOST DEV: who was found stays found, so that nobody probes a neighbour in the middle of a count.
settle() {
  on "$1" sysctl -qw "net.ipv4.neigh.$2.base_reachable_time_ms=3600000" "net.ipv6.neigh.$2.base_reachable_time_ms=3600000" \
    "net.ipv4.neigh.$2.delay_first_probe_time=600" "net.ipv6.neigh.$2.delay_first_probe_time=600"
}

# wire HOST DEV HOST DEV: a cable. Checksum and segmentation offload stay on, as real NICs have it.
wire() {
  ip -n "$(ns "$1")" link add "$2" type veth peer name "$4" netns "$(ns "$3")"
  ip_on "$1" link set "$2" up
  ip_on "$3" link set "$4" up
  settle "$1" "$2"
  settle "$3" "$4"
}

# bridge HOST DEV…: a kernel bridge br0 that says nothing itself
bridge() {
  local host=$1 dev; shift
  ip_on "$host" link add br0 type bridge mcast_snooping 0
  ip_on "$host" link set br0 addrgenmode none
  ip_on "$host" link set br0 up
  for dev in "$@"; do slave "$host" "$dev"; done
}

slave() {
  on "$1" sysctl -qw "net.ipv6.conf.$2.disable_ipv6=1"
  ip_on "$1" link set "$2" master br0
}

# addresses HOST DEV ADDRESS/LENGTH…
addresses() {
  local host=$1 dev=$2 address; shift 2
  for address in "$@"; do
    case $address in
      *:*) ip_on "$host" addr add "$address" dev "$dev" nodad ;;
      *) ip_on "$host" addr add "$address" dev "$dev" ;;
    esac
  done
}

# gateway HOST ADDRESS…: default routes, one a family
gateway() {
  local host=$1 address; shift
  for address in "$@"; do ip_on "$host" route add default via "$address"; done
}

resolver() {
  mkdir -p "/etc/netns/$(ns "$1")"
  printf 'nameserver %s\noptions timeout:2 attempts:2\n' "$2" > "/etc/netns/$(ns "$1")/resolv.conf"
}

# --- servers -------------------------------------------------------------------------------------

# background HOST NAME CMD…: lives until the world goes down; its output is RUN_DIR/NAME.log
background() {
  local host=$1 log; log=$(run_dir)/$2.log; shift 2
  setsid ip netns exec "$(ns "$host")" "$@" < /dev/null > "$log" 2>&1 &
}

# listening HOST PROTO PORT: waits, at most five seconds, until somebody listens there
listening() {
  local i
  for i in $(seq 100); do
    if [ -n "$(on "$1" ss -Hln "--$2" "sport = :$3")" ]; then return; fi
    sleep 0.05
  done
  die "nobody listens on $2/$3 of $1; see $(run_dir)/*.log"
}

# servers HOST WWW4 WWW6 DNS4 DNS6 [DNSMASQ OPTION…]: a web page, a name for it with A and AAAA, another with 17 texts of
# 202 characters, iperf3
servers() {
  local i texts=()
  for i in $(seq 10 26); do texts+=(--txt-record="$large,$i$(printf '%0200d' 0)"); done
  background "$1" dns dnsmasq --keep-in-foreground --conf-file=/dev/null --pid-file= --user=root \
    --no-resolv --no-hosts --local=/test/ --host-record="$name,$2,$3" \
    --edns-packet-max=4096 "${texts[@]}" \
    --bind-interfaces --except-interface=lo --listen-address="$4" --listen-address="$5" "${@:6}"
  background "$1" www ncat --listen --keep-open 80 --sh-exec "$here/page.sh"
  background "$1" iperf3 iperf3 --server
  listening "$1" udp 53
  listening "$1" tcp 80
  listening "$1" tcp 5201
}

# --- scenes --------------------------------------------------------------------------------------

# The server's host is also the client's gateway; web and DNS live behind it, on its loopback.
scene_bridge() {
  hosts client filter server
  wire client eth0 filter eth1
  wire filter eth0 server eth0
  addresses client eth0 192.0.2.5/24 2001:db8:1::5/64
  # The same host is also the web server that rules/bridge.yaml knows; it speaks from there only when spoken to.
  addresses client eth0 192.0.2.10/24
  ip_on client addr add 2001:db8:1::10/64 dev eth0 nodad preferred_lft 0
  addresses server eth0 192.0.2.1/24 2001:db8:1::1/64
  far_side server
  gateway client 192.0.2.1 2001:db8:1::1
  resolver client $dns4
  servers server $www4 $www6 $dns4 $dns6
}

# A path as others have it: two routers, and between them less room than on the links at either end.
scene_routed() {
  hosts client filter near far server
  wire client eth0 filter eth1
  wire filter eth0 near eth0
  wire near eth1 far eth0
  wire far eth1 server eth0
  ip_on near link set eth1 mtu 1280
  ip_on far link set eth0 mtu 1280
  addresses client eth0 192.0.2.5/24 2001:db8:1::5/64
  addresses near eth0 192.0.2.1/24 2001:db8:1::1/64
  addresses near eth1 203.0.113.1/30 2001:db8:2::1/64
  addresses far eth0 203.0.113.2/30 2001:db8:2::2/64
  addresses far eth1 203.0.113.5/30 2001:db8:3::1/64
  addresses server eth0 203.0.113.6/30 2001:db8:3::2/64
  far_side server
  gateway client 192.0.2.1 2001:db8:1::1
  gateway near 203.0.113.2 2001:db8:2::2
  gateway server 203.0.113.5 2001:db8:3::1
  ip_on far route add 192.0.2.0/24 via 203.0.113.1
  ip_on far route add 2001:db8:1::/64 via 2001:db8:2::1
  gateway far 203.0.113.6 2001:db8:3::2
  router near
  router far
  unhurried server
  resolver client $dns4
  servers server $www4 $www6 $dns4 $dns6
}

router() {
  on "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  unhurried "$1"
}

# unhurried HOST: as many ICMP errors as there is reason for, not one a second
unhurried() { on "$1" sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0; }

# The box itself gets its addresses when its TAP stands: from the ruleset, or leased from far.
scene_host() {
  hosts far filter
  wire far eth0 filter eth0
  addresses far eth0 192.0.2.1/24 2001:db8:1::1/64
  far_side far
  resolver filter $dns4
  servers far $www4 $www6 $dns4 $dns6 --interface=eth0 --dhcp-leasefile="$(run_dir)/leases" --no-ping \
    --dhcp-range=192.0.2.10,192.0.2.10,255.255.255.0,1h --dhcp-option=option:dns-server,$dns4 \
    --dhcp-range=2001:db8:1::,ra-only,64,1h --enable-ra
  on filter sysctl -qw net.ipv6.conf.default.accept_ra=1 net.ipv6.conf.default.router_solicitations=3
}

# lease HOST DEV: DHCP for IPv4, router advertisements for IPv6; waits for both
lease() {
  local i
  on "$1" busybox udhcpc -q -n -t 5 -T 1 -i "$2" -s "$here/leased.sh" > "$(run_dir)/dhcp.log" 2>&1 ||
    { cat "$(run_dir)/dhcp.log" >&2; die "no lease on $2 of $1"; }
  for i in $(seq 100); do
    if [ -n "$(ip_on "$1" -6 route show default)" ] && [ -n "$(ip_on "$1" -6 addr show dev "$2" scope global)" ]; then return; fi
    sleep 0.05
  done
  die "no router advertised itself to $2 of $1"
}

far_side() { addresses "$1" lo $www4/32 $dns4/32 $www6/128 $dns6/128; }

scene_esp() {
  esp_line
  bridge link eth0 eth1
  addresses client eth0 192.0.2.10/24 2001:db8:1::10/64
  addresses server eth0 192.0.2.20/24 2001:db8:1::20/64
  resolver client 192.0.2.20
  servers server 192.0.2.20 2001:db8:1::20 192.0.2.20 2001:db8:1::20
}

# The sites of rules/site-to-site.yaml and its peer: link is the router at 192.0.2.254 and 198.51.100.254.
scene_esp_tunnel() {
  esp_line
  router link
  addresses link eth0 192.0.2.254/24 2001:db8:ff:a::fe/64 10.1.0.254/16 2001:db8:a::fe/48
  addresses link eth1 198.51.100.254/24 2001:db8:ff:b::fe/64 10.2.0.254/16 2001:db8:b::fe/48
  addresses client eth0 10.1.0.10/16 2001:db8:a::10/48
  addresses server eth0 10.2.0.10/16 2001:db8:b::10/48
  gateway client 10.1.0.254 2001:db8:a::fe
  gateway server 10.2.0.254 2001:db8:b::fe
  resolver client 10.2.0.10
  servers server 10.2.0.10 2001:db8:b::10 10.2.0.10 2001:db8:b::10
}

esp_line() {
  hosts client a link b server
  wire client eth0 a eth1
  wire a eth0 link eth0
  wire link eth1 b eth0
  wire b eth1 server eth0
}

scene_wire() {
  hosts far filter
  on far nft -f - << 'END'
table inet quiet {
  chain out {
    type filter hook output priority 0; policy drop;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
  }
}
END
  wire far eth0 filter eth0
  addresses far eth0 192.0.2.2/24 2001:db8:1::2/64
}

# The cable alone: a TAP, whose other end is the guest's NIC once it has booted.
scene_kernel() {
  hosts filter
  ip_on filter tuntap add eth0 mode tap
  ip_on filter link set eth0 up
  settle filter eth0
}

# --- a kernel bridge in Filter's place -----------------------------------------------------------

kernel() {
  local host; host=$(filter_hosts)
  for host in $host; do
    bridge "$host" eth0
    if ip_on "$host" link show eth1 > /dev/null 2>&1; then
      slave "$host" eth1
    else                                # the host scene: the box's stack stands on the bridge
      addresses "$host" br0 192.0.2.10/24 2001:db8:1::10/64
      gateway "$host" 192.0.2.1 2001:db8:1::1
    fi
    if [ "${1-}" = nft ]; then
      [ -e /proc/sys/net/bridge ] || modprobe br_netfilter || die "the kernel has no br_netfilter"
      bridge_netfilter "$host" 1
      on "$host" nft -f "$here/baseline.nft"
    fi
  done
}

unkernel() {
  local host; host=$(filter_hosts)
  for host in $host; do
    ip_on "$host" link del br0 2> /dev/null || true
    on "$host" nft delete table inet baseline 2> /dev/null || true
    bridge_netfilter "$host" 0
  done
}

filter_hosts() {
  local host
  for host in filter a b; do
    if [ -e "/run/netns/$(ns "$host")" ]; then echo "$host"; fi
  done
}

# --- life ----------------------------------------------------------------------------------------

up() {
  [[ -n ${1-} && $(type -t "scene_${1//-/_}") = function ]] || die "no scene '${1-}'; there are: bridge routed host esp esp-tunnel wire kernel"
  # A world that could not be built whole leaves nothing behind.
  trap down EXIT
  mkdir -p "$(run_dir)"
  if [ ! -c /dev/net/tun ]; then mkdir -p /dev/net; mknod /dev/net/tun c 10 200; fi
  "scene_${1//-/_}"
  trap - EXIT
}

down() {
  local host space pids
  for host in "${every_host[@]}"; do
    space=$(ns "$host")
    [ -e "/run/netns/$space" ] || continue
    pids=$(ip netns pids "$space" 2> /dev/null || true)
    # shellcheck disable=SC2086   # one word a process
    [ -z "$pids" ] || kill $pids 2> /dev/null || true
    wait_gone "$space" || true
    ip netns del "$space" 2> /dev/null || true
    rm -rf "/etc/netns/$space"
  done
  rm -rf "$(run_dir)"
}

# Two seconds to end in peace, then no more asking.
wait_gone() {
  local i pids
  for i in $(seq 40); do
    pids=$(ip netns pids "$1" 2> /dev/null || true)
    if [ -z "$pids" ]; then return; fi
    # shellcheck disable=SC2086
    if [ "$i" = 39 ]; then kill -9 $pids 2> /dev/null || true; fi
    sleep 0.05
  done
}

main() {
  local verb=${1-}; shift || true
  case $verb in
    up) need_root; prefix=${2-}; check_prefix; up "$1" ;;
    down) need_root; prefix=${1-}; check_prefix; down ;;
    lease) need_root; prefix=${1-}; check_prefix; lease "$2" "$3" ;;
    kernel | unkernel) need_root; prefix=${1-}; check_prefix; shift; "$verb" "$@" ;;
    in) prefix=${1-}; check_prefix; shift; on "$@" ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; [ "$verb" = help ] || exit 2 ;;
  esac
}

# The prefix becomes part of paths that are removed again: nothing but a plain word.
check_prefix() { [[ $prefix =~ ^[a-z][a-z0-9-]{1,40}$ ]] || die "'$prefix' is not a prefix (a-z, 0-9, -)"; }

main "$@"
