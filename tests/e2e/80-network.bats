#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What podman says of a container's network is what the container has: each test does the same with
# crun and with krun-gpu, and wants the same of both.
load helpers
load network

@test "bridge: interface, MAC, MTU, addresses and routes, IPv4 and IPv6" {
	both '
		podman network create --ipv6 --subnet 10.95.0.0/24 --subnet fd00:95::/64 \
			--route 10.96.0.0/16,10.95.0.9,50 six > /dev/null
		kr --network six:ip=10.95.0.7,ip6=fd00:95::7,mac=02:11:22:33:44:55 demo \
			sh -c "$show_interfaces"
		podman network rm six > /dev/null'
	[[ $output == *"eth0 1500 1"*"02:11:22:33:44:55"*"10.95.0.7/24"*"fd00:95::7/64"* ]]
	[[ $output == *"10.96.0.0/16 via 10.95.0.9"* ]]
}

@test "traffic both ways: bytes, half-close, a slow reader, datagrams, refusals" {
	LIMIT=800
	both '
		server srv
		ip=$(address srv)
		$net get $ip 7000 100
		$net put $ip 7000 100
		$net half $ip 7000
		$net slow $ip 7000 4
		$net udp $ip 7000 1400
		$net udp $ip 7000 20000
		$net flood $ip 7000 20000
		$net refused $ip 9
		gone srv'
	[[ $output == *"got 100 MiB"*"put 100 MiB"*"after"*"datagram of 20000"* ]]
	[[ $output == *"tcp: Connection refused; udp: Connection refused" ]]
}

@test "the guest as a client: 100 MiB each way, and a slow reader in it" {
	LIMIT=800
	both '
		$net serve 7001 > /dev/null 2>&1 &
		until_true 20 $net half 127.0.0.1 7001 > /dev/null
		kr demo sh -c "
			/net get 10.0.2.15 7001 100
			/net put 10.0.2.15 7001 100
			/net slow 10.0.2.15 7001 2"
		kill %1'
	[ "${lines[0]}" = "got 100 MiB" ]
	[ "${lines[1]}" = "put 100 MiB" ]
}

@test "2,000 short connections" {
	LIMIT=900
	both '
		server srv
		ip=$(address srv)
		for i in 1 2 3 4; do
			$net short $ip 7000 500 &
		done
		wait
		gone srv'
	[ "${lines[3]}" = "500 connections" ]
}

@test "the guest as a client: of the host, of the world's names, of another container" {
	both '
		podman network create --subnet 10.97.0.0/24 names > /dev/null
		RT=crun server other --network names --network-alias nick --ip 10.97.0.5
		kr --network names demo sh -c "
			/net get other 7000 5
			/net put nick 7000 5
			/net udp other 7000 1400
			grep -c 10.97.0.1 /etc/resolv.conf"
		gone other
		podman network rm names > /dev/null'
	[ "${lines[0]}" = "got 5 MiB" ]
	[ "${lines[1]}" = "put 5 MiB" ]
}

@test "another container finds it by its name and its alias" {
	both '
		podman network create --subnet 10.76.0.0/24 called > /dev/null
		server named --network called:alias=nick,ip=10.76.0.5
		RT=crun kr --network called demo sh -c "
			/net half named 7000
			/net get nick 7000 2
			/net udp nick 7000 1400"
		gone named
		podman network rm called > /dev/null'
	[ "${lines[0]}" = after ]
	[ "${lines[1]}" = "got 2 MiB" ]
}

@test "the guest as a client by IPv6, and the path MTU there" {
	both '
		podman network create --ipv6 --subnet 10.73.0.0/24 --subnet fd00:73::/64 wide6 > /dev/null
		podman network create --ipv6 --subnet 10.74.0.0/24 --subnet fd00:74::/64 -o mtu=1300 \
			narrow6 > /dev/null
		RT=crun server far --network narrow6:ip6=fd00:74::5
		kr --network wide6 $with_ping demo sh -c "
			/net get fd00:74::5 7000 3
			/net udp fd00:74::5 7000 1200
			ping -6 -n -c 3 -W 2 -M do -s 1400 fd00:74::5 2>&1 |
				grep -o -m 1 \"mtu *=* *1300\"
			/net put fd00:74::5 7000 3"
		gone far
		podman network rm wide6 narrow6 > /dev/null'
	[ "${lines[0]}" = "got 3 MiB" ]
	[[ ${lines[2]} =~ 1300 ]]
	[ "${lines[3]}" = "put 3 MiB" ]
}

