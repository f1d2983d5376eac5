#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# One configuration, under crun and under krun-gpu: what a process can see of itself is the same, but
# for what this file lists, each with its reason.
load helpers

# Everything a process can see of itself, as text that can be compared.
look='
	status() { echo "== $1"; }
	status status
	grep -E "^(Umask|Uid|Gid|Groups|NSpid|NSpgid|NSsid|Threads|Sig|Shd|Cap|NoNewPrivs|Seccomp|CoreD)" \
		/proc/self/status | grep -v -e SigQ -e NSpid -e NSpgid
	status limits; sed "s/  */ /g" /proc/self/limits
	status mounts; cut -d " " -f 4- /proc/self/mountinfo
	status ids; id
	status cgroup; cat /proc/self/cgroup; ls /sys/fs/cgroup | grep -c .
	status env; env | sort
	status fds; for f in 0 1 2 3 4; do readlink /proc/1/fd/$f | sed "s/[0-9][0-9]*/N/"; done
	status dev; ls -ln /dev /dev/shm /dev/mqueue | sed -e "s/  */ /g" | cut -d " " -f 1,3-6,10- | grep -v total
	ls -l /dev | sed -n "s/.* \([a-z]* -> .*\)/\1/p"
	status devices; for d in null zero full random urandom tty; do stat -c "%n %a %u:%g %t:%T" /dev/$d; done
	status sysctls
	for s in kernel/hostname kernel/domainname kernel/msgmax kernel/shmmni fs/mqueue/msg_max \
		net/ipv4/ping_group_range; do
		echo "$s $(cat /proc/sys/$s)"
	done
	status process; cat /proc/self/oom_score_adj /proc/self/personality /proc/1/comm
	cut -d " " -f 4-8,18-19,41 /proc/1/stat; umask; pwd; ls /proc | grep -c "^[0-9]"
	status root; ls -ln / | sed "s/  */ /g" | cut -d " " -f 1-4,9-; stat -c "%a %u:%g" / /proc /sys /tmp
	status masked; cat /proc/kcore /proc/keys 2>&1 | head -c 100; ls /sys/firmware 2>&1
	echo 1 > /proc/sys/kernel/panic; echo b > /proc/sysrq-trigger
	status network; ls /sys/class/net'

# What may differ, and why; extended regular expressions for lines of the diff.
explained='
	# The limits of processes and signals that a kernel begins with follow its memory.
	^[<>] Max (processes|pending signals)
	# The root and volumes come by virtio-fs; a host shows overlay, tmpfs or whatever it has.
	^[<>] [^ ]+ / [a-z,]*( [a-z]+:[0-9]+)* - (virtiofs|overlay|tmpfs|9p|ext4) .*
	# One machine, one container: its /sys and /proc are whole file systems, with devices of its own
	^[<>] / /(proc|sys)[^ ]* 
	# Sizes of tmpfs are printed as the kernel rounds them; inode numbers are not the containers.
	^[<>] .* - (tmpfs|devtmpfs|mqueue|devpts|cgroup2?) 
	# The number of files of a cgroup is that of the controllers that the kernel has.
	^[<>] [0-9]+$
'

setup() {
	host 'rm -rf /tmp/same; new_bundle /tmp/same sh -c "$1"
		for a in $(busybox --list); do ln -sf busybox /tmp/same/rootfs/bin/$a; done
		edit /tmp/same ".process.user = {uid: 12, gid: 34, additionalGids: [5, 6], umask: 23} |
			.process.oomScoreAdj = 55 | .process.env += [\"A=b\"] | .process.cwd = \"/tmp\" |
			.process.rlimits += [{type: \"RLIMIT_CORE\", soft: 1, hard: 2}] |
			.hostname = \"same\" | .linux.sysctl = {\"kernel.msgmax\": \"5000\"} |
			.linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\",
				syscalls: [{names: [\"mkdirat\"], action: \"SCMP_ACT_ERRNO\"}]}"
		chmod 1777 /tmp/same/rootfs/tmp' "$look"
}

teardown() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || printf 'status %s, output:\n%s\n' "${status-}" "${output-}"
	host 'rm -rf /tmp/same /tmp/same.*' || true
}

@test "a process sees of itself what it sees under crun" {
	run host '
		crun run -b /tmp/same same1 < /dev/null > /tmp/same.crun 2>&1
		krun-gpu run -b /tmp/same same2 < /dev/null > /tmp/same.krun 2>&1
		[ "$(grep -c "^== " /tmp/same.crun)" -eq 14 ]
		[ "$(wc -l < /tmp/same.crun)" -gt 100 ]
		diff /tmp/same.crun /tmp/same.krun | grep "^[<>]" > /tmp/same.diff || true
		printf "%s\n" "$1" | sed "s/^[[:space:]]*//" | grep -v -e "^#" -e "^$" > /tmp/same.explained
		grep -vEf /tmp/same.explained /tmp/same.diff' "$explained"
	[ "$output" = "" ]
}
