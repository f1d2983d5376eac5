#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# On a host with AppArmor and its apparmor_parser, which the emulated host has when it is booted so:
#   up --append apparmor=1 --overlay "$(tests/rig/unpack trixie apparmor libapparmor1)"
load helpers

setup() {
	host '[ "$(cat /sys/module/apparmor/parameters/enabled)" = Y ] && [ -x /usr/sbin/apparmor_parser ]' ||
		skip "this host has no AppArmor"
	host 'mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security'
}

@test "the VMM is confined by the profile of the container, and works; an unknown one is refused" {
	run host '
		kp run -d --name confined --network none --memory 200m demo sleep 1000 > /dev/null
		podman inspect -f "{{.AppArmorProfile}}" confined
		cat /proc/$(podman inspect -f "{{.State.Pid}}" confined)/attr/current
		podman exec confined echo executed
		podman top confined args | tail -n 1
		podman rm -f -t 0 confined > /dev/null
		new_bundle /tmp/conf true
		edit /tmp/conf ".process.apparmorProfile = \"nonesuch\""
		krun-gpu run -b /tmp/conf conf < /dev/null 2>&1 || true
		rm -r /tmp/conf'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} == containers-default-* ]]
	[ "${lines[1]}" = "${lines[0]} (enforce)" ]
	[ "${lines[2]}" = executed ]
	[[ ${lines[3]} == "sleep 1000"* ]]
	[[ ${lines[4]} == *"process.apparmorProfile: cannot apply nonesuch to the VMM: No such file or directory" ]]
}