@test "published ports: TCP, UDP, a range, IPv6, one address alone" {
	both '
		podman network create --ipv6 --subnet 10.98.0.0/24 --subnet fd00:98::/64 ports > /dev/null
		server srv --network ports -p 8000:7000 -p 8000:7000/udp -p 8100-8110:6995-7005 \
			-p 127.0.0.1:8300:7000
		$net half 127.0.0.1 8000
		$net half 10.0.2.15 8000
		$net udp 127.0.0.1 8000 1000
		$net half 127.0.0.1 8105
		$net half fd00:98::1 8000
		$net half 127.0.0.1 8300
		$net half 10.0.2.15 8300 || echo refused
		gone srv
		podman network rm ports > /dev/null'
	[ "${lines[4]}" = after ]
	[ "${lines[-1]}" = refused ]
}

@test "several networks: each has its interface, by its name" {
	both '
		podman network create --subnet 10.91.0.0/24 one > /dev/null
		podman network create --subnet 10.92.0.0/24 -o mtu=1400 two > /dev/null
		kr --network one:ip=10.91.0.5,mac=02:00:00:00:00:01 \
			--network two:ip=10.92.0.5,mac=02:00:00:00:00:02,interface_name=second demo \
			sh -c "$show_interfaces; /busybox ping -c 1 -W 5 10.91.0.1 > /dev/null || true"
		podman network rm one two > /dev/null'
	[[ $output == *"eth0 1500"*"second 1400"*"10.91.0.5/24"*"10.92.0.5/24"* ]]
}

