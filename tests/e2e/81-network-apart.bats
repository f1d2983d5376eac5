#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the network keeps apart, who may share it, and what is left of it. See 80-network.bats.
load helpers
load network

@test "nobody reaches the guest, nor the guest anybody, but as the engine's rules allow" {
	both '
		podman network create -o isolate=true --subnet 10.86.0.0/24 left > /dev/null
		podman network create -o isolate=true --subnet 10.87.0.0/24 right > /dev/null
		podman network create --internal --subnet 10.83.0.0/24 inner > /dev/null
		RT=crun server there --network right --ip 10.87.0.5
		server here --network left --ip 10.86.0.5
		$net serve 7001 > /dev/null 2>&1 &
		served_here=$!
		until_true 20 $net half 127.0.0.1 7001
		nft add table inet t
		nft "add chain inet t in { type filter hook input priority 0; }"
		nft "add rule inet t in iifname \"podman*\" tcp dport 7001 drop"
		echo to the guest:
		$net half 10.86.0.5 7000
		podman exec there sh -c "
			timeout 5 /net half 10.86.0.5 7000 > /dev/null 2>&1 || echo apart"
		echo from the guest:
		podman exec here sh -c "
			timeout 5 /net half 10.87.0.5 7000 > /dev/null 2>&1 || echo apart
			timeout 5 /net half 10.86.0.1 7001 > /dev/null 2>&1 || echo filtered
			/net half 127.0.0.1 7001 || true"
		gone here
		kr --network inner demo sh -c "/net half 10.0.2.15 7001 || true
			/busybox ip route | grep -c default || true"
		kill $served_here
		nft delete table inet t
		gone there
		podman network rm left right inner > /dev/null'
	[[ $output == *"to the guest:"*after*apart*"from the guest:"*apart*filtered*refused*unreachable* ]]
}

@test "in a network namespace: one microVM, other runtimes' containers, and nothing that listens" {
	krun '
		server first
		ip=$(address first)
		kr --network container:first demo true 2>&1 && exit 1
		RT=crun kr --network container:first demo sh -c "/net half 127.0.0.1 7000; /net half $ip 7000"
		RT=crun kr -d --name beside --network container:first demo /net serve 7002 > /dev/null
		until_true 30 served beside
		RT=crun kr --network container:first demo sh -c "/net get 127.0.0.1 7002 3; /net refused 127.0.0.1 7003"
		gone beside
		pid=$(podman inspect -f "{{.State.Pid}}" first)
		echo listening: $(nsenter -t $pid -n awk "\$4 == \"0A\" && \$2 !~ /^(0100007F|0{24}01000000):/" \
			/proc/$pid/net/tcp /proc/$pid/net/tcp6)
		$net half $ip 7000
		gone first
		podman --runtime crun pod create --share net --name pod -p 8400:7000 > /dev/null
		server inpod --pod pod
		$net half 127.0.0.1 8400
		podman pod rm -f -t 0 pod > /dev/null'
	[ "$status" -eq 0 ]
	[[ $output == *"a microVM is connected to this network namespace already"*"give the container"* ]]
	# The containers beside it reach the guest by their own addresses, and each other.
	[ "${lines[-7]} ${lines[-6]} ${lines[-5]}" = "after after got 3 MiB" ]
	# That nobody listens shows after the connection is made, as a reset.
	[ "${lines[-4]}" = "tcp: connected; udp: Connection refused" ]
	# On loopback alone, for what begins in the namespace.
	[ "${lines[-3]}" = "listening:" ]
	[ "${lines[-2]}" = after ]
	[ "${lines[-1]}" = after ]
}

@test "several queue pairs, by the VMM and by vhost-net; a wrong number is refused" {
	local vhost

	for vhost in 0 1; do
		krun '
			server srv --cpus 2 --annotation krun-gpu.net-queues=2 \
				--annotation krun-gpu.vhost-net='$vhost'
			podman exec srv ls /sys/class/net/eth0/queues | grep -c tx
			pid=$(podman inspect -f "{{.State.Pid}}" srv)
			echo vhosts $(find /proc/$pid/fd -lname /dev/vhost-net | wc -l)
			ip=$(address srv)
			for i in 1 2 3; do
				$net get $ip 7000 20 &
			done
			wait
			$net put $ip 7000 20 &
			$net get $ip 7000 20 &
			$net udp $ip 7000 1400
			wait
			podman network create --subnet 10.82.0.0/24 more > /dev/null
			podman network connect --ip 10.82.0.5 more srv
			until_true 60 $net half 10.82.0.5 7000 > /dev/null
			$net get 10.82.0.5 7000 10
			gone srv
			podman network rm more > /dev/null'
		[ "$status" -eq 0 ]
		[ "${lines[0]}" = 2 ]
		[ "${lines[1]}" = "vhosts $((vhost * 6))" ]
		[ "$(grep -c "got 20 MiB" <<< "$output")" -eq 4 ]
		[[ $output == *"put 20 MiB"* && $output == *"datagram of 1400"* ]]
		[ "${lines[-1]}" = "got 10 MiB" ]
	done
	krun '
		kr --annotation krun-gpu.net-queues=9 demo true 2>&1 && exit 1
		kr --annotation krun-gpu.vhost-net=yes demo true 2>&1 && exit 1
		mv /dev/vhost-net /dev/vhost-net.away
		kr --annotation krun-gpu.vhost-net=1 demo true 2>&1 && exit 1
		mv /dev/vhost-net.away /dev/vhost-net'
	[ "$status" -eq 0 ]
	[[ $output == *'"9" is not a number from 1 to 4'*'"yes" is neither 0 nor 1'* ]]
	[[ $output == *"cannot open /dev/vhost-net"*"vhost_net loaded?"* ]]
}

