#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# More of the network. None of these has been seen to pass on an emulated host yet, which is too slow
# for their limits when it has to share its processors: they run only when named
# (`contrib/check network`).
load helpers
load network

@test "networks that are isolated stay so, and the host's loopback is its own" {
	both '
		podman network create -o isolate=true --subnet 10.86.0.0/24 left > /dev/null
		podman network create -o isolate=true --subnet 10.87.0.0/24 right > /dev/null
		RT=crun server there --network right --ip 10.87.0.5
		$net serve 7001 > /dev/null 2>&1 &
		nft add table inet t
		nft "add chain inet t in { type filter hook input priority 0; }"
		nft add rule inet t in iifname podman* tcp dport 7001 drop
		kr --network left demo sh -c "
			timeout 5 /net half 10.87.0.5 7000 > /dev/null 2>&1 || echo apart
			timeout 5 /net half 10.86.0.1 7001 > /dev/null 2>&1 || echo filtered
			/net half 127.0.0.1 7001 || true"
		kill %1
		nft delete table inet t
		gone there
		podman network rm left right > /dev/null'
	[[ $output == *apart*filtered*"connect: Connection refused"* ]]
}

@test "a second microVM in a network namespace is refused, another runtime's container is not" {
	krun '
		server first
		kr --network container:first demo true 2>&1 && exit 1
		$net half $(address first) 7000
		gone first'
	[ "$status" -eq 0 ]
	[[ $output == *"a microVM is connected to this network namespace already: give the container"* ]]
	[ "${lines[-1]}" = after ]
}

@test "several queue pairs carry traffic, and a wrong number of them is refused" {
	krun '
		server srv --cpus 2 --annotation krun-gpu.net-queues=2
		podman exec srv ls /sys/class/net/eth0/queues | grep -c tx
		ip=$(address srv)
		$net get $ip 7000 4 &
		$net get $ip 7000 4 &
		$net put $ip 7000 4
		wait
		gone srv
		kr --annotation krun-gpu.net-queues=9 demo true 2>&1 && exit 1
		true'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 2 ]
	[[ $output == *"put 4 MiB"* && $output == *"got 4 MiB"*"got 4 MiB"* ]]
	[[ $output == *'"9" is not a number from 1 to 4'* ]]
}

@test "a pod whose infra container is another runtime's takes one microVM" {
	krun '
		podman --runtime crun pod create --share net --name pod -p 8400:7000 > /dev/null
		server inpod --pod pod
		$net half 127.0.0.1 8400
		podman pod rm -f -t 0 pod > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = after ]
}

@test "after a kill at any time nothing of the network stays in a namespace that lives on" {
	krun '
		ip netns add stays
		ip link add outside type veth peer name eth0 netns stays
		ip link set outside up
		ip -n stays address add 10.85.0.2/24 dev eth0
		ip -n stays link set eth0 up
		new_bundle /root/b-net sleep 1000
		edit /root/b-net ".linux.namespaces |= map(if .type == \"network\" then
			.path = \"/run/netns/stays\" else . end)"
		clean() {
			! ip -n stays -o link | grep krun-tap && ! tc -n stays qdisc | grep ingress
		}
		for delay in 0.2 0.5 0.8 1.1 1.5 2 3 5; do
			krun-gpu run -b /root/b-net b-net < /dev/null > /dev/null 2>&1 &
			sleep $delay
			kill -KILL $! || true
			wait || true
			krun-gpu delete --force b-net
			until_true 20 clean
		done
		krun-gpu run -b /root/b-net b-net < /dev/null > /dev/null 2>&1 &
		until_true 60 test -e /run/krun-gpu/b-net/status.json
		until_true 60 eval "krun-gpu state b-net | grep -q running"
		ip -n stays -o link | grep -c krun-tap
		pkill -KILL -o -x krun-gpu-vmm
		wait || true
		krun-gpu delete --force b-net || true
		until_true 20 clean
		ip link delete outside
		ip netns delete stays
		rm -rf /root/b-net
		echo clean'
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = clean ]
	[ "${lines[-2]}" = 1 ]
}
