#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The lives of a container, profiles of the user's, and configurations that are broken.
load helpers

@test "start, attach, restart, rename, commit, diff: a container has several lives" {
	LIMIT=300 run host '
		kp create --name lives -i --network none demo sh -c "cat; echo x >> /root/lives; wc -l < /root/lives" \
			> /dev/null
		echo one | podman start -a -i lives
		echo two | podman start -a -i lives
		podman rename lives other
		podman commit -q other lives-image > /dev/null
		podman rm other > /dev/null
		kprun lives-image wc -l /root/lives
		podman rmi lives-image > /dev/null
		kp run -d --name lives --network none demo sh -c "echo up; exec sleep 1000" > /dev/null
		podman restart -t 0 lives > /dev/null
		podman logs lives
		podman rm -f -t 0 lives > /dev/null
		kp container checkpoint lives 2>&1 || true'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:7}" = "one 1 two 2 2 /root/lives up up" ]
}

@test "a seccomp profile, capabilities and groups of the user's choosing hold" {
	run host '
		echo "{\"defaultAction\": \"SCMP_ACT_ALLOW\", \"syscalls\": [
			{\"names\": [\"mkdir\", \"mkdirat\"], \"action\": \"SCMP_ACT_ERRNO\", \"errnoRet\": 28},
			{\"names\": [\"sync\"], \"action\": \"SCMP_ACT_KILL_PROCESS\"}]}" > /tmp/e2e-profile.json
		kprun --security-opt seccomp=/tmp/e2e-profile.json --group-add 77 --cap-drop all \
			--cap-add chown demo sh -c "
			mkdir /tmp/a 2>&1; sync; echo \$?; id -G
			touch /tmp/f; chmod 600 /tmp/f; chown 5 /tmp/f; stat -c %u /tmp/f
			(: > /tmp/f) 2> /dev/null || echo denied"
		rm /tmp/e2e-profile.json'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == *"No space left on device" ]]
	[[ ${lines[*]} == *" 159 "* ]]
	[[ ${lines[*]} == *"0 77 5 denied" ]]
}

# Configurations broken field by field (tests/unit/config_cases.h), those that need a machine included.
# E2E_CASES says how many; each that is accepted costs a container's start.
@test "a broken configuration gives a sentence or a container that ends, and leaves nothing" {
	LIMIT=$((${E2E_CASES:-60} * 20 + 120)) run host '"$e2e"/config-cases.sh "$@"' \
		"${E2E_CASES:-60}" "${E2E_SEED:-17}"
	[ "$status" -eq 0 ]
	[[ $output == *" cases, "*" containers ran as they should, 0 bad" ]]
}
