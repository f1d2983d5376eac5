#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# podman run -it at a terminal.
load helpers

@test "-it gives a terminal, whose size follows, with job control and control keys" {
	run host '
		"$e2e"/pty size=30x100 expect="# " type="stty size" expect="30 100" \
			size=41x123 type="sleep 1; stty size" expect="41 123" \
			type=tty expect=/dev/pts/0 \
			type="echo as\"\"leep; sleep 1000" expect=asleep key=3 expect="# " \
			type="echo after\$?" expect=after130 \
			type="exit 6" -- \
			podman --runtime krun-gpu run --rm --network none -it demo bash --norc'
	[ "$status" -eq 6 ]
}

@test "end of input at the terminal ends the process, and nothing stays" {
	run host '
		all_gone 20
		"$e2e"/pty expect="# " type="echo st\"\"art; exec cat" expect=start \
			type=typed expect=typed expect=typed key=4 -- \
			podman --runtime krun-gpu run --rm --network none -it demo bash --norc
		all_gone 20'
	[ "$status" -eq 0 ]
}

@test "exec -it has a terminal of its own" {
	run host '
		kp run -d --name terminal --network none demo sleep 1000 > /dev/null
		code=0
		"$e2e"/pty size=22x77 expect="# " type="stty size" expect="22 77" type="exit 4" -- \
			podman exec -it terminal bash --norc || code=$?
		podman rm -f -t 0 terminal > /dev/null
		exit $code'
	[ "$status" -eq 4 ]
}
