#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The emulated host keeps its word: what tests/rig/run says about a command is what the command did.

bats_require_minimum_version 1.5.0

setup_file() {
	rig=$(cd "$BATS_TEST_DIRNAME" && pwd)
	export rig KRUN_GPU_RIG=bats-$$
	mkdir -p "$BATS_FILE_TMPDIR"/{share,one,two}/usr/local/bin
	echo one > "$BATS_FILE_TMPDIR/one/usr/local/bin/which"
	echo two > "$BATS_FILE_TMPDIR/two/usr/local/bin/which"
	cc -O2 -static -o "$BATS_FILE_TMPDIR/share/kvm-selftest" "$rig/kvm-selftest.c"
	"$rig/up" --mem 2 --share "$BATS_FILE_TMPDIR/share" \
		--overlay "$BATS_FILE_TMPDIR/one" --overlay "$BATS_FILE_TMPDIR/two" 3>&-
}

teardown_file() {
	"$rig/down"
}

@test "the command's exit code is run's, 255 and signals too" {
	for code in 0 1 7 124 125 255; do
		run "$rig/run" -- sh -c "exit $code"
		[ "$status" -eq $code ]
	done
	run "$rig/run" -- sh -c 'kill -KILL $$'
	[ "$status" -eq 137 ]
	run -127 "$rig/run" -- there-is-no-such-command
}

@test "arguments arrive as they are" {
	run "$rig/run" -- printf '<%s>' 'a b' "c'd" '$x' '' '*'
	[ "$output" = "<a b><c'd><\$x><><*>" ]
}

@test "output, error and input are apart and whole" {
	head -c 3000000 /dev/urandom > "$BATS_TEST_TMPDIR/in"
	"$rig/run" -- sh -c 'cat; echo no >&2' < "$BATS_TEST_TMPDIR/in" \
		> "$BATS_TEST_TMPDIR/out" 2> "$BATS_TEST_TMPDIR/err"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/err")" = no ]
}

@test "runs at the same time do not wait for each other" {
	start=$SECONDS
	for i in 1 2 3 4 5 6; do
		"$rig/run" -- sleep 5 3>&- &
	done
	wait
	[ $((SECONDS - start)) -lt 20 ]
}

@test "--timeout ends a command" {
	run "$rig/run" --timeout 1 -- sleep 100
	[ "$status" -eq 124 ]
}

@test "an interrupted run ends its command" {
	timeout 3 "$rig/run" -- sleep 7654 3>&- || true
	run "$rig/run" --timeout 20 -- sh -c 'while pgrep -x sleep; do sleep 0.5; done'
	[ "$status" -eq 0 ]
}

@test "the share is writable, a later overlay lies over an earlier one" {
	"$rig/run" -- sh -c 'cat /usr/local/bin/which > /mnt/share/written; chown 12:34 /mnt/share/written'
	[ "$(cat "$BATS_FILE_TMPDIR/share/written")" = two ]
	[ "$(stat -c %u:%g "$BATS_FILE_TMPDIR/share/written")" = 12:34 ]
}

@test "its KVM runs guest kernel code" {
	"$rig/run" --timeout 60 -- /mnt/share/kvm-selftest
}

@test "up again with other options is refused, with none it is nothing to do" {
	run "$rig/up" --mem 3
	[ "$status" -eq 125 ]
	"$rig/up"
}

@test "a host that dies is reported" {
	pid=$(cat "${XDG_RUNTIME_DIR:-/tmp}/krun-gpu-rig-$(id -u)/$KRUN_GPU_RIG/pid")
	(sleep 2; kill -KILL "$pid") 3>&- &
	run "$rig/run" -- sleep 60
	[ "$status" -eq 125 ]
	[[ $output == *died* ]]
	run "$rig/run" -- true
	[ "$status" -eq 125 ]
}
