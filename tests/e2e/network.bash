# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the tests of the network share, beside network.sh, which runs in the tested host.
# shellcheck shell=bash

# both SCRIPT - runs it for each runtime; both succeed, and say the same, which is then $output.
both() {
	local with_crun

	run host "RT=crun; . $E2E_SHARE_INSIDE/network.sh; $1"
	[ "$status" -eq 0 ]
	with_crun=$output
	run host "RT=krun-gpu; . $E2E_SHARE_INSIDE/network.sh; $1"
	[ "$status" -eq 0 ]
	[ "$output" = "$with_crun" ] || { echo "crun: $with_crun"; false; }
}

krun() {
	run host "RT=krun-gpu; . $E2E_SHARE_INSIDE/network.sh; $1"
}
