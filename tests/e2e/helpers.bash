# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the end-to-end tests share. tests/e2e/run starts them, and says where the tested host is.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0

# QEMU's emulated SVM now and then saves the host's instruction pointer as the guest's (tests/rig/
# README.md): that guest hangs, resets or faults. A test that fails is tried twice more, on a cleaned
# host; three times is a failure. E2E_RETRIES says otherwise.
BATS_TEST_RETRIES=${E2E_RETRIES:-2}

# host SCRIPT [ARGUMENT]... - runs a bash script in the tested host, with prelude.sh before it.
# LIMIT is its limit in seconds. With E2E_LOCAL set, this machine is the tested host.
host() {
	local script=". $E2E_SHARE_INSIDE/prelude.sh; $1"
	shift

	if [ -n "${E2E_LOCAL-}" ]; then
		timeout "${LIMIT:-240}" bash -euo pipefail -c "$script" host "$@" 3>&-
	else
		"$E2E_RIG/run" --timeout "${LIMIT:-240}" -- \
			bash -euo pipefail -c "$script" host "$@" 3>&-
	fi
}

# An emulated host of which a processor does not wake up any more is ended, and another one booted for
# the tests that follow.
revive_host() {
	[ -z "${E2E_LOCAL-}" ] || return 0
	! timeout 120 "$E2E_RIG/run" --timeout 60 -- bash -c '
		for ((i = 0; i < $(nproc); i++)); do taskset -c $i true || exit 1; done' || return 0
	echo "a processor of the emulated host has stopped: booting another host"
	"$E2E_RIG/down" --name "$KRUN_GPU_RIG"
	bash "$E2E_BOOT" 3>&-
}

# one_sentence - $output is one line that says what is wrong, not a crash, and not empty.
one_sentence() {
	[ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ] && [ ${#output} -gt 15 ] &&
		[[ $output == krun-gpu:* ]]
}

# Bats shows the output of a test that failed; this is what it was about.
teardown() {
	[ -z "${BATS_TEST_COMPLETED-}" ] || return 0
	printf 'status %s, output:\n%s\n' "${status-}" "${output-}"
	LIMIT=120 host 'clean_host' || true
	revive_host
}
