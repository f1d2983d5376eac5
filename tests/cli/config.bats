#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Configurations broken field by field.
load common

@test "a thousand broken configurations are refused with a sentence each, and leave nothing" {
	needs_root
	maker=${KRUN_GPU%/*}/tests/guest/config_case
	[ -x "$maker" ] || skip "needs the build's tests/guest/config_case"
	mkdir "$work/cases"
	run unshare -m "$BATS_TEST_DIRNAME/config-cases.sh" "$KRUN_GPU" "$maker" \
		"$BATS_TEST_DIRNAME/../unit/config.json" "$work/cases" "${CONFIG_CASES:-500}" \
		"${CONFIG_SEED:-0}"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *" went as far as /dev/kvm, 0 bad" ]]
}
