#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a configuration can ask for, by bundles of our own: user namespaces, idmapped mounts, hooks in
# the container, scheduling, sockets of the host's, and limits that change.
load helpers

# more_rights - a filter for edit: capabilities that `krun-gpu spec` does not give
more_rights='.process.capabilities |= map_values(. + ["CAP_SYS_ADMIN", "CAP_CHOWN", "CAP_DAC_OVERRIDE"])'

after_each() {
	LIMIT=120 host 'for id in $(krun-gpu list -q); do krun-gpu delete --force $id; done
		rm -rf /tmp/conf; podman rm -f -t 0 -a > /dev/null 2>&1' || true
}

@test "a user namespace maps the ids of files, devices, limits and users" {
	run host '
		new_bundle /tmp/conf sh -c "id -u; tr -s \" \" < /proc/self/uid_map
			stat -c %u:%g / /dev/null; ulimit -Hn; touch /tmp/made; chown 5:6 /tmp/made
			echo x > /dev/null; cat /proc/sys/net/ipv4/ip_unprivileged_port_start
			mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted"
		chown -R 100000:200000 /tmp/conf/rootfs
		edit /tmp/conf ".linux.namespaces += [{type: \"user\"}] |
			.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] |
			.linux.gidMappings = [{containerID: 0, hostID: 200000, size: 65536}] |
			.process.rlimits = [{type: \"RLIMIT_NOFILE\", soft: 5000, hard: 70000}]"
		edit /tmp/conf "$1"
		for a in tr stat touch chown mkdir mount; do ln -sf busybox /tmp/conf/rootfs/bin/$a; done
		krun-gpu run -b /tmp/conf conf1 < /dev/null
		stat -c %u:%g /tmp/conf/rootfs/tmp/made' "$more_rights"
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "0  0 100000 65536 0:0 0:0 70000 0 mounted 100005:200006" ]
}

@test "podman --uidmap, and an exec that joins" {
	run host '
		new_bundle /tmp/conf true
		chown -R 100000:100000 /tmp/conf/rootfs
		kp run -d --name conf --network none --uidmap 0:100000:65536 --gidmap 0:100000:65536 \
			--rootfs /tmp/conf/rootfs sleep 1000 > /dev/null
		podman exec conf cat /proc/self/uid_map | tr -s " "
		podman exec -u 1234 conf id -u
		podman rm -f -t 0 conf > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = " 0 100000 65536 1234" ]
}

@test "an idmapped mount shows and takes ids as mapped" {
	run host '
		new_bundle /tmp/conf sh -c "stat -c %u:%g /vol/old; touch /vol/new"
		mkdir -m 777 /tmp/conf/vol; touch /tmp/conf/vol/old; chown 7:8 /tmp/conf/vol/old
		edit /tmp/conf ".mounts += [{destination: \"/vol\", type: \"bind\", source: \"/tmp/conf/vol\",
			options: [\"bind\"], uidMappings: [{containerID: 0, hostID: 1000, size: 10}],
			gidMappings: [{containerID: 0, hostID: 1000, size: 10}]}] |
			.process.user = {uid: 1001, gid: 1002}"
		for a in stat touch; do ln -s busybox /tmp/conf/rootfs/bin/$a; done
		krun-gpu run -b /tmp/conf conf2 < /dev/null
		stat -c %u:%g /tmp/conf/vol/new'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "1007:1008 1:2" ]
}

