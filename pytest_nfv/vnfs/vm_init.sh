#!/bin/sh
# The first process of the guest: makes it ready, then runs what comes in by the control channel, one at a time.
# A line in: what the command reads, then its words, each in base64, `-` for an empty one.
# A line out: exit status, what it wrote on standard output, what on standard error, likewise.
export PATH=/bin:/sbin HOME=/

fail() {
    echo "nfv: the guest is not set up: $*" >/dev/console
    exec poweroff -f
}

mount -t devtmpfs dev /dev || fail "no /dev"
mount -t proc proc /proc && mount -t sysfs sys /sys && mount -t tmpfs tmp /tmp || fail "no /proc, /sys or /tmp"

while read -r module; do
    insmod "/modules/$module" || fail "module $module"
done </modules/order

for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name")" = nfv.control ] && channel=/dev/${port##*/}
done
[ -n "$channel" ] && exec 3<>"$channel" || fail "no control channel"

decoded() {
    [ "$1" = - ] || printf %s "$1" | base64 -d
}

encoded() {
    if [ -s "$1" ]; then base64 -w 0 "$1"; else printf -; fi
}

echo "ready $(uname -r)" >&3
while read -r input words <&3; do
    decoded "$input" >/tmp/in
    set --
    for word in $words; do
        set -- "$@" "$(decoded "$word")"
    done
    # BusyBox takes its own applet before a program of that name on the PATH: its `ip` is not iproute2's.
    program=$1
    shift
    [ -x "/sbin/$program" ] && program=/sbin/$program
    "$program" "$@" </tmp/in >/tmp/out 2>/tmp/err 3>&-
    printf '%s %s %s\n' "$?" "$(encoded /tmp/out)" "$(encoded /tmp/err)" >/tmp/answer
    cat /tmp/answer >&3
done
fail "the control channel was closed"