@test "after a kill at any time nothing of the network stays in a namespace that lives on" {
	LIMIT=600
	krun '
		ip netns delete stays 2> /dev/null || true # of a run before
		ip link delete outside 2> /dev/null || true
		rm -rf /root/b-net
		ip netns add stays
		ip link add outside type veth peer name eth0 netns stays
		ip link set outside up
		ip -n stays address add 10.85.0.2/24 dev eth0
		ip -n stays link set eth0 up
		new_bundle /root/b-net sleep 1000
		edit /root/b-net ".linux.namespaces |= map(if .type == \"network\" then
			.path = \"/run/netns/stays\" else . end)"
		clean() {
			! ip -n stays -o link | grep -q krun-tap && ! tc -n stays qdisc | grep -q ingress &&
				[ -z "$(ip netns exec stays nft list tables)" ] &&
				! pgrep -x krun-gpu-net > /dev/null
		}
		begin() {
			krun-gpu run -b /root/b-net b-net < /dev/null > /dev/null 2>&1 &
			runner=$!
		}
		end() {
			wait $runner || true
			krun-gpu delete --force b-net 2> /dev/null || true
			until_true 30 clean
		}
		running() { krun-gpu state b-net 2> /dev/null | grep -q running; }
		for delay in 0.1 0.3 0.5 0.8 1.2 2 4; do
			begin
			sleep $delay
			kill -KILL $runner || true
			end
		done
		for victim in krun-gpu-vmm krun-gpu-net krun-gpu-fs; do
			begin
			until_true 60 running
			ip -n stays -o link | grep -c krun-tap
			pkill -KILL -x $victim
			[ $victim != krun-gpu-net ] || krun-gpu kill b-net KILL
			end
		done
		ip link delete outside
		ip netns delete stays
		rm -rf /root/b-net
		echo clean'
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = clean ]
	[ "$(grep -cx 1 <<< "$output")" -eq 3 ] # one tap each time, before the kill
}

@test "a network and a name server that come between create and start are there when the process begins" {
	both '
		rm -rf /tmp/late; new_bundle /tmp/late sh -c "ip address show eth0 | grep -o 10.95.0.5
			ip route | grep -o \"default via 10.95.0.1\"; nslookup -type=a outside.example | grep -o 192.0.2.7"
		for a in ip grep nslookup; do ln -sf busybox /tmp/late/rootfs/bin/$a; done
		echo nameserver 192.0.2.1 > /tmp/late/resolv.conf
		edit /tmp/late ".mounts += [{destination: \"/etc/resolv.conf\", type: \"bind\",
			source: \"/tmp/late/resolv.conf\", options: [\"rbind\", \"ro\"]}]"
		$RT create -b /tmp/late --pid-file /tmp/late/pid late < /dev/null > /tmp/late/out 2>&1
		pid=$(cat /tmp/late/pid)
		inside() { nsenter -t $pid -n "$@"; }
		ip link add late0 type veth peer name eth0 netns $pid
		ip address add 10.95.0.1/24 dev late0; ip link set late0 up
		inside ip link set lo up
		inside ip address add 10.95.0.5/24 dev eth0; inside ip link set eth0 up
		inside ip route add default via 10.95.0.1
		inside timeout 100 perl -MIO::Socket::INET -e '"'$name_server'"' 127.0.0.11 \
			> /dev/null 2>&1 < /dev/null &
		server=$!
		until_true 20 eval "inside ss -Hlun | grep -q 127.0.0.11:53"
		echo nameserver 127.0.0.11 > /tmp/late/resolv.conf
		$RT start late
		until_true 30 eval "$RT state late | grep -q stopped"
		cat /tmp/late/out
		kill $server; $RT delete late; ip link delete late0 2> /dev/null || true
		rm -r /tmp/late'
	[ "${lines[*]}" = "10.95.0.5 default via 10.95.0.1 192.0.2.7" ]
}