@test "two networks with IPv6: both are the default, or one of them" {
	both '
		podman network create --ipv6 --subnet 10.71.0.0/24 --subnet fd00:71::/64 one > /dev/null
		podman network create --ipv6 --subnet 10.72.0.0/24 --subnet fd00:72::/64 two > /dev/null
		podman network create --ipv6 --subnet 10.77.0.0/24 --subnet fd00:77::/64 \
			-o no_default_route=1 side > /dev/null
		$net serve 7001 > /dev/null 2>&1 &
		until_true 20 $net half 127.0.0.1 7001 > /dev/null
		for second in two:interface_name=eth1,ip=10.72.0.5,ip6=fd00:72::5 \
			side:interface_name=eth1,ip=10.77.0.5,ip6=fd00:77::5; do
			server srv --network one:interface_name=eth0,ip=10.71.0.5,ip6=fd00:71::5 \
				--network $second
			podman exec srv sh -c "$show_defaults"
			net2=$(grep -o "10.7[27].0.5" <<< $second)
			for address in 10.71.0.5 fd00:71::5 $net2 ${second##*=}; do
				$net get $address 7000 1
			done
			podman exec srv sh -c "/net half 10.0.2.15 7001
				/net half fd00:71::1 7001
				/net half ${second##*=} 7000"
			gone srv
		done
		kill %1
		podman network rm one two side > /dev/null'
	[ "$(grep -c "^default via" <<< "$output")" -eq 3 ]
	[ "$(grep -c "^fd00007" <<< "$output")" -eq 3 ]
	[ "$(grep -c "got 1 MiB" <<< "$output")" -eq 8 ]
	[ "$(grep -c "^after" <<< "$output")" -eq 6 ]
}

@test "a container with a user namespace; more networks than a microVM has devices" {
	both '
		new_bundle /tmp/userns true
		chown -R 200000:200000 /tmp/userns/rootfs
		podman --runtime $RT run -d --rm --name srv -p 8500:7000 \
			--network podman:ip=10.88.0.77,mac=02:00:00:00:00:04 \
			--uidmap 0:200000:65536 --gidmap 0:200000:65536 -v "$net":/net:ro \
			-v /usr/bin/busybox:/busybox:ro -v /usr/lib64:/lib64:ro \
			-v /usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu:ro \
			--rootfs /tmp/userns/rootfs /net serve 7000 > /dev/null
		until_true 60 served srv
		until_true 20 eval "podman exec srv /busybox ip address show eth0 | grep -q 10.88.0.77"
		podman exec srv /busybox cat /proc/self/uid_map /sys/class/net/eth0/mtu \
			/sys/class/net/eth0/address
		podman exec srv /busybox ip route | sed "s/ *$//" | sort
		$net half 127.0.0.1 8500
		$net get 10.88.0.77 7000 2
		gone srv
		rm -rf /tmp/userns'
	[[ $output == *200000*1500*02:00:00:00:00:04*"default via 10.88.0.1"*after*"got 2 MiB" ]]
	krun '
		for i in 1 2 3 4 5; do
			podman network create --subnet 10.7$i.0.0/24 n$i > /dev/null
		done
		kr --network n1 --network n2 --network n3 --network n4 --network n5 demo true 2>&1 ||
			podman network rm n1 n2 n3 n4 n5 > /dev/null'
	[ "$status" -eq 0 ]
	[[ $output == *"more than 4 networks"* ]]
}

@test "networks are connected and disconnected while it runs" {
	both '
		podman network create --subnet 10.91.0.0/24 one > /dev/null
		podman network create --ipv6 --subnet 10.92.0.0/24 --subnet fd00:92::/64 two > /dev/null
		server srv --network one:ip=10.91.0.5
		sees() { podman exec srv sh -c "ls /sys/class/net; /busybox ip -o address" | grep -q "$1"; }
		podman network connect --ip 10.92.0.5 --ip6 fd00:92::5 two srv
		until_true 20 sees 10.92.0.5
		podman exec srv ls /sys/class/net
		$net half 10.91.0.5 7000
		$net half 10.92.0.5 7000
		$net get 10.92.0.5 7000 2
		$net half fd00:92::5 7000
		podman network disconnect one srv
		until_true 20 eval "! sees 10.91.0.5"
		podman exec srv ls /sys/class/net
		$net half 10.92.0.5 7000
		podman network connect --ip 10.91.0.6 one srv
		until_true 20 sees 10.91.0.6
		$net half 10.91.0.6 7000
		gone srv
		podman network rm one two > /dev/null'
	[ "${lines[*]}" = "eth0 eth1 lo after after got 2 MiB after eth1 lo after after" ]
}

@test "what changes of an interface is followed: addresses, routes, neighbours, MTU" {
	both '
		podman network create --subnet 10.75.0.0/24 changes > /dev/null
		podman network create --subnet 10.78.0.0/24 -o mtu=9000 large > /dev/null
		server srv --network changes:ip=10.75.0.5
		pid=$(podman inspect -f "{{.State.Pid}}" srv)
		inside() { nsenter -t $pid -n ip "$@"; }
		sees() { podman exec srv sh -c "/busybox ip -o address; /busybox ip route
			cat /proc/net/arp /proc/net/route /sys/class/net/*/mtu" | grep "$1" > /dev/null; }
		inside neigh add 10.75.0.9 lladdr 02:00:00:00:00:09 dev eth0 nud permanent
		until_true 20 sees "10.75.0.9 .*02:00:00:00:00:09"
		inside address add 10.75.0.6/24 dev eth0
		inside route add 10.70.0.0/16 via 10.75.0.1
		inside route add blackhole 10.69.0.0/16
		inside link set eth0 mtu 4000
		until_true 20 sees 10.75.0.6
		until_true 20 sees "10.70.0.0/16 via"
		until_true 20 sees 0000450A
		until_true 20 sees "^4000"
		$net half 10.75.0.6 7000
		inside neigh delete 10.75.0.9 dev eth0
		inside address delete 10.75.0.6/24 dev eth0
		inside route delete 10.70.0.0/16
		inside route delete blackhole 10.69.0.0/16
		until_true 20 eval "! sees 10.75.0.9"
		until_true 20 eval "! sees 10.75.0.6"
		until_true 20 eval "! sees 10.70.0"
		until_true 20 eval "! sees 0000450A"
		$net half 10.75.0.5 7000
		podman network disconnect changes srv
		until_true 20 eval "! sees 10.75.0.5"
		podman network connect --ip 10.78.0.5 large srv
		until_true 20 sees 10.78.0.5
		podman exec srv sh -c "cat /sys/class/net/eth*/mtu"
		$net put 10.78.0.5 7000 2
		gone srv
		podman network rm changes large > /dev/null'
	[ "${lines[*]}" = "after after 9000 put 2 MiB" ]
}

@test "MTU 9000, and packets of that size" {
	both '
		podman network create --subnet 10.93.0.0/24 -o mtu=9000 jumbo > /dev/null
		server srv --network jumbo --ip 10.93.0.5 --mac-address 02:00:00:00:00:03
		podman exec srv sh -c "$show_interfaces"
		ping -n -c 1 -M do -s 8972 10.93.0.5 | grep -o "1 received"
		$net udp 10.93.0.5 7000 8900
		$net get 10.93.0.5 7000 20
		$net put 10.93.0.5 7000 20
		gone srv
		podman network rm jumbo > /dev/null'
	[[ $output == *"eth0 9000"*"1 received"*"datagram of 8900"* ]]
}

@test "ICMP errors reach the guest: path MTU, and no way" {
	both '
		podman network create --subnet 10.94.0.0/24 wide > /dev/null
		podman network create --subnet 10.99.0.0/24 -o mtu=1300 narrow > /dev/null
		RT=crun server far --network narrow --ip 10.99.0.5
		kr --network wide $with_ping demo sh -c "
			ping -n -c 3 -W 2 -M do -s 1400 10.99.0.5 2>&1 | grep -o -m 1 \"mtu *=* *1300\"
			ping -n -c 1 -W 2 -s 1400 10.99.0.5 | grep -o \"1 received\"
			/net put 10.99.0.5 7000 3"
		gone far
		podman network rm wide narrow > /dev/null'
	[[ ${lines[0]} =~ 1300 ]]
	[ "${lines[-1]}" = "put 3 MiB" ]
}

@test "a user may ping when the sysctl says so" {
	both '
		kr --user 1000:1000 --cap-drop all --sysctl net.ipv4.ping_group_range="1000 1000" \
			$with_ping demo ping -n -c 1 -W 5 10.88.0.1 | grep -o "1 received"'
}

@test "--network none is loopback alone" {
	both 'kr --network none demo sh -c "$show_interfaces; /net refused 127.0.0.1 9"'
	[[ $output == "lo 65536 1"* ]]
}

@test "--network host reaches what the host reaches, and listens where an annotation says" {
	krun '
		$net serve 7001 > /dev/null 2>&1 &
		kr --network host demo sh -c "
			/net half 10.0.2.15 7001 || /net half 169.254.1.1 7001
			/net half 169.254.1.1 7001
			/net get 169.254.1.1 7001 5
			/net udp 169.254.1.1 7001 1400
			/busybox ip -o -4 address show eth0 | grep -o 10.0.2.15/24"
		kill %1
		server host --network host --annotation krun-gpu.host-ports=7000
		$net half 127.0.0.1 7000
		$net put 127.0.0.1 7000 5
		$net udp 127.0.0.1 7000 1400
		gone host
		until_true 20 eval "! pgrep passt"'
	[ "$status" -eq 0 ]
	[[ $output == *"got 5 MiB"*"10.0.2.15/24"*"after"*"put 5 MiB"*"datagram of 1400" ]]
}

@test "--network host, and that namespace by its path: a client, and a server on a port of the host" {
	both '
		RT=crun server other --network podman:ip=10.88.0.66
		for how in host ns:/proc/1/ns/net; do
			kr --network $how demo sh -c "
				/net half 10.88.0.66 7000
				/net get 10.88.0.66 7000 5
				/net udp 10.88.0.66 7000 1400"
			server host --network $how --annotation krun-gpu.host-ports=7000
			$net half 127.0.0.1 7000
			$net put 127.0.0.1 7000 2
			gone host
			until_true 20 eval "! $net half 127.0.0.1 7000 > /dev/null 2>&1"
			tc qdisc show | grep -c "ingress\|clsact" || true
			ip -o link | grep -c krun-tap || true
		done
		gone other'
	[ "$(grep -cx 0 <<< "$output")" -eq 4 ]
	[ "$(grep -c "got 5 MiB" <<< "$output")" -eq 2 ]
}
