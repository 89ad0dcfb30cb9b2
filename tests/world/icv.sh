#!/usr/bin/env bash
# icv.sh CAPTURE RULESET: tshark opens the ESP of a capture with the keys of a ruleset (written in the file itself).
# Says how many packets there were; status 1 if there was none, or one that tshark could not verify and open.
set -euo pipefail

readonly capture=$1 ruleset=$2
associations=()
while read -r _ spi _ encryption _ integrity; do
  spi=$(printf "0x%08x" "$spi")
  for family in IPv4 IPv6; do
    associations+=(-o "uat:esp_sa:\"$family\",\"*\",\"*\",\"$spi\",\"AES-CBC [RFC3602]\",\"$encryption\",\"HMAC-SHA-256-128 [RFC4868]\",\"$integrity\"")
  done
done < <(tr -s ' ,\n' ' ' < "$ruleset" |
  grep -oE 'spi: 0x[0-9a-fA-F]+ encryption-key: 0x[0-9a-fA-F]+ integrity-key: 0x[0-9a-fA-F]+')
[ ${#associations[@]} -gt 0 ] || { echo "no keys in $ruleset" >&2; exit 2; }

# One line a packet: whether its ICV is good, and the protocol that was found inside.
tshark -n -r "$capture" -o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE \
  "${associations[@]}" -Y esp -T fields -e esp.icv_good -e esp.protocol 2> /dev/null |
  awk '
    $1 == 1 && $2 != "" { good++; next }
    { bad++ }
    END {
      printf "%d ESP packets, %d with a good ICV, opened\n", good + bad, good
      exit !(good && !bad)
    }'
