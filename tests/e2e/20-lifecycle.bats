#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Containers that go on in the background: logs, signals, stop, wait, removal, several at once.
load helpers

@test "run -d returns while the process goes on; logs -f follows it to its end; wait tells its code" {
	run host '
		kp run -d --name follows --network none demo \
			sh -c "for i in 1 2 3; do echo line \$i; sleep 1; done; exit 3" > /dev/null
		podman inspect -f "{{.State.Status}}" follows
		podman logs -f follows
		podman wait follows
		podman rm follows > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "running line 1 line 2 line 3 3" ]
}

@test "stop sends SIGTERM, which the process sees, and does not wait longer than it needs" {
	run host '
		kp run -d --name stops --network none demo \
			sh -c "trap \"echo got TERM; exit 9\" TERM; echo ready; while :; do sleep 0.1; done" \
			> /dev/null
		until_true 20 sh -c "podman logs stops | grep -q ready"
		start=$SECONDS
		podman stop -t 60 stops > /dev/null
		[ $((SECONDS - start)) -lt 30 ]
		podman logs stops
		podman inspect -f "{{.State.ExitCode}}" stops
		podman rm stops > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "ready got TERM 9" ]
}

@test "stop kills a process that ignores SIGTERM" {
	run host '
		kp run -d --name stays --network none demo \
			sh -c "trap \"\" TERM; echo ready; while :; do sleep 0.1; done" > /dev/null
		until_true 20 sh -c "podman logs stays | grep -q ready"
		podman stop -t 2 stays > /dev/null 2>&1
		podman inspect -f "{{.State.ExitCode}}" stays
		podman rm stays > /dev/null'
	[ "$status" -eq 0 ]
	[ "$output" = 137 ]
}

@test "kill -s sends the signal it names" {
	run host '
		kp run -d --name hup --network none demo \
			sh -c "trap \"echo got HUP\" HUP; echo ready; while :; do sleep 0.1; done" > /dev/null
		until_true 20 sh -c "podman logs hup | grep -q ready"
		podman kill -s HUP hup > /dev/null
		until_true 20 sh -c "podman logs hup | grep -q HUP"
		podman inspect -f "{{.State.Status}}" hup
		podman kill hup > /dev/null
		podman wait hup
		podman rm hup > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "running 137" ]
}

@test "rm -f ends a running container and leaves nothing" {
	run host '
		note_all /root/before
		kp run -d --name forced --network none demo sleep 1000 > /dev/null
		podman rm -f -t 0 forced > /dev/null
		same_as /root/before'
	[ "$status" -eq 0 ]
}

@test "exec runs a process beside the first one, with its own exit code" {
	run host '
		kp run -d --name execs --network none demo sh -c "echo shared > /tmp/f; exec sleep 1000" \
			> /dev/null
		podman exec execs cat /tmp/f /proc/1/comm
		echo typed | podman exec -i execs cat
		podman exec execs sh -c "exit 5" || echo "code $?"
		podman rm -f -t 0 execs > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "shared sleep typed code 5" ]
}

@test "four containers at once do not disturb each other" {
	LIMIT=240 run host '
		for i in 1 2 3 4; do
			kprun --name many$i demo sh -c "sleep 2; echo out $i; exit $((i + 10))" \
				> /tmp/many$i && code=0 || code=$?
			echo "$(cat /tmp/many$i) code $code" > /tmp/many$i.end
		done 2>&1 | cat &
		for i in 5 6 7; do
			(kprun --name many$i demo sh -c "sleep 2; echo out $i; exit $((i + 10))" \
				> /tmp/many$i && code=0 || code=$?
			echo "$(cat /tmp/many$i) code $code" > /tmp/many$i.end) &
		done
		wait
		cat /tmp/many?.end
		rm /tmp/many*'
	[ "$status" -eq 0 ]
	[ "$output" = "$(for i in 1 2 3 4 5 6 7; do echo "out $i code $((i + 10))"; done)" ]
}
