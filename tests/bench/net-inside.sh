# SPDX-License-Identifier: GPL-2.0-or-later
#
# The part of tests/bench/net that runs in the tested host. Prints lines "TARGET WHAT ROUND VALUE", the
# value "failed" where there is none.
#
# Usage: net-inside.sh SHARE ROUNDS SECONDS TARGETS
# shellcheck shell=bash
set -euo pipefail

share=$1
rounds=$2
seconds=$3
network=krun-bench
export LD_LIBRARY_PATH=$share/lib
IFS=, read -ra targets <<< "$4"
declare -A address=([crun]=10.84.0.11 [krun-gpu]=10.84.0.12 [qemu]=10.84.0.13
	[krun-gpu-vhost]=10.84.0.14 [qemu-vhost]=10.84.0.15 [krun-gpu-2]=10.84.0.16)
client=10.84.0.100
declare -A qemus=()
silent=' ' # targets that never answered
# What takes longer than this does not work; iperf3 comes to an end some time after its last second.
limit=$((seconds * 5 + 20))

# What every target runs: iperf3 for throughput, net for requests and responses.
serve='export LD_LIBRARY_PATH=/bench/lib; /bench/net serve 7000 > /dev/null & exec /bench/iperf3 -s'

start_container() {
	local runtime=$1 options=()

	case $1 in
	krun-gpu-vhost) options=(--annotation krun-gpu.vhost-net=1) ;;
	krun-gpu-2) options=(--annotation krun-gpu.net-queues=2) ;;
	esac
	[ "$1" = crun ] || runtime=krun-gpu
	podman --runtime "$runtime" run -d --rm --name "bench-$1" "${options[@]}" \
		--network "$network" --ip "${address[$1]}" \
		-v "$share":/bench:ro demo sh -c "$serve" > /dev/null
}

