#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a process sees of itself, with the same options, under crun and under krun-gpu. What differs is
# in self.expected, each with its reason; anything else that differs is a failure, and so is an entry
# there that has become untrue.
load helpers

# same VARIANT OPTION... - runs the program under both, and compares.
same() {
	local variant=$1
	shift

	LIMIT=300 run host '
		variant=$1
		shift
		without_forwarding
		for runtime in crun krun-gpu; do
			podman --runtime $runtime run --rm --name self -h box -v $e2e/self:/self:ro "$@" \
				> /root/self.$runtime 2>&1 < /dev/null || echo "$runtime: code $?"
		done
		wc -l < /root/self.krun-gpu
		$e2e/self-compare $e2e/self.expected $variant /root/self.crun /root/self.krun-gpu' \
		"$variant" "$@"
	[ "$status" -eq 0 ] && [ "${#lines[@]}" -eq 2 ] && [ "${lines[0]}" -gt 400 ] &&
		[[ ${lines[1]} =~ ^[0-9]+\ differences,\ all\ of\ them\ expected$ ]]
}

@test "a process sees of itself what it sees under crun: podman's defaults" {
	same default --network none demo /self one two
}

@test "a process sees of itself what it sees under crun: a user with limits" {
	same limits --network none --user 1234:567 --group-add 89 --cap-drop all --cap-add net_raw,chown \
		--ulimit nofile=100:200 --ulimit core=0 --ulimit nproc=300 --sysctl kernel.msgmax=9000 \
		--sysctl net.ipv4.ip_unprivileged_port_start=70 --read-only --tmpfs /scratch:size=1m,mode=711 \
		--memory 256m --memory-swap 256m --cpus 1 --pids-limit 50 --shm-size 2m --umask 0027 \
		--security-opt no-new-privileges --oom-score-adj 100 -e GREETING="a  b" -w /usr/share \
		--security-opt mask=/proc/interrupts --security-opt unmask=/proc/scsi demo /self
}

@test "a process sees of itself what it sees under crun: privileged, with a terminal" {
	same privileged --network none --privileged -t demo /self
}

@test "a process sees of itself what it sees under crun: by exec" {
	LIMIT=300 run host '
		without_forwarding
		for runtime in crun krun-gpu; do
			podman --runtime $runtime run -d --name self -h box --network none --user 12:34 \
				--cap-add chown -v $e2e/self:/self:ro demo sleep 1000 > /dev/null
			podman exec -u 1000:1000 -e MORE=1 -w /tmp self /self exec > /root/self.$runtime \
				2>&1 < /dev/null || echo "$runtime: code $?"
			podman exec --privileged self /self exec privileged > /root/self.$runtime.2 \
				2>&1 < /dev/null || echo "$runtime: code $?"
			podman rm -f -t 0 self > /dev/null
		done
		$e2e/self-compare $e2e/self.expected exec /root/self.crun /root/self.krun-gpu
		$e2e/self-compare $e2e/self.expected exec-privileged /root/self.crun.2 \
			/root/self.krun-gpu.2'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
}
