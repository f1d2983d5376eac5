# SPDX-License-Identifier: GPL-2.0-or-later
#
# What the end-to-end tests share. tests/e2e/run starts them, and says where the tested host is.
# shellcheck shell=bash

bats_require_minimum_version 1.5.0
. "$(dirname "${BASH_SOURCE[0]}")/../../contrib/lib/common.sh"
. "$contrib_dir/lib/emulated.sh"

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
		"$rig/run" --timeout "${LIMIT:-240}" -- \
			bash -euo pipefail -c "$script" host "$@" 3>&-
	fi
}

# An emulated host of which a processor does not wake up any more is ended, and another one booted for
# the tests that follow.
revive_host() {
	[ -z "${E2E_LOCAL-}" ] || return 0
	! emulated_lives "$KRUN_GPU_RIG" || return 0
	echo "a processor of the emulated host has stopped: booting another host" | tee -a "$E2E_TRIES"
	"$rig/down" --name "$KRUN_GPU_RIG"
	bash "$E2E_BOOT" 3>&- > "$E2E_BOOT.log" 2>&1 || cat "$E2E_BOOT.log"
	! declare -F setup_file > /dev/null || setup_file
}

# one_sentence - $output is one line that says what is wrong, not a crash, and not empty.
one_sentence() {
	[ "$(printf '%s\n' "$output" | wc -l)" -eq 1 ] && [ ${#output} -gt 15 ] &&
		[[ $output == krun-gpu:* ]]
}

# failed_try - what a try that failed was about, for bats, which shows the last one's alone, and for the
# end of tests/e2e/run, which tells of the others too.
failed_try() {
	printf 'status %s, output:\n%s\n' "${status-}" "${output-}"
	{
		printf '%s: try %s failed after %s s, status %s, output:\n' "$BATS_TEST_DESCRIPTION" \
			"${BATS_TEST_TRY_NUMBER-}" "$SECONDS" "${status-}"
		tail -n 30 <<< "${output-}" | cut -c 1-500
	} >> "$E2E_TRIES"
}

# after_each - what every test of a file leaves, passed or not; a file that has such defines its own.
after_each() {
	:
}

teardown() {
	if [ -z "${BATS_TEST_COMPLETED-}" ]; then
		failed_try
		revive_host
		LIMIT=120 host 'clean_host' || true
	fi
	after_each
}
