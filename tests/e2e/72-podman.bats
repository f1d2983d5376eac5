#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What podman puts on top of a runtime: limits that it changes, copies, pauses.
load helpers

@test "memory, processors and processes are limited inside and on the host, and update moves them" {
	run host '
		kp run -d --name limits --network none --memory 256m --cpus 1 --pids-limit 40 \
			--ulimit nofile=123:456 --sysctl kernel.msgmax=4096 --shm-size 3m demo sleep 1000 \
			> /dev/null
		podman exec limits sh -c "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; nproc
			grep MemTotal /proc/meminfo | tr -dc 0-9; echo; ulimit -Hn
			cat /proc/sys/kernel/msgmax; df -k /dev/shm | tail -n 1 | tr -s \" \" | cut -d \" \" -f 2"
		cg=/sys/fs/cgroup$(cut -d : -f 3 /proc/$(podman inspect -f "{{.State.Pid}}" limits)/cgroup)
		cat $cg/cpu.max $cg/pids.max
		podman update --memory 128m --pids-limit 30 limits > /dev/null
		podman exec limits cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max
		cat $cg/pids.max
		podman stats --no-stream --format "{{.Name}} {{.PIDS}}" limits
		podman rm -f -t 0 limits > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:3}" = "268435456 40 1" ]
	[ "${lines[3]}" -gt 250000 ] && [ "${lines[3]}" -lt 400000 ]
	[ "${lines[*]:4:8}" = "456 4096 3072 100000 100000 552 134217728 30 542" ]
	[[ ${lines[12]} =~ ^limits\ [1-9] ]]
}

@test "cp in and out of a running container, pause and unpause" {
	run host '
		kp run -d --name copies --network none demo sh -c "echo inside > /root/out; exec sleep 1000" \
			> /dev/null
		echo outside > /tmp/copied
		podman cp /tmp/copied copies:/root/in
		until_true 20 podman exec copies test -e /root/out
		podman exec copies cat /root/in
		podman cp copies:/root/out /tmp/copied
		cat /tmp/copied
		podman pause copies > /dev/null
		podman inspect -f "{{.State.Status}}" copies
		podman unpause copies > /dev/null
		podman exec copies echo again
		rm /tmp/copied
		podman rm -f -t 0 copies > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "outside inside paused again" ]
}
