#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Guest kernels other than the one that is installed with the runtime.
load helpers

@test "libkrunfw's kernel boots containers when it is all there is" {
	[ -z "${E2E_LOCAL-}" ] || skip "it would move this machine's guest kernel away"
	LIMIT=400 run host '
		ours=/usr/share/krun-gpu/vmlinux
		back() { mv $ours.away $ours; rm -f /usr/lib/libkrunfw.so.5; }
		before=$(kprun demo uname -r)
		mv $ours $ours.away
		trap back EXIT
		! kprun demo true 2> /root/none || exit 1
		grep -q "there is no guest kernel" /root/none
		cp "$e2e/libkrunfw.so.5" /usr/lib/
		after=$(kprun demo sh -c "uname -r; echo file > /root/w && cat /root/w; exit 0")
		[ "$before" != "${after%%[[:space:]]*}" ]
		code=0
		kprun demo sh -c "exit 7" || code=$?
		[ $code -eq 7 ]
		printf "%s\n" "$after"'
	[ "$status" -eq 0 ]
	[[ ${lines[0]} =~ ^[0-9]+\.[0-9]+ ]]
	[ "${lines[1]}" = file ]
}

@test "a library that the configuration names is taken before the installed kernel" {
	[ -z "${E2E_LOCAL-}" ] || skip "it would change this machine's configuration"
	run host '
		conf=/etc/krun-gpu/krun-gpu.conf
		cp $conf /root/conf
		trap "cp /root/conf $conf" EXIT
		echo "kernel = $e2e/libkrunfw.so.5" >> $conf
		kprun demo uname -r
		trap - EXIT
		cp /root/conf $conf
		kprun demo uname -r'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" != "${lines[1]}" ]
}
