#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# podman run: the process, its output and its end.
load helpers

@test "the exit code is the process's" {
	run host 'kprun demo sh -c "exit 7"'
	[ "$status" -eq 7 ]
	run host 'kprun demo true'
	[ "$status" -eq 0 ]
}

# A process 1 is spared signals from its own PID namespace, here as with any runtime.
@test "a process killed by a signal n gives 128 + n" {
	run host 'kprun --pid host demo sh -c "kill -KILL \$\$"'
	[ "$status" -eq 137 ]
	run host 'kprun --pid host demo sh -c "kill -TERM \$\$"'
	[ "$status" -eq 143 ]
}

@test "a program that is not there gives 127, one that cannot be executed 126" {
	run -127 host 'kprun demo /no/such/program'
	[[ $output == *"/no/such/program"* ]]
	run -126 host 'kprun demo /etc/passwd'
}

@test "it runs in a kernel of its own" {
	run host 'kprun demo uname -r; uname -r'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == *-krun-gpu ]]
	[ "${lines[0]}" != "${lines[1]}" ]
}

@test "output and error are apart and whole, input arrives and ends" {
	run host '
		head -c 3000000 /dev/urandom > /tmp/in
		kprun -i demo sh -c "cat; echo to-error >&2" < /tmp/in > /tmp/out 2> /tmp/err
		cmp /tmp/in /tmp/out
		cat /tmp/err
		rm /tmp/in /tmp/out /tmp/err'
	[ "$status" -eq 0 ]
	[ "$output" = to-error ]
}

@test "environment, working directory, user and host name are those asked for" {
	run host 'kprun -e GREETING="a b" -w /usr/share -u 1234:56 -h box demo \
		sh -c "echo \$GREETING; pwd; id -u; id -g; cat /proc/sys/kernel/hostname"'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "a b /usr/share 1234 56 box" ]
}

@test "capabilities, no_new_privs and read-only paths hold for the process" {
	run host 'kprun --cap-drop all --security-opt no-new-privileges demo sh -c "
		grep -E \"^(CapEff|NoNewPrivs)\" /proc/self/status
		(echo 1 > /proc/sys/kernel/panic) 2> /dev/null || echo refused" 2>&1'
	[ "$status" -eq 0 ]
	[[ $output =~ CapEff:[[:space:]]+0000000000000000 ]]
	[[ $output =~ NoNewPrivs:[[:space:]]+1 ]]
	[[ $output == *refused ]]
}

@test "--read-only refuses writes to the root, --tmpfs takes them" {
	run host 'kprun --read-only --tmpfs /scratch demo sh -c "
		touch /here 2>/dev/null && echo wrote
		touch /scratch/there && echo scratch"'
	[ "$status" -eq 0 ]
	[ "$output" = scratch ]
}

@test "what the process writes stays in the container and is not in the image" {
	run host '
		kp run --name keeps --network none demo sh -c "echo kept > /root/file"
		podman diff keeps
		podman cp keeps:/root/file - | tar -xO
		podman rm keeps > /dev/null
		kprun demo cat /root/file 2>/dev/null || echo gone'
	[ "$status" -eq 0 ]
	[[ $output == *"A /root/file"* ]]
	[[ $output == *kept*gone ]]
}

@test "the host sees the runtime's processes alone, in the container's cgroup" {
	run host '
		kp run -d --name seen --network none demo \
			bash -c "exec -a only-in-the-guest sleep 1000" > /dev/null
		ps -eo args= | grep "^only-in-the-gues[t]" && exit 1
		pid=$(podman inspect -f "{{.State.Pid}}" seen)
		readlink /proc/$pid/exe
		for p in $(cat /sys/fs/cgroup/$(cut -d : -f 3 /proc/$pid/cgroup)/cgroup.procs); do
			readlink /proc/$p/exe
		done | sort -u | tr "\n" " "
		podman rm -f -t 0 seen > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = /usr/libexec/krun-gpu/krun-gpu-vmm ]
	[ "${lines[1]}" = "/usr/libexec/krun-gpu/krun-gpu-fs /usr/libexec/krun-gpu/krun-gpu-vmm " ]
}