# make_initramfs DIR ADDRESS - with what the containers have; the same kernel as krun-gpu's.
make_initramfs() {
	local root=$1

	mkdir -p "$root"/{bin,dev,proc,sys,tmp,bench/lib,lib64,usr/lib/x86_64-linux-gnu}
	mknod "$root/dev/console" c 5 1
	cp /usr/bin/busybox "$root/bin/busybox"
	for applet in sh ip mount; do ln -s busybox "$root/bin/$applet"; done
	cp "$share/iperf3" "$share/net" "$root/bench/"
	cp "$share"/lib/* "$root/bench/lib/"
	ldd "$share/iperf3" | awk '$3 ~ /^\// { print $3 }' | xargs cp -Lt "$root/bench/lib"
	cp -L /lib64/ld-linux-x86-64.so.2 "$root/lib64/"
	cat > "$root/init" <<- END
		#!/bin/sh
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs dev /dev
		ip link set lo up
		ip link set eth0 up
		ip address add $2/24 dev eth0
		$serve
	END
	chmod +x "$root/init"
	(cd "$root" && find . | cpio --quiet -o -H newc) > "$root.cpio"
}

bridge() {
	podman network inspect -f '{{.NetworkInterface}}' "$network"
}

# join_bridge NAME - a network namespace bench-NAME, whose eth0 is a port of the bridge's.
join_bridge() {
	ip netns add "bench-$1"
	ip link add "b-$1" type veth peer name eth0 netns "bench-$1"
	ip link set "b-$1" master "$(bridge)" up
	ip -n "bench-$1" link set eth0 up
}

leave_bridge() {
	ip link delete "b-$1" 2> /dev/null || true
	ip netns delete "bench-$1" 2> /dev/null || true
}

# start_client - where the requests come from: a neighbour of the targets, and not their gateway.
start_client() {
	if [ ! -e "/sys/class/net/$(bridge)" ]; then
		echo "the bridge is podman's, so that one of its containers has to be among the targets" >&2
		return 1
	fi
	join_bridge client
	ip -n bench-client link set lo up
	ip -n bench-client address add "$client/24" dev eth0
}

# from_client SECONDS COMMAND... - run it there, for that long at most.
from_client() {
	local most=$1
	shift

	timeout -k 5 "$most" ip netns exec bench-client "$@"
}

# start_qemu TARGET - QEMU with a tap that is joined to a veth of the bridge's as krun-gpu's is.
start_qemu() {
	local target=$1 vhost=off root cpus mac
	root=$(mktemp -d)
	cpus=$(nproc)

	[ "$target" = qemu ] || vhost=on
	mac=02:00:00:00:00:${address[$target]##*.}
	make_initramfs "$root" "${address[$target]}"
	join_bridge "$target"
	ip -n "bench-$target" tuntap add tap0 mode tap vnet_hdr
	ip -n "bench-$target" link set tap0 up
	for pair in "eth0 tap0" "tap0 eth0"; do
		set -- $pair
		tc -n "bench-$target" qdisc add dev "$1" ingress
		tc -n "bench-$target" filter add dev "$1" ingress matchall action mirred egress redirect dev "$2"
	done
	ip netns exec "bench-$target" env -u LD_LIBRARY_PATH qemu-system-x86_64 -accel kvm -cpu host,kvm-asyncpf=off,kvm-asyncpf-int=off \
		-M microvm,acpi=off,isa-serial=on,x-option-roms=off -m 512 -smp "$cpus" \
		-global virtio-mmio.force-legacy=false -nodefaults -no-user-config -no-reboot \
		-display none -serial "file:$root.console" \
		-kernel /usr/share/krun-gpu/vmlinux -initrd "$root.cpio" \
		-append "console=ttyS0 quiet reboot=t panic=-1 tsc=reliable swiotlb=noforce dummy.numdummies=0" \
		-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost="$vhost" \
		-device virtio-net-device,netdev=n,mac="$mac" < /dev/null &
	qemus[$target]=$!
}

# revive TARGET - an emulated processor's guest may stop in the middle: QEMU is started again then, so
# that one cell without a figure does not cost those after it theirs.
revive() {
	[[ $1 == qemu* ]] || return 0
	! from_client 10 "$share/net" half "${address[$1]}" 7000 > /dev/null 2>&1 || return 0
	echo "$1 does not answer any more: starting it again" >&2
	kill -KILL "${qemus[$1]}" 2> /dev/null || true
	wait "${qemus[$1]}" 2> /dev/null || true
	leave_bridge "$1"
	start_qemu "$1"
	wait_for "$1"
}

# cpu_ms - CPU time of the host so far: all but what it was idle or waited.
cpu_ms() {
	awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" { print int(($2 + $3 + $4 + $7 + $8) * 1000 / hz) }' \
		/proc/stat
}

# failed TARGET ROUND WHAT... - these have no figure, and the others have theirs.
failed() {
	local target=$1 round=$2 what
	shift 2

	for what; do echo "$target $what $round failed"; done
}

# throughput TARGET WHAT ROUND SECONDS OPTION... - Mbit/s, and the host's CPU time for each MiB.
throughput() {
	local target=$1 what=$2 round=$3 length=$4 before json='' bytes=0
	shift 4

	revive "$target"
	before=$(cpu_ms)
	if json=$(from_client "$limit" "$share/iperf3" -c "${address[$target]}" \
		--connect-timeout 5000 -t "$length" -J "$@"); then
		bytes=$(jq '.end.sum_received.bytes // 0' <<< "$json" || true)
	fi
	if [ "${bytes:-0}" = 0 ]; then
		json=$(jq -r '.error // empty' <<< "$json" 2> /dev/null || true)
		echo "$target $what: ${json:-no answer in $limit s}" >&2
		failed "$target" "$round" "$what" "$what-cpu"
		sleep 2 # its server, too, has to give up
		return
	fi
	jq -r --arg t "$target" --arg w "$what" --arg r "$round" --argjson cpu \
		$(($(cpu_ms) - before)) '.end.sum_received as $s |
		"\($t) \($w) \($r) \($s.bits_per_second / 1e6)",
		"\($t) \($w)-cpu \($r) \($cpu / ($s.bytes / 1048576))"' <<< "$json"
}

requests() {
	local rate

	revive "$1"
	if rate=$(from_client "$limit" "$share/net" rr "${address[$1]}" 7000 "$seconds"); then
		echo "$1 rr $2 $rate"
		return
	fi
	echo "$1 rr: ${rate:-no answer in $limit s}" >&2
	failed "$1" "$2" rr
}

# round NUMBER - number 0, which does not count, is short: for what is slow the first time only.
round() {
	local target

	for target in "${targets[@]}"; do
		if [[ $silent == *" $target "* ]]; then
			failed "$target" "$1" {to,from}-{1,4}{,-cpu} rr
		elif [ "$1" -eq 0 ]; then
			throughput "$target" to-1 0 1
			throughput "$target" from-1 0 1 -R
		else
			throughput "$target" to-1 "$1" "$seconds"
			throughput "$target" from-1 "$1" "$seconds" -R
			throughput "$target" to-4 "$1" "$seconds" -P 4
			throughput "$target" from-4 "$1" "$seconds" -P 4 -R
			requests "$target" "$1"
		fi
	done
}

wait_for() {
	local end=$((SECONDS + 120))

	while [ $SECONDS -lt $end ]; do
		! from_client 10 "$share/net" half "${address[$1]}" 7000 > /dev/null || return 0
		sleep 1
	done
	echo "$1 does not answer" >&2
	silent+="$1 "
}

finish() {
	local target

	[ ${#qemus[@]} -eq 0 ] || kill "${qemus[@]}" 2> /dev/null || true
	for target in "${targets[@]}"; do
		case $target in
		qemu*) leave_bridge "$target" ;;
		*) podman rm -f -t 0 "bench-$target" > /dev/null 2>&1 || true ;;
		esac
	done
	leave_bridge client
	podman network rm -f -t 0 "$network" > /dev/null 2>&1 || true
}

trap finish EXIT
podman network create --subnet 10.84.0.0/24 "$network" > /dev/null
for target in "${targets[@]}"; do
	[[ $target == qemu* ]] || start_container "$target"
done
start_client
for target in "${targets[@]}"; do
	[[ $target != qemu* ]] || start_qemu "$target"
done
for target in "${targets[@]}"; do
	wait_for "$target"
done
for ((i = 0; i <= rounds; i++)); do
	round $i
done
