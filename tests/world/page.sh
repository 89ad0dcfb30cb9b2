#!/usr/bin/env bash
# One HTTP exchange on stdin and stdout: `/` is a small page, `/bytes/N` N zero bytes (at most 100 MB).
read -r _ path _ || exit 0
while read -r line && [ "${line%$'\r'}" != "" ]; do :; done
path=${path%$'\r'}

header() { printf 'HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n' "$1" "$2"; }

if [[ $path =~ ^/bytes/([0-9]{1,9})$ ]] && ((10#${BASH_REMATCH[1]} <= 100000000)); then
  header application/octet-stream "$((10#${BASH_REMATCH[1]}))"
  head -c "$((10#${BASH_REMATCH[1]}))" /dev/zero
else
  page="Hello from ${NCAT_LOCAL_ADDR:-here} to ${NCAT_REMOTE_ADDR:-you}."
  header text/plain $((${#page} + 1))
  printf '%s\n' "$page"
fi
