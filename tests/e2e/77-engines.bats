#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What engines look for on the host, and what they pass on: memory that was too little, processes,
# pods, names and limits.
load helpers

@test "too little memory ends a process, not the microVM, and is reported" {
	run host '
		kp run -d --name oom --network none --memory 100m demo bash -c "
			until [ -e /go ]; do sleep 0.2; done; tail /dev/zero; echo \"lived, \$?\"
			until [ -e /again ]; do sleep 0.2; done; exec tail /dev/zero" > /dev/null
		krun-gpu events --interval 3600 "$(podman inspect -f "{{.Id}}" oom)" > /tmp/events 2>&1 &
		podman inspect -f "{{.State.OOMKilled}}" oom
		podman exec oom touch /go
		until_true 60 eval "podman logs oom 2>&1 | grep -q lived"
		until_true 20 grep -q "\"type\":\"oom\"" /tmp/events
		podman exec oom touch /again
		podman wait oom
		podman logs oom 2> /dev/null
		podman inspect -f "{{.State.OOMKilled}} {{.State.ExitCode}}" oom
		grep -c "\"type\":\"oom\"" /tmp/events
		bundle=$(dirname "$(podman inspect -f "{{.OCIConfigPath}}" oom)")
		[ -h "$bundle/oom" ] && echo "link left"
		podman rm oom > /dev/null; rm /tmp/events'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = false ]
	[ "${lines[1]}" = 137 ]
	[ "${lines[2]}" = "lived, 137" ]
	[ "${lines[3]}" = "true 137" ]
	[ "${lines[4]}" -ge 1 ]
	[ "${#lines[@]}" -eq 5 ]
}

@test "podman top shows the processes of the container, as it sees them" {
	run host '
		kp run -d --name top --network none demo bash -c "
			sleep 1111 & (exec -a \"a name\" sleep 2222) & exec sleep 3333" > /dev/null
		until_true 20 eval "podman top top pid args | grep -q \"a name\""
		podman top top pid ppid user args | tr -s " \t" " " | sort
		podman top top | sed -n 1p | tr -s " \t" " "
		podman exec top sleep 4444 > /dev/null 2>&1 & until_true 20 eval "podman top top args | grep -q 4444"
		podman exec -u 12:3434 top sleep 5555 > /dev/null 2>&1 &
		until_true 20 eval "podman top top uid group state args | grep -q 5555"
		podman top top uid group args | grep 5555 | tr -s " \t" " "
		podman rm -f -t 0 top > /dev/null 2>&1; wait'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = "1 0 root sleep 3333 " ] || [ "${lines[0]}" = "1 0 root sleep 3333" ]
	[[ ${lines[1]} =~ ^[0-9]+\ 1\ root\ (a\ name|sleep)\ [12]+ ]]
	[[ ${lines[2]} =~ ^[0-9]+\ 1\ root\ (a\ name|sleep)\ [12]+ ]]
	[ "${lines[3]}" = "PID PPID USER COMMAND" ]
	[ "${lines[4]}" = "USER PID PPID %CPU ELAPSED TTY TIME COMMAND" ]
	[[ ${lines[5]} == "12 3434 sleep 5555"* ]]
}

@test "kube play: a pod of one container, its name and its end" {
	run host '
		cat > /tmp/pod.yaml <<- END
			apiVersion: v1
			kind: Pod
			metadata: { name: kube }
			spec:
			  restartPolicy: Never
			  terminationGracePeriodSeconds: 1
			  containers:
			  - name: one
			    image: localhost/demo
			    command: [bash, -c, "uname -n; cat /proc/sys/kernel/osrelease > /out; sleep 1000"]
			    resources: { limits: { memory: 128Mi } }
		END
		podman --runtime krun-gpu kube play --network none /tmp/pod.yaml > /dev/null
		until_true 20 podman exec kube-one test -s /out
		podman logs kube-one
		[ "$(podman exec kube-one cat /out)" != "$(uname -r)" ] && echo "kernel of its own"
		podman exec kube-one cat /sys/fs/cgroup/memory.max
		ps -C krun-gpu-pause -o comm= | sort -u; ps -C krun-gpu-vmm -o comm= | wc -l
		podman pod inspect -f "{{.State}}" kube
		podman --runtime krun-gpu kube down /tmp/pod.yaml > /dev/null 2>&1
		all_gone 20 && echo gone
		rm /tmp/pod.yaml'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "kube kernel of its own 134217728 krun-gpu-pause 1 Running gone" ]
}

@test "the host's name, a quota to read, an idmapped volume, and without a cgroup" {
	run host '
		mkdir -p /tmp/vol; touch /tmp/vol/f; chown 7:8 /tmp/vol/f
		kprun --uts host --cpus 1.5 -v "/tmp/vol:/vol:idmap=uids=7-1007-1;gids=8-1008-1" demo bash -c "
			[ \$(uname -n) = $(uname -n) ] && echo host
			cat /sys/fs/cgroup/cpu.max; nproc; stat -c %u:%g /vol/f"
		kprun --cgroups=disabled demo cat /proc/self/cgroup
		rm -r /tmp/vol'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "host 150000 100000 2 1007:1008 0::/" ]
}
