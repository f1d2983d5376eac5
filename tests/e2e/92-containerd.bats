#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# containerd with this runtime in the place of runc, and a network by CNI's plug-ins, which are given the
# network namespace between create and start.
load helpers

setup_file() {
	LIMIT=200 host '
		mkdir -p /var/lib/containerd /opt/cni /etc/cni/net.d
		mountpoint -q /var/lib/containerd || mount -t tmpfs containerd /var/lib/containerd
		ln -sfn "$e2e/cni" /opt/cni/bin
		cat > /etc/cni/net.d/10-bridge.conflist <<- END
			{ "cniVersion": "1.0.0", "name": "plain", "plugins": [ { "type": "bridge",
			  "bridge": "cni0", "isGateway": true, "ipMasq": false, "mtu": 1400,
			  "ipam": { "type": "host-local", "subnet": "10.91.0.0/24",
			            "routes": [ { "dst": "0.0.0.0/0" } ] } } ] }
		END
		new_bundle /tmp/ctrd true
		for a in ip nc ping nproc; do ln -sf busybox /tmp/ctrd/rootfs/bin/$a; done
		pidof containerd > /dev/null || {
			setsid containerd > /tmp/containerd.log 2>&1 < /dev/null &
			until_true 100 ctr version > /dev/null 2>&1
		}'
}

teardown_file() {
	LIMIT=100 host '
		pkill -x containerd || true; until_true 30 eval "! pidof containerd"
		umount /var/lib/containerd; ip link del cni0 2> /dev/null || true
		rm -rf /tmp/ctrd /etc/cni /opt/cni /run/containerd' || true
}

after_each() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || LIMIT=60 host 'tail -n 20 /tmp/containerd.log' || true
	LIMIT=60 host 'ctr task rm -f life served; ctr container rm life served' > /dev/null 2>&1 || true
}

ctrun='
	ctrun() {
		ctr run --runc-binary /usr/bin/krun-gpu --rootfs "$@"
	}
'

@test "ctr: run, streams, exit code, exec, pause, kill, limits" {
	run host "$ctrun"'
		echo input | ctrun --rm --memory-limit 134217728 --cpus 1 --env A=b /tmp/ctrd/rootfs once \
			sh -c "read -r line; echo \$line; echo \$A; nproc
			while read -r what kib unit; do
				[ \$what = MemTotal: ] && [ \$kib -le 200000 ] && echo small
			done < /proc/meminfo; exit 7" || echo "code $?"
		ctrun -d /tmp/ctrd/rootfs life sleep 1000
		ctr task exec --exec-id one life echo executed
		ctr task exec --exec-id two life sh -c "exit 9" || echo "code $?"
		ctr task exec --exec-id three life cat /proc/sys/kernel/osrelease > /tmp/ctrd/release
		[ "$(cat /tmp/ctrd/release)" != "$(uname -r)" ] && echo kernel
		ctr task pause life; ctr task ls | awk "/^life/ { print \$3 }"
		ctr task resume life; ctr task exec --exec-id four life echo again
		ctr task metrics life | grep -cE "^(memory.usage|pids.current) "
		ctr task kill -s KILL life; until_true 30 eval "ctr task ls | grep -q STOPPED"
		ctr task rm life > /dev/null 2>&1 || true
		ctr container rm life; all_gone 20 && echo gone'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "input b 1 small code 7 executed code 9 kernel PAUSED again 2 gone" ]
}

@test "ctr --cni: the interface that comes after create is the guest's" {
	run host "$ctrun"'
		ctrun -d --cni /tmp/ctrd/rootfs served sh -c "while :; do echo answer | nc -l -p 80; done"
		until_true 60 eval "ctr task exec --exec-id a\$RANDOM served ip address show eth0 | grep -q 10.91.0"
		ctr task exec --exec-id two served ip address show eth0 > /tmp/ctrd/shown
		address=$(grep -o "10\.91\.0\.[0-9]*" /tmp/ctrd/shown | head -n 1)
		grep -o "mtu 1400" /tmp/ctrd/shown
		ctr task exec --exec-id three served ip route | grep -o "default via 10.91.0.1"
		until_true 30 eval "[ \"\$(socat -T 5 - TCP:$address:80 < /dev/null)\" = answer ]" && echo served
		ctr task exec --exec-id four served ping -c 1 10.91.0.1 | grep -o "1 packets received"
		ctr task kill -s KILL served; until_true 30 eval "ctr task ls | grep -q STOPPED"
		ctr task rm served > /dev/null 2>&1 || true; ctr container rm served; all_gone 20'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "mtu 1400 default via 10.91.0.1 served 1 packets received" ]
}
