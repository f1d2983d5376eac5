#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Many execs and long streams: nothing is lost, and nothing is kept.
#
# E2E_EXECS says how many execs follow one another, E2E_STREAM_MIB how long the streams are; the step
# "exec" of contrib/check wants 200 and 100.
load helpers

mib=${E2E_STREAM_MIB:-8}

after_each() {
	LIMIT=120 host 'krun-gpu delete --force execs; rm -rf /tmp/execs' || true
}

# What each of these tests begins with: a container that sees the guest's own processes, the agent's
# among them, and has the means to look at it.
begin='
	stream=$e2e/stream
	new_bundle /tmp/execs sleep 10000
	cp $stream /tmp/execs/rootfs/
	edit /tmp/execs ".linux.namespaces |= map(select(.type != \"pid\")) |
		.process.capabilities |= map_values(. + [\"CAP_SYS_PTRACE\"])"
	krun-gpu run -d -b /tmp/execs --pid-file /tmp/execs/pid execs < /dev/null > /dev/null 2>&1
	vmm=$(cat /tmp/execs/pid)
	inside() {
		timeout ${STREAM_LIMIT:-120} krun-gpu exec execs "$@"
	}
'

@test "execs one after the other and at once lose no output and leave no file, thread or process" {
	LIMIT=600 run host "$begin"'
		census() { # of the guest, without the threads of its kernel, which come and go; of the VMM
			inside busybox sh -c "
				busybox ls /proc/1/fd | busybox wc -l
				busybox ls /proc/1/task | busybox wc -l
				busybox grep -sl . /proc/[0-9]*/cmdline | busybox wc -l" < /dev/null
			ls /proc/$vmm/fd | wc -l
			ls /proc/$vmm/task | wc -l
			ps -eo args= | grep -c "^krun-gpu exe[c]" || true
		}
		kib() { # VmData of the agent, and of the VMM what is not the guest'"'"'s
			inside busybox sed -n "s/^VmData:[^0-9]*\([0-9]*\).*/\1/p" /proc/1/status < /dev/null
			sed -n "s/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p" /proc/$vmm/status
		}
		series() {
			for ((i = 0; i < $1; i++)); do
				[ "$(inside echo "word $i" < /dev/null)" = "word $i" ] || echo "lost $i"
			done
			for ((i = 0; i < 20; i++)); do
				inside /stream make 300000 < /dev/null | $stream check 300000 &
			done | sort | uniq -c
			wait
		}
		series 5
		census > /tmp/execs/census
		read -d "" agent_before vmm_before < <(kib) || true
		series $1
		census | diff /tmp/execs/census - && echo same
		read -d "" agent vmm_now < <(kib) || true
		[ $((agent - agent_before)) -le 256 ] && [ $((vmm_now - vmm_before)) -le 1024 ] ||
			echo "agent $agent_before $agent, VMM $vmm_before $vmm_now KiB"' "${E2E_EXECS:-40}"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 3 ]
	[[ ${lines[0]} =~ ^\ *20\ 300000\ bytes\ are\ right$ ]]
	[ "${lines[1]}" = "${lines[0]}" ]
	[ "${lines[2]}" = same ]
}

@test "standard output, error and input are byte-exact, whichever side is slow" {
	LIMIT=900 STREAM_LIMIT=300 run host "$begin"'
		n=$(($1 << 20)) small=$((2 << 20))
		inside /stream make $n < /dev/null | $stream check $n
		inside /stream make $n 2 2>&1 > /dev/null < /dev/null | $stream check $n
		$stream make $n | inside /stream check $n
		inside /stream make $small < /dev/null | $stream check $small 1000000
		$stream make $small | inside /stream check $small 1000000' "$mib"
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 5 ]
	for i in 0 1 2; do
		[ "${lines[i]}" = "$((mib << 20)) bytes are right" ]
	done
	[ "${lines[3]} ${lines[4]}" = "2097152 bytes are right 2097152 bytes are right" ]
}

@test "a reader that goes away ends the writer, on either side, and the container goes on" {
	LIMIT=300 run host "$begin"'
		set +o pipefail
		inside /stream make 1000000000 < /dev/null | head -c 100000 | wc -c
		echo "${PIPESTATUS[0]}"
		inside /stream make 1000000000 2 2>&1 > /dev/null < /dev/null | head -c 100000 | wc -c
		echo "${PIPESTATUS[0]}"
		$stream make 1000000000 | inside busybox head -c 100000 | wc -c
		echo "${PIPESTATUS[*]}"
		inside echo on < /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "100000 141 100000 141 100000 141 0 0 on" ]
}

@test "podman exec -i carries a stream through and back, and its end" {
	LIMIT=300 run host '
		kp run -d --name execs --network none -v $e2e/stream:/stream:ro demo sleep 1000 > /dev/null
		n=$((4 << 20))
		$e2e/stream make $n | podman exec -i execs cat | $e2e/stream check $n
		podman exec -i execs /stream count < /dev/null
		podman exec execs /stream make $n 2 2>&1 > /dev/null | $e2e/stream check $n
		podman rm -f -t 0 execs > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "4194304 bytes are right 0 bytes 4194304 bytes are right" ]
}

@test "who kills an exec's pid kills its process, and its place is free again" {
	LIMIT=300 run host "$begin"'
		pid_file=/tmp/execs/exec
		sleepers() {
			inside busybox sh -c "for f in /proc/[0-9]*/cmdline; do
				busybox tr \"\\0\" \" \" < \$f; echo; done | busybox grep -c \"^sleep 5000\" || true" \
				2> /dev/null < /dev/null
		}
		nobody_sleeps() {
			[ "$(sleepers)" = 0 ]
		}
		for ((i = 0; i < 70; i++)); do
			krun-gpu exec --detach --pid-file $pid_file execs sleep 5000 \
				< /dev/null > /dev/null 2>&1
			[ $i -gt 0 ] || sleepers
			kill -KILL $(cat $pid_file)
		done
		until_true 20 nobody_sleeps
		rm $pid_file
		(krun-gpu exec --pid-file $pid_file execs sleep 5000 < /dev/null > /dev/null 2>&1 &)
		until_true 20 test -s $pid_file
		sleepers
		kill -KILL $(cat $pid_file)
		until_true 20 nobody_sleeps
		sleepers'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "1 1 0" ]
}
