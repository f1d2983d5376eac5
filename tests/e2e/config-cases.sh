#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs broken configurations for real: each gives a sentence, or a container that ends. Names those
# that do neither.
#
# Usage: config-cases.sh COUNT SEED
set -uo pipefail
. "$(dirname "$0")/prelude.sh"
export LC_ALL=C

count=$1
seed=$2
dir=/root/cases
bad=0
ran=0

complain() {
	bad=$((bad + 1))
	printf 'case %s (%s): %s\n' "$1" "$(head -c 300 "$dir/what")" "$2"
	head -c 1000 "$dir/err"
}

# What no configuration may bring about, whoever says so.
crashed() {
	grep -aqE 'ended by signal|VMM ended|panic|Oops|out of turn|Sanitizer|runtime error|not answer' \
		"$dir/err"
}

try() {
	local n=$1 code=0

	"$e2e/config_case" "$dir/good.json" "$n" > "$dir/config.json" 2> "$dir/what"
	timeout --kill-after=5 90 krun-gpu run -b "$dir" case < /dev/null > "$dir/out" 2> "$dir/err" ||
		code=$?
	if [ $code -ge 124 ] && [ $code -le 125 ]; then
		complain "$n" "it ended with $code"
	elif crashed; then
		complain "$n" "something broke"
	elif [ $code -eq 1 ] && [ ! -s "$dir/err" ]; then
		complain "$n" "nothing is said of why it failed"
	elif [ "$(grep -a '^krun-gpu' "$dir/err" | grep -avc '^krun-gpu: warning: ')" -gt 1 ]; then
		complain "$n" "it says more than one sentence"
	fi
	if [ -n "$(krun-gpu list -q)" ] || [ -n "$(ours)" ]; then
		complain "$n" "it left something: $(krun-gpu list -q) $(ours)"
		krun-gpu delete --force case
	fi
	[ "$(cat "$dir/out")" != works ] || ran=$((ran + 1))
}

# Cgroups above the one that was asked for are made, and stay, with any runtime.
remove_empty_cgroups() {
	find /sys/fs/cgroup -mindepth 1 -depth -type d -newer "$dir/good.json" \
		-exec rmdir {} + 2> /dev/null
}

main() {
	local total i

	# A file system whose mounts can be idmapped, and where nothing else is looked for.
	mkdir -p "$dir"
	mount -t tmpfs cases "$dir"
	new_bundle "$dir" true
	mkdir "$dir/vol"
	ln -s busybox "$dir/rootfs/bin/true" 2> /dev/null
	cp "$e2e/config.json" "$dir/good.json"
	touch "$dir"/{out,err,what,config.json.new}
	mkdir -p /run/krun-gpu # made once, and kept
	note_all /root/before
	total=$("$e2e/config_case" "$dir/good.json")
	for ((i = 0; i < count; i++)); do
		try $(((seed + i * (total / count)) % total))
	done
	remove_empty_cgroups
	same_as /root/before || bad=$((bad + 1))
	umount "$dir"
	rmdir "$dir"
	printf '%d cases, %d containers ran as they should, %d bad\n' "$count" $ran $bad
	[ $bad -eq 0 ] && [ $ran -gt 0 ]
}

main