@test "startContainer hooks run in the container, before its process; a failing one prevents it" {
	run host '
		new_bundle /tmp/conf cat /tmp/hook
		edit /tmp/conf ".hooks.startContainer = [{path: \"/bin/sh\",
			args: [\"sh\", \"-c\", \"{ grep status; echo \$A; cat /proc/sys/kernel/hostname; } > /tmp/hook\"],
			env: [\"PATH=/bin\", \"A=b c\"]}]"
		ln -s busybox /tmp/conf/rootfs/bin/grep
		krun-gpu run -b /tmp/conf conf3 < /dev/null
		edit /tmp/conf ".hooks.startContainer[0].args[2] = \"echo broken >&2; exit 4\""
		krun-gpu run -b /tmp/conf conf3 < /dev/null 2>&1'
	[ "$status" -ne 0 ]
	[ "${lines[0]//[[:space:]]/}" = '"status":"created",' ]
	[ "${lines[1]} ${lines[2]}" = "b c krun-gpu" ]
	[[ ${lines[3]} == *"hooks.startContainer[0]: /bin/sh ended with code 4: broken" ]]
	[ "${#lines[@]}" -eq 4 ]
}

@test "scheduler, input and output priority, personality" {
	run host '
		new_bundle /tmp/conf sh -c "cut -d \" \" -f 19,41 /proc/self/stat; ionice; uname -m"
		for a in cut ionice uname; do ln -s busybox /tmp/conf/rootfs/bin/$a; done
		edit /tmp/conf ".process.scheduler = {policy: \"SCHED_BATCH\", nice: 5} |
			.process.ioPriority = {class: \"IOPRIO_CLASS_IDLE\", priority: 0} |
			.linux.personality = {domain: \"LINUX32\"}"
		krun-gpu run -b /tmp/conf conf4 < /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "5 3 idle i686" ]
}

@test "a socket of the host's answers in the container, with all bytes, several at a time" {
	run host '
		new_bundle /tmp/conf sh -c "stat -c %a:%u:%g /run/host.sock
			head -c 2000000 /dev/urandom > /tmp/in
			for i in 1 2 3; do /unix_talk /run/host.sock < /tmp/in > /tmp/out\$i & done; wait
			for i in 1 2 3; do cmp /tmp/in /tmp/out\$i && echo same; done
			kill -STOP \$\$ & echo over"
		cp $e2e/unix_talk /tmp/conf/rootfs/
		for a in stat head cmp; do ln -s busybox /tmp/conf/rootfs/bin/$a; done
		socat UNIX-LISTEN:/tmp/conf/host.sock,fork,mode=660 EXEC:/bin/cat < /dev/null > /dev/null 2>&1 &
		socat=$!
		until_true 10 test -S /tmp/conf/host.sock
		edit /tmp/conf ".mounts += [{destination: \"/run/host.sock\", type: \"bind\",
			source: \"/tmp/conf/host.sock\", options: [\"rbind\", \"rprivate\"]}]"
		krun-gpu run -b /tmp/conf conf5 < /dev/null
		kill $socat'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "660:0:0 same same same over" ]
}

@test "whoever listens sees the container's user; its socket's mode holds" {
	run host '
		new_bundle /tmp/conf sh -c "/unix_talk /run/open < /dev/null; /unix_talk /run/closed < /dev/null"
		cp $e2e/unix_talk /tmp/conf/rootfs/
		for s in open closed; do
			socat UNIX-LISTEN:/tmp/conf/$s,fork,mode=$([ $s = open ] && echo 666 || echo 600) \
				SYSTEM:"echo \$SOCAT_PEERUID; echo uid \$(stat -c %u /proc/\$PPID)" \
				< /dev/null > /dev/null 2>&1 &
			until_true 10 test -S /tmp/conf/$s
			edit /tmp/conf ".mounts += [{destination: \"/run/$s\", type: \"bind\",
				source: \"/tmp/conf/$s\", options: [\"bind\"]}]"
		done
		edit /tmp/conf ".process.user = {uid: 1000, gid: 1000}"
		krun-gpu run -b /tmp/conf conf6 < /dev/null 2>&1 || echo "code $?"
		ps -o uid= -C krun-gpu-connect || true
		kill %1 %2'
	[ "$status" -eq 0 ]
	[[ $output == *"uid 0"* ]]
	[[ $output == *"/run/closed: Permission denied"* ]]
}

@test "update changes limits in the guest and on the host, and refuses a larger machine" {
	run host '
		new_bundle /tmp/conf sleep 1000
		ln -s busybox /tmp/conf/rootfs/bin/nproc
		edit /tmp/conf ".linux.resources.memory = {limit: 268435456} | .linux.resources.pids = {limit: 50}"
		krun-gpu create -b /tmp/conf conf7 < /dev/null > /dev/null 2>&1
		krun-gpu start conf7
		cg=/sys/fs/cgroup/conf7
		show() {
			krun-gpu exec conf7 cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max < /dev/null
			cat $cg/pids.max $cg/cpu.weight
		}
		show
		before=$(cat $cg/memory.max)
		krun-gpu update --memory 128m --pids-limit 20 --cpu-share 2048 conf7
		show
		[ "$(cat $cg/memory.max)" -lt "$before" ] && echo less
		echo "{\"pids\": {\"limit\": -1}, \"cpu\": {\"quota\": 50000, \"period\": 100000}}" |
			krun-gpu update -r - conf7
		krun-gpu exec conf7 cat /sys/fs/cgroup/pids.max < /dev/null
		cat $cg/pids.max $cg/cpu.max
		krun-gpu update --memory 8g conf7 2>&1 || true
		krun-gpu update --cpu-quota 90000000 conf7 2>&1 || true'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:11}" = \
		"268435456 50 562 100 134217728 20 532 79 less max max" ]
	[ "${lines[11]}" = "50000 100000" ]
	[[ ${lines[12]} == *"memory.limit: the microVM has "*" MiB"* ]]
	[[ ${lines[13]} == *"cpu.quota: the microVM has "*" virtual CPUs"* ]]
}

@test "hooks run at their points, in their order, and are told the state" {
	run host '
		new_bundle /tmp/conf cat /tmp/hook
		cat > /tmp/conf/hook <<-\EOF
			#!/bin/bash
			network=own
			[ "$(readlink /proc/self/ns/net)" != "$(readlink /proc/1/ns/net)" ] || network=host
			echo "$1 $(jq -r .status) $network" >> /tmp/conf/trace
		EOF
		chmod 755 /tmp/conf/hook
		edit /tmp/conf "def hook(at): [{path: \"/tmp/conf/hook\", args: [\"hook\", at],
				env: [\"PATH=/usr/bin:/bin\"]}];
			.hooks = {prestart: hook(\"prestart\"), createRuntime: hook(\"createRuntime\"),
				createContainer: hook(\"createContainer\"), poststart: hook(\"poststart\"),
				poststop: hook(\"poststop\"), startContainer: [{path: \"/bin/sh\",
				args: [\"sh\", \"-c\", \"echo startContainer > /tmp/hook\"]}]}"
		krun-gpu run -b /tmp/conf conf8 < /dev/null
		cat /tmp/conf/trace
		edit /tmp/conf ".hooks = {createRuntime: [{path: \"/bin/sleep\", args: [\"sleep\", \"100\"],
			timeout: 1}]}"
		krun-gpu run -b /tmp/conf conf8 < /dev/null 2>&1 || echo "code $?"
		krun-gpu list -q'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:6}" = "startContainer prestart created host createRuntime created host \
createContainer created own poststart running host poststop stopped host" ]
	[[ ${lines[6]} == *"hooks.createRuntime[0]: /bin/sleep did not end within 1 s" ]]
	[ "${lines[*]:7}" = "code 1" ]
}

@test "consoleSize is the size of the terminal, unless run is at one that has a size" {
	run host '
		new_bundle /tmp/conf stty size
		edit /tmp/conf ".process.terminal = true | .process.consoleSize = {height: 33, width: 111}"
		krun-gpu run -b /tmp/conf conf9 < /dev/null
		$e2e/pty size=30x100 expect="30 100" -- krun-gpu run -b /tmp/conf conf9'
	[ "$status" -eq 0 ]
	[[ ${output//[^0-9]/ } =~ ^\ *33\ 111\ +30\ 100\ *$ ]]
}

@test "a time namespace has its offsets, for an exec too" {
	run host '
		new_bundle /tmp/conf sh -c "cut -d . -f 1 /proc/uptime; exec sleep 1000"
		ln -s busybox /tmp/conf/rootfs/bin/cut
		edit /tmp/conf ".linux.namespaces += [{type: \"time\"}] |
			.linux.timeOffsets = {boottime: {secs: 864000}, monotonic: {secs: 5}}"
		krun-gpu run -d -b /tmp/conf conf10 < /dev/null > /tmp/conf/out 2> /dev/null
		until_true 20 test -s /tmp/conf/out
		krun-gpu exec conf10 cut -d . -f 1 /proc/uptime < /dev/null
		cat /tmp/conf/out'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[ "${lines[0]}" -ge 864000 ] && [ "${lines[1]}" -ge 864000 ]
}

@test "a user namespace's root makes cgroups in the container's where that is writable" {
	run host '
		new_bundle /tmp/conf sh -c "cd /sys/fs/cgroup && mkdir below && echo \$\$ > below/cgroup.procs &&
			cat /proc/self/cgroup"
		ln -s busybox /tmp/conf/rootfs/bin/mkdir
		chown -R 100000:100000 /tmp/conf/rootfs
		edit /tmp/conf ".linux.namespaces += [{type: \"user\"}] |
			.linux.uidMappings = [{containerID: 0, hostID: 100000, size: 65536}] |
			.linux.gidMappings = .linux.uidMappings |
			(.mounts[] | select(.type == \"cgroup\") | .options) -= [\"ro\"]"
		krun-gpu run -b /tmp/conf conf11 < /dev/null'
	[ "$status" -eq 0 ]
	[ "$output" = 0::/below ]
}

@test "update leaves alone what it was not asked for, and what it cannot do is named" {
	run host '
		new_bundle /tmp/conf sleep 1000
		edit /tmp/conf ".linux.resources.memory = {limit: 268435456} |
			.linux.resources.cpu = {quota: 50000, period: 100000} |
			.linux.resources.hugepageLimits = [{pageSize: \"2MB\", limit: 0},
				{pageSize: \"64KB\", limit: 0}]"
		krun-gpu run -d -b /tmp/conf conf8 < /dev/null > /dev/null 2>&1
		cg=/sys/fs/cgroup/conf8
		inside() {
			krun-gpu exec conf8 cat "/sys/fs/cgroup/$1" < /dev/null
		}
		inside hugetlb.2MB.max
		krun-gpu update --memory 0 --memory-reservation 0 --memory-swap 0 conf8
		inside memory.max
		krun-gpu update --cpu-period 50000 conf8
		cat $cg/cpu.max
		inside cpu.max
		krun-gpu update --cpu-quota 20000 conf8
		cat $cg/cpu.max
		inside cpu.max
		krun-gpu update --memory-swap 300m conf8
		cat $cg/memory.swap.max
		krun-gpu update --memory-swap 200m conf8 2>&1 || true
		echo "{\"memory\": {\"limit\": 4096, \"checkBeforeUpdate\": true}}" |
			krun-gpu update -r - conf8 2>&1 || true
		echo "{\"hugepageLimits\": [{\"pageSize\": \"64KB\", \"limit\": 65536}]}" |
			krun-gpu update -r - conf8 2>&1 || true
		krun-gpu update --memory -1 conf8
		krun-gpu update --memory-swap 300m conf8 2>&1 || true
		krun-gpu state conf8 | jq -r .status'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = 0 ]
	[ "${lines[1]}" = 268435456 ]
	[ "${lines[2]}, ${lines[3]}" = "50000 50000, 50000 50000" ]
	[ "${lines[4]}, ${lines[5]}" = "20000 50000, 20000 50000" ]
	[ "${lines[6]}" = $((44 << 20)) ]
	[[ ${lines[7]} == *"memory.swap: is below memory.limit, which is 268435456" ]]
	[[ ${lines[8]} == *"memory.limit: 4096 is less than the container uses, "*checkBeforeUpdate* ]]
	[[ ${lines[9]} == *"hugepageLimits: the guest kernel has no hugetlb.64KB.max" ]]
	[[ ${lines[10]} == *"memory.swap: "*"has no memory.limit" ]]
	[ "${lines[11]}" = running ]
}

@test "exec into a paused container says that it is paused" {
	run host '
		new_bundle /tmp/conf sleep 1000
		krun-gpu run -d -b /tmp/conf conf9 < /dev/null > /dev/null 2>&1
		krun-gpu pause conf9
		krun-gpu exec conf9 true < /dev/null 2>&1 || true
		krun-gpu resume conf9
		krun-gpu exec conf9 echo executed < /dev/null'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == *"container conf9 is paused: resume it first" ]]
	[ "${lines[1]}" = executed ]
}

@test "run --keep leaves a container that has stopped, and kill says that it does not run" {
	run host '
		new_bundle /tmp/conf sh -c "exit 7"
		krun-gpu run --keep -b /tmp/conf conf10 < /dev/null || echo "code $?"
		krun-gpu state conf10 | jq -r .status
		krun-gpu kill conf10 KILL 2>&1 || true
		krun-gpu delete conf10
		krun-gpu list -q'
	[ "$status" -eq 0 ]
	[ "${lines[0]} ${lines[1]}" = "code 7 stopped" ]
	[[ ${lines[2]} == *"container not running: conf10: No such process" ]]
	[ "${#lines[@]}" -eq 3 ]
}
