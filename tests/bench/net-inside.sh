# SPDX-License-Identifier: GPL-2.0-or-later
#
# The part of tests/bench/net that runs in the tested host. Prints lines "TARGET WHAT ROUND VALUE".
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
qemus=()

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

# start_qemu TARGET - QEMU with a tap that is joined to a veth of the bridge's as krun-gpu's is.
start_qemu() {
	local target=$1 vhost=off root bridge cpus mac
	root=$(mktemp -d)
	bridge=$(podman network inspect -f '{{.NetworkInterface}}' "$network")
	cpus=$(nproc)

	[ "$target" = qemu ] || vhost=on
	mac=02:00:00:00:00:${address[$target]##*.}
	make_initramfs "$root" "${address[$target]}"
	ip netns add "bench-$target"
	ip link add "b-$target" type veth peer name eth0 netns "bench-$target"
	ip link set "b-$target" master "$bridge" up
	ip -n "bench-$target" link set eth0 up
	ip -n "bench-$target" tuntap add tap0 mode tap vnet_hdr
	ip -n "bench-$target" link set tap0 up
	for pair in "eth0 tap0" "tap0 eth0"; do
		set -- $pair
		tc -n "bench-$target" qdisc add dev "$1" ingress
		tc -n "bench-$target" filter add dev "$1" ingress matchall action mirred egress redirect dev "$2"
	done
	ip netns exec "bench-$target" env -u LD_LIBRARY_PATH qemu-system-x86_64 -accel kvm -cpu host \
		-M microvm,acpi=off,isa-serial=on,x-option-roms=off -m 512 -smp "$cpus" \
		-global virtio-mmio.force-legacy=false -nodefaults -no-user-config -no-reboot \
		-display none -serial "file:$root.console" \
		-kernel /usr/share/krun-gpu/vmlinux -initrd "$root.cpio" \
		-append "console=ttyS0 quiet reboot=t panic=-1 tsc=reliable swiotlb=noforce dummy.numdummies=0" \
		-netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost="$vhost" \
		-device virtio-net-device,netdev=n,mac="$mac" < /dev/null &
	qemus+=($!)
}

# cpu_ms - CPU time of the host so far: all but what it was idle or waited.
cpu_ms() {
	awk -v hz="$(getconf CLK_TCK)" '$1 == "cpu" { print int(($2 + $3 + $4 + $7 + $8) * 1000 / hz) }' \
		/proc/stat
}

# throughput TARGET WHAT ROUND OPTION... - Mbit/s, and the host's CPU time for each MiB.
throughput() {
	local target=$1 what=$2 round=$3 before json
	shift 3

	before=$(cpu_ms)
	# A target that cannot end a test in its time has no figure, and the others have theirs.
	if ! json=$(timeout $((seconds * 10 + 60)) "$share/iperf3" -c "${address[$target]}" \
		-t "$seconds" -J "$@") || [ "$(jq '.end.sum_received.bytes // 0' <<< "$json")" = 0 ]; then
		echo "$target $what: $(jq -r '.error // "no answer"' <<< "$json")" >&2
		return
	fi
	jq -r --arg t "$target" --arg w "$what" --arg r "$round" --argjson cpu \
		$(($(cpu_ms) - before)) '.end.sum_received as $s |
		"\($t) \($w) \($r) \($s.bits_per_second / 1e6)",
		"\($t) \($w)-cpu \($r) \($cpu / ($s.bytes / 1048576))"' <<< "$json"
}

round() {
	local target rate

	for target in "${targets[@]}"; do
		throughput "$target" to-1 "$1"
		throughput "$target" from-1 "$1" -R
		throughput "$target" to-4 "$1" -P 4
		throughput "$target" from-4 "$1" -P 4 -R
		rate=$(timeout $((seconds * 10 + 60)) "$share/net" rr "${address[$target]}" 7000 "$seconds") ||
			{ echo "$target rr: $rate" >&2; continue; }
		echo "$target rr $1 $rate"
	done
}

wait_for() {
	local i

	for ((i = 0; i < 120; i++)); do
		! timeout 10 "$share/net" half "$1" 7000 > /dev/null || return 0
		sleep 1
	done
	echo "$1 does not answer" >&2
	return 1
}

finish() {
	local target

	[ ${#qemus[@]} -eq 0 ] || kill "${qemus[@]}" 2> /dev/null || true
	for target in "${targets[@]}"; do
		case $target in
		qemu*)
			ip link delete "b-$target" 2> /dev/null || true
			ip netns delete "bench-$target" 2> /dev/null || true
			;;
		*) podman rm -f -t 0 "bench-$target" > /dev/null 2>&1 || true ;;
		esac
	done
	podman network rm -f -t 0 "$network" > /dev/null 2>&1 || true
}

trap finish EXIT
podman network create --subnet 10.84.0.0/24 "$network" > /dev/null
for target in "${targets[@]}"; do
	case $target in
	qemu*) start_qemu "$target" ;;
	*) start_container "$target" ;;
	esac
	wait_for "${address[$target]}"
done
for ((i = 0; i <= rounds; i++)); do
	round $i
done
