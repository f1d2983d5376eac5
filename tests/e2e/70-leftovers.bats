#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Nothing stays behind: no process, mount, cgroup, socket or file, however a container ends.
load helpers

# The moments at which something is killed come from this number; set it to have the same again.
setup_file() {
	export E2E_SEED=${E2E_SEED:-$RANDOM}
	echo "# moments come from E2E_SEED=$E2E_SEED" >&3
}

@test "20 containers one after the other leave nothing" {
	LIMIT=600 run host '
		kprun demo true
		note_all /root/before
		for i in {1..20}; do
			kprun demo sh -c "exit $i" && exit 1
			[ $? -eq $i ] || exit 1
		done
		same_as /root/before'
	[ "$status" -eq 0 ]
}

# kills VICTIM - see kill-moments.sh; at E2E_MOMENTS moments, 20 unless told
kills() {
	LIMIT=900 run host '"$e2e"/kill-moments.sh "$@"' "$1" "${E2E_MOMENTS:-20}" "$E2E_SEED"
	[ "$status" -eq 0 ]
}

@test "kill -9 of the VMM at random moments leaves nothing" {
	kills krun-gpu-vmm
}

@test "kill -9 of the file worker at random moments leaves nothing" {
	kills krun-gpu-fs
}

@test "kill -9 of the GPU worker at random moments leaves nothing" {
	kills krun-gpu-gpu
}

@test "kill -9 of the render server at random moments leaves nothing" {
	kills virgl_render_se
}

@test "kill -9 of the command line at random moments leaves nothing" {
	kills krun-gpu
}

@test "podman sees a container whose VMM was killed as ended by SIGKILL, and removes it" {
	run host '
		note_all /root/before
		kp run -d --name shot --network none demo sleep 1000 > /dev/null
		kill -KILL "$(podman inspect -f "{{.State.Pid}}" shot)"
		podman wait shot
		podman rm shot > /dev/null
		same_as /root/before'
	[ "$status" -eq 0 ]
	[ "$output" = 137 ]
}
