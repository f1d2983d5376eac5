# SPDX-License-Identifier: GPL-2.0-or-later
#
# For the network's tests: sourced in the tested host, with RT naming the runtime.
# shellcheck shell=bash

net=$e2e/net

# kr ARGUMENT... - podman run, with what the tests use in the container.
kr() {
	podman --runtime "$RT" run --rm -v "$net":/net:ro -v /usr/bin/busybox:/busybox:ro "$@"
}

# server NAME [OPTION]... - a container that serves TCP and UDP port 7000; returns when it does.
server() {
	local name=$1
	shift

	kr -d --name "$name" "$@" demo /net serve 7000 > /dev/null
	until_true 60 served "$name"
}

served() {
	podman logs "$1" | grep -q serving
}

# address NAME [NETWORK] - a container's IPv4 address.
address() {
	podman inspect "$1" | jq -r --arg net "${2-}" '.[0].NetworkSettings.Networks |
		if $net == "" then first(.[]) else .[$net] end | .IPAddress'
}

gone() {
	podman rm -f -t 0 "$@" > /dev/null
}

# interfaces - inside a container: what it sees, without what differs from start to start.
show_interfaces='for i in /sys/class/net/*; do
	echo "$(basename $i) $(cat $i/mtu) $(cat $i/carrier)"
	[ $(basename $i) = lo ] || cat $i/address
done
/busybox ip -o address | /busybox awk "\$3 ~ /inet/ && \$4 !~ /^fe80/ { print \$2, \$3, \$4 }" | sort
/busybox ip route | sed "s/ *$//" | sort
/busybox ip -6 route | /busybox awk "/^(default|fd)/ { print \$1, \$2, \$3, \$4, \$5 }" | sort'

# show_defaults - inside a container: its default routes. IPv6 has one of several ways, which are shown
# apart, with its metric.
show_defaults='/busybox ip route | grep ^default | sed "s/ *$//" | sort
/busybox awk "\$1 ~ /^0+\$/ && \$2 == \"00\" && \$10 != \"lo\" { print \$5, \$6, \$10 }" \
	/proc/net/ipv6_route | sort'

# with_ping - options that bring the host's ping into a Debian container.
with_ping='-v /usr/bin/ping:/usr/bin/ping:ro -v /usr/lib/x86_64-linux-gnu:/host-lib:ro
	-e LD_LIBRARY_PATH=/host-lib'
