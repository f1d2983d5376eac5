#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Gives broken configurations to `krun-gpu create` on a machine that has no KVM: each has to be refused
# with one sentence, within some seconds, and to leave nothing. Names those that are not.
#
# Usage: config-cases.sh PROGRAM MAKER GOOD DIR COUNT SEED
#   PROGRAM  krun-gpu
#   MAKER    tests/guest/config_case
#   GOOD     the configuration that is broken
#   DIR      an empty directory to work in
#   COUNT    how many with one value replaced, and how many with several
#   SEED     where to begin
set -uo pipefail
export LC_ALL=C

program=$1 maker=$2 good=$3 dir=$4 count=$5 seed=$6
bad=0
reached=0

# A /dev without KVM, for this process and its children.
hide_kvm() {
	touch "$dir/null"
	mount --bind /dev/null "$dir/null" && mount -t tmpfs dev /dev && touch /dev/null &&
		mount --bind "$dir/null" /dev/null
}

complain() {
	bad=$((bad + 1))
	printf 'case %s (%s): %s\n' "$1" "$(head -c 300 "$dir/what")" "$2"
	head -c 1000 "$dir/out"
}

try() {
	local n=$1 code=0 lines

	"$maker" "$good" "$n" > "$dir/bundle/config.json" 2> "$dir/what" || exit 2
	timeout --kill-after=2 20 "$program" --root "$dir/state" create --bundle "$dir/bundle" fuzz \
		< /dev/null > "$dir/out" 2>&1 || code=$?
	lines=$(grep -av '^krun-gpu: warning: ' "$dir/out" | wc -l)
	if [ $code -ne 1 ]; then
		complain "$n" "it ended with $code"
	elif [ "$lines" -ne 1 ] || ! grep -aqE '^krun-gpu: .{8}' "$dir/out"; then
		complain "$n" "it does not say one sentence but $lines"
	elif [ "$(stat -c %s "$dir/out")" -gt 20000 ] || grep -aq '[[:cntrl:]]' "$dir/out"; then
		complain "$n" "what it says is too long, or has control characters"
	elif [ -n "$(ls -A "$dir/state" 2> /dev/null)" ]; then
		complain "$n" "it left $(ls "$dir/state")"
		rm -rf "$dir/state"
	fi
	! grep -aq '/dev/kvm: this host offers no KVM' "$dir/out" || reached=$((reached + 1))
}

main() {
	local total i

	hide_kvm || exit 2
	mkdir -p "$dir"/bundle/{rootfs,vol}
	total=$("$maker" "$good") || exit 2
	for ((i = 0; i < count; i++)); do
		try $(((seed + i * total / count) % total))
		try $((total + seed + i))
	done
	printf '%d cases, %d went as far as /dev/kvm, %d bad\n' $((2 * count)) $reached $bad
	[ $bad -eq 0 ] && [ $reached -gt $((count / 20)) ]
}

main
