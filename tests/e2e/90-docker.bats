#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Debian's docker with this runtime (dockerd --add-runtime).
load helpers
load network

setup_file() {
	LIMIT=300 host '
		pidof dockerd > /dev/null || {
			mkdir -p /var/lib/docker /var/lib/containerd
			mountpoint -q /var/lib/docker || mount -t tmpfs docker /var/lib/docker
			mountpoint -q /var/lib/containerd || mount -t tmpfs containerd /var/lib/containerd
			setsid dockerd --add-runtime krun-gpu=/usr/bin/krun-gpu > /tmp/dockerd.log 2>&1 < /dev/null &
			until_true 120 docker version > /dev/null 2>&1
		}
		new_bundle /tmp/image true
		for a in nc ip ps wc nproc stat wget hostname nslookup; do ln -sf busybox /tmp/image/rootfs/bin/$a; done
		tar -C /tmp/image/rootfs -c . | docker import - small > /dev/null'
}

teardown_file() {
	LIMIT=120 host '
		docker rm -f $(docker ps -aq) > /dev/null 2>&1 || true
		pkill -x dockerd || true; until_true 30 eval "! pidof dockerd containerd"
		umount /var/lib/docker /var/lib/containerd; rm -rf /tmp/image
		# What dockerd leaves drops what goes from one container on a bridge to another.
		iptables -P FORWARD ACCEPT; iptables -F FORWARD
		echo 0 | tee /proc/sys/net/bridge/bridge-nf-call-ip{,6}tables > /dev/null' || true
}

after_each() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || LIMIT=60 host 'tail -n 20 /tmp/dockerd.log' || true
	LIMIT=60 host 'docker rm -f $(docker ps -aq); docker network rm web' > /dev/null 2>&1 || true
}

@test "docker run: a kernel of its own, streams, exit codes, limits, volumes" {
	run host '
		mkdir -p /tmp/vol; echo from-host > /tmp/vol/f
		echo input | docker run -i --rm --runtime krun-gpu --network none --memory 128m --cpus 1 \
			-v /tmp/vol:/vol:ro -u 12:34 -e A=b --hostname dock small sh -c "
			cat; cat /vol/f; echo x > /vol/f || echo refused; id -u; hostname; echo \$A; nproc
			cat /sys/fs/cgroup/memory.max; cat /proc/sys/kernel/osrelease; echo err >&2; exit 7" \
			2> /tmp/vol/err || echo "code $?"
		grep -c err /tmp/vol/err; uname -r; rm -r /tmp/vol'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:7}" = "input from-host refused 12 dock b 1" ]
	[ "${lines[7]}" = 134217728 ]
	[ "${lines[9]}" = "code 7" ]
	[ "${lines[8]}" != "${lines[11]}" ]
}

@test "docker: -d, exec, -it, top, pause, logs, stop, kill, rm" {
	run host '
		docker run -d --name life --runtime krun-gpu --network none small \
			sh -c "trap \"echo asked; exit 3\" TERM; echo begun; while :; do sleep 0.2; done" > /dev/null
		until_true 30 eval "docker logs life | grep -q begun"
		docker exec life echo executed
		docker exec -u 5 life id -u
		docker exec life sh -c "exit 9" || echo "code $?"
		script -qec "docker exec -it life sh -c \"test -t 0 && echo terminal\"" /dev/null < /dev/null | tr -cd "[:alpha:]\\n"
		docker top life -o pid,comm | grep -c krun-gpu-vmm
		docker pause life > /dev/null; docker inspect -f "{{.State.Status}}" life
		docker unpause life > /dev/null; docker exec life echo again
		docker stop -t 20 life > /dev/null; docker inspect -f "{{.State.ExitCode}}" life
		docker start life > /dev/null; until_true 30 eval "docker logs life | grep -c begun | grep -q 2"
		docker kill life > /dev/null; docker wait life
		docker rm life > /dev/null
		all_gone 20 && echo gone'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "executed 5 code 9 terminal 1 paused again 3 137 gone" ]
}

# Two questions on one connection, for printf: "server" is a container, "outside.example" is not.
questions='\0\030\0\1\1\0\0\1\0\0\0\0\0\0\6server\0\0\1\0\1'
questions+='\0\041\0\2\1\0\0\1\0\0\0\0\0\0\7outside\7example\0\0\1\0\1'

@test "docker: the bridge network, a published port, and names" {
	run host '
		docker network create -d bridge --subnet 10.79.0.0/24 web > /dev/null
		timeout 200 perl -MIO::Socket::INET -e "$1" 10.79.0.1 > /dev/null 2>&1 < /dev/null &
		trap "kill $! || true" EXIT
		docker run -d --name server --runtime krun-gpu --network web -p 8088:80 small \
			sh -c "while :; do echo answer | nc -l -p 80; done" > /dev/null
		until_true 30 docker exec server ip address show eth0 > /dev/null
		until_true 60 eval "[ \"\$(socat -T 5 - TCP:127.0.0.1:8088 < /dev/null)\" = answer ]" && echo published
		docker run --rm --runtime krun-gpu --network web small nc -w 5 server 80 < /dev/null
		docker run --rm --runtime krun-gpu --network web --dns 10.79.0.1 small \
			nslookup -type=a outside.example | grep -o 192.0.2.7
		docker run --rm --runtime krun-gpu --network web --dns 10.79.0.1 small sh -c "
			(printf \"\$0\"; sleep 5) | nc 127.0.0.11 53 | busybox od -An -v -tu1" "$2" |
			tr -s " \\n" " " > /tmp/answers
		grep -o "10 79 0 2" /tmp/answers; grep -o "192 0 2 7" /tmp/answers || cat /tmp/answers
		docker rm -f server > /dev/null; docker network rm web > /dev/null' "$name_server" "$questions"
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "published answer 192.0.2.7 10 79 0 2 192 0 2 7" ]
}
