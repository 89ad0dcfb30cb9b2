#!/usr/bin/env bash
# guest.sh SPACE TAP FOLDER ADDRESS/LENGTH…: boots a Linux kernel in user mode (Debian's user-mode-linux) whose NIC vec0 is
# the far end of TAP, a device of the namespace SPACE, and has the addresses given.
#
# It sees this machine's files, read-only, and FOLDER as /mnt. On stdout it says `ready`; each line on stdin then names a
# script in FOLDER that it runs, its output beside it as NAME.out, and it answers `NAME STATUS`. It is gone when stdin ends.
# What crosses the wire never crosses this console. What the kernel itself says goes to stderr.
set -euo pipefail

readonly space=$1 tap=$2 folder=$3
shift 3
init=$folder/init

cat > "$init" << END
#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for place in /run /tmp /root; do mount -t tmpfs tmpfs \$place; done
mkdir -p /dev/pts /dev/shm /run/lib
mount -t devpts devpts /dev/pts
mount -t hostfs -o $folder none /mnt
# The modules of its own version lie elsewhere than this machine's. All at once: to look for one when an SA asks for it takes a
# tenth of a second, also where there is none to find, so nobody looks afterwards.
ln -s /usr/lib/uml/modules /run/lib/modules
modprobe -d /run -a esp4 esp6 ah4 ah6 xfrm_user authenc authencesn echainiv seqiv cbc ctr ecb gcm ccm ghash-generic chacha20poly1305 \\
  chacha_generic poly1305_generic camellia_generic des_generic cast5_generic blowfish_generic hmac sha512_generic rmd160 xcbc cmac drbg
echo > /proc/sys/kernel/modprobe
sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0
ip link set lo up
ip link set vec0 up
for address in $*; do ip addr add \$address dev vec0; done
# Opened once: a terminal that nobody holds forgets its settings, and what was typed.
exec 3<> /dev/tty1
stty raw -echo <&3
echo ready >&3
while read -r name <&3; do
  sh /mnt/\$name > /mnt/\$name.out 2>&1 < /dev/null 3>&-
  echo "\$name \$?" >&3
done
exec busybox poweroff -f
END
chmod 755 "$init"

exec ip netns exec "$space" env -i PATH="$PATH" TMPDIR=/dev/shm HOME="$folder" linux.uml \
  umid=guest uml_dir="$folder/" mem=192M rootfstype=hostfs rootflags=/ ro init="$init" \
  con0=null,fd:2 con1=fd:0,fd:1 con=null ssl=null quiet panic=-1 "vec0:transport=tap,ifname=$tap,depth=64"
