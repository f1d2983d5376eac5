#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The network of a user without root, by pasta, a bridge and slirp4netns: the same with crun and with
# krun-gpu. The forwarders of published ports connect from inside the container's namespace.
load helpers

prepare='
	# The server in a container without an image.
	cat > /tmp/user-server.sh <<- "END"
		net=$e2e/net
		server() {
			rm -rf b; new_bundle b true
			podman --runtime $RT run -d --name less "$@" -v $net:/net:ro \
				-v /usr/bin/busybox:/busybox:ro -v /usr/lib64:/lib64:ro \
				-v /usr/lib/x86_64-linux-gnu:/lib/x86_64-linux-gnu:ro \
				--rootfs ~/b/rootfs /net serve 7000 > /dev/null
			until_true 60 eval "podman logs less | grep -q serving"
		}
	END
'

# both SCRIPT - by the user, for each runtime: the same output, which is then $output.
both() {
	local with='' runtime

	for runtime in crun krun-gpu; do
		LIMIT=300 run host "RT=$runtime; $prepare"'
			$e2e/net serve 7001 > /dev/null 2>&1 &
			trap "kill $! || true" EXIT
			as_user <<< ". /tmp/user-server.sh; $1"
			! pgrep -x krun-gpu-net' "$1"
		[ "$status" -eq 0 ]
		[ -z "$with" ] || [ "$output" = "$with" ] || { echo "crun: $with"; false; }
		with=$output
	done
}

after_each() {
	LIMIT=120 host 'as_user <<< "podman rm -f -t 0 -a || true
		podman network rm -f mine || true" > /dev/null 2>&1' || true
}

@test "pasta: interface, published ports by every address, the host and what lies behind it" {
	both '
		server --network pasta -p 8600:7000 -p 8600:7000/udp
		podman exec less /busybox ip address show eth0 | grep -o 10.0.2.15/24
		podman exec less /busybox ip route | grep -o "default via 10.0.2.2"
		$net half 10.0.2.15 8600
		$net half 127.0.0.1 8600
		$net get 10.0.2.15 8600 3
		$net get 127.0.0.1 8600 3
		$net put 127.0.0.1 8600 3
		$net short 127.0.0.1 8600 50
		$net udp 10.0.2.15 8600 1400
		podman exec less /net half 169.254.1.2 7001
		podman exec less /net get 169.254.1.2 7001 3
		podman rm -f -t 0 less > /dev/null'
	[ "${lines[*]}" = "10.0.2.15/24 default via 10.0.2.2 after after got 3 MiB got 3 MiB put 3 MiB 50 connections datagram of 1400 after got 3 MiB" ]
}

@test "a bridge without root: ports by rootlessport, by every address" {
	both '
		podman network create mine > /dev/null
		server --network mine -p 8700:7000
		podman exec less /busybox ip address show eth0 | grep -c "inet 10.89"
		$net half 10.0.2.15 8700
		$net half 127.0.0.1 8700
		$net get 127.0.0.1 8700 3
		$net put 127.0.0.1 8700 3
		podman rm -f -t 0 less > /dev/null
		podman network rm mine > /dev/null'
	[ "${lines[*]}" = "1 after after got 3 MiB put 3 MiB" ]
}

@test "slirp4netns: interface, published ports by both of its handlers" {
	both '
		for handler in rootlesskit slirp4netns; do
			server --network slirp4netns:port_handler=$handler -p 8800:7000
			podman exec less /busybox ip address show tap0 | grep -o 10.0.2.100/24
			$net half 127.0.0.1 8800
			$net get 127.0.0.1 8800 3
			$net put 127.0.0.1 8800 3
			podman rm -f -t 0 less > /dev/null
		done'
	[ "${lines[*]}" = "10.0.2.100/24 after got 3 MiB put 3 MiB 10.0.2.100/24 after got 3 MiB put 3 MiB" ]
}
