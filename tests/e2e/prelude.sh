# SPDX-License-Identifier: GPL-2.0-or-later
#
# Sourced in the tested host before every command of an end-to-end test (see host() in helpers.bash).
# shellcheck shell=bash

e2e=$(dirname "${BASH_SOURCE[0]}")
export PATH=$PATH:/usr/sbin

# kp - podman with this runtime; kprun - its run, of the demo image, with nothing to wait for.
kp() {
	podman --runtime krun-gpu "$@"
}

kprun() {
	podman --runtime krun-gpu run --rm --network none "$@"
}

# until_true SECONDS COMMAND... - tries it until it succeeds.
until_true() {
	local end=$((SECONDS + $1))
	shift

	until "$@"; do
		[ $SECONDS -lt $end ] || { echo "not within the time: $*" >&2; return 1; }
		sleep 0.2
	done
}

# new_bundle DIR [ARGUMENT]... - a bundle with busybox in it, and a process to run.
new_bundle() {
	local dir=$1 applet
	shift

	mkdir -p "$dir"/rootfs/{bin,dev,etc,proc,sys,tmp}
	cp /usr/bin/busybox "$dir/rootfs/bin/"
	for applet in sh sleep cat echo true false stty id; do
		ln -sf busybox "$dir/rootfs/bin/$applet"
	done
	(cd "$dir" && krun-gpu spec)
	edit "$dir" '.process.terminal = false | .root.readonly = false | .process.args = $ARGS.positional' \
		--args -- "$@"
}

# edit BUNDLE FILTER [JQ-OPTION]... - changes a bundle's config.json.
edit() {
	local dir=$1 filter=$2
	shift 2

	jq "$filter" "$dir/config.json" "$@" > "$dir/config.json.new"
	mv "$dir/config.json.new" "$dir/config.json"
}

# with_gpu BUNDLE - adds the host's DRM node to it, as podman's --device does.
with_gpu() {
	local minor

	minor=$((0x$(stat -c %T /dev/dri/renderD128)))
	edit "$1" '.linux.devices += [{path: "/dev/dri/renderD128", type: "c", major: 226,
		minor: $minor, fileMode: 438, uid: 0, gid: 0}]' --argjson minor "$minor"
}

# as_user < SCRIPT - a script of walter's, a user without root in the group kvm, with this file before it;
# RT is passed on. Its home is no overlay, so that podman's storage can be one.
as_user() {
	local uid

	id -u walter > /dev/null 2>&1 || useradd -m -s /bin/bash -G kvm walter
	uid=$(id -u walter)
	mountpoint -q /home/walter ||
		mount -t tmpfs -o uid=walter,gid=walter,mode=700 walter /home/walter
	install -d -o walter -g walter -m 700 "/run/user/$uid"
	cat > /tmp/user.sh
	setpriv --reuid walter --regid walter --init-groups env -i HOME=/home/walter USER=walter \
		PATH="$PATH" STORAGE_DRIVER=vfs XDG_RUNTIME_DIR="/run/user/$uid" e2e="$e2e" \
		RT="${RT-}" bash -euo pipefail -c "cd; . $e2e/prelude.sh; . /tmp/user.sh"
}

# without_forwarding - until the script ends: a network namespace begins with the forwarding that the
# host has, which podman turns on at the first bridge network.
without_forwarding() {
	local before

	before=$(cat /proc/sys/net/ipv4/ip_forward)
	# shellcheck disable=SC2064 # as it is now
	trap "echo $before > /proc/sys/net/ipv4/ip_forward" EXIT
	echo 0 > /proc/sys/net/ipv4/ip_forward
}

# ours - the runtime's processes, and those that podman keeps beside a container.
ours() {
	ps -eo pid=,stat=,args= | awk '$2 !~ /^Z/ && $3 ~ /(krun-gpu|virgl_render|virtiofsd|conmon)/ &&
		$3 !~ /bash/ { print }'
}

nothing_of_ours() {
	[ -z "$(ours)" ] && ! pgrep -x podman > /dev/null
}

# all_gone SECONDS - nothing of ours is left within that time; else says what is.
all_gone() {
	until_true "$1" nothing_of_ours || { ours; pgrep -ax podman; return 1; }
}

# snapshot - everything that a container could leave behind, sorted.
snapshot() {
	ours | sed 's/^ *[0-9]* /process /'
	awk '{ print "mount", $5, $9 }' /proc/self/mountinfo
	find /sys/fs/cgroup -mindepth 1 -type d -printf 'cgroup %p\n'
	find /run /tmp /var/tmp /dev/shm -xdev -path /run/rig -prune -o -printf 'file %p %y\n' |
		grep -v -e '/\.containers-' -e 'podman.*\.lck'
	find /var/lib/containers/storage -mindepth 1 -maxdepth 2 -printf 'file %p\n' |
		grep -v -e '\.lock$' -e 'db\.sql' -e '/networks'
	awk 'NF > 7 && $8 ~ /krun|attach|conmon|container/ { print "socket", $8 }' /proc/net/unix
	ip -o link | awk -F': ' '{ print "link", $2 }'
	ipcs -m | awk '/^0x/ { print "shm", $2 }'
	find /dev/mqueue -type f -printf 'mqueue %p\n'
}

# note_all FILE - a snapshot to compare with, once what ended before has gone; what stays may do so.
note_all() {
	all_gone 20 > /dev/null 2>&1 || true
	snapshot | sort > "$1"
}

# same_as SNAPSHOT - waits a while for what is being cleaned up; then shows what differs.
same_as() {
	local i

	for ((i = 0; i < 25; i++)); do
		snapshot | sort > "$1.now"
		! cmp -s "$1" "$1.now" || return 0
		sleep 0.4
	done
	diff "$1" "$1.now"
}

# clean_host - what a failed test left, so that the next one can be judged by itself.
clean_host() {
	local id

	podman rm -f -t 0 -a > /dev/null 2>&1 || true
	podman pod rm -f -t 0 -a > /dev/null 2>&1 || true
	podman network prune -f > /dev/null 2>&1 || true
	nft delete table inet t 2> /dev/null || true
	for id in $(krun-gpu list -q); do
		krun-gpu delete --force "$id" || true
	done
	rm -rf /root/kill-* /root/b[0-9]*
	# All that runs in an emulated host is the tests'.
	if [ -d /run/rig ] && ! all_gone 10; then
		ours | awk '{ print $1 }' | xargs -r kill -KILL
	fi
}
