# SPDX-License-Identifier: GPL-2.0-or-later
#
# The emulated host with this checkout's krun-gpu and the demo image in it.
# shellcheck shell=bash

# emulated_config DIR - a tree with what an administrator would set there: its only Vulkan driver is
# lavapipe, which has to be allowed.
emulated_config() {
	mkdir -p "$1/etc/krun-gpu"
	echo 'software-gpu = yes' > "$1/etc/krun-gpu/krun-gpu.conf"
}

# emulated_up NAME INSTALLATION DEMO CONFIG [OPTION]... - boots it, or does nothing when it is up with
# the same trees; ends one that is up with others first.
emulated_up() {
	local name=$1 trees=(--overlay "$2" --overlay "$3" --overlay "$4")
	shift 4

	if ! "$rig/up" --name "$name" "${trees[@]}" "$@" 2>/dev/null; then
		"$rig/down" --name "$name"
		"$rig/up" --name "$name" "${trees[@]}" "$@"
	fi
}

# emulated_lives NAME - whether each of its processors still runs what it is given.
emulated_lives() {
	timeout 120 "$rig/run" --name "$1" --timeout 30 -- bash -c '
		for ((i = 0; i < $(nproc); i++)); do taskset -c $i true || exit 1; done' < /dev/null
}
