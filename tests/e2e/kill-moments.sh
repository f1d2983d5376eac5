#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Kills one process of a container again and again, each time at another moment between its birth and
# somewhat after the container's process began, and looks for what stayed behind.
#
# Usage: kill-moments.sh VICTIM MOMENTS SEED
#   VICTIM  the name of the process, as in /proc/PID/comm
set -euo pipefail
. "$(dirname "$0")/prelude.sh"

victim=$1
moments=$2
RANDOM=$3
bundle=/root/kill-$victim
id=kill-$victim

milliseconds() {
	local now=${EPOCHREALTIME/[.,]/}
	echo $((now / 1000))
}

# The container's process says so when it began; input stays open, so that only a kill ends it.
begin() {
	: > "$bundle/out"
	krun-gpu run -b "$bundle" "$id" < /dev/zero > "$bundle/out" 2> "$bundle/err" &
	runner=$!
}

# How long an undisturbed start takes.
measure() {
	local start

	start=$(milliseconds)
	begin
	until_true 60 grep -q began "$bundle/out"
	span=$((($(milliseconds) - start) * 5 / 4))
	krun-gpu delete --force "$id"
	wait $runner || true
	same_as "$bundle/before"
}

# pid_of_victim - the command line is the one that was started here; the others have their names.
pid_of_victim() {
	if [ "$victim" = krun-gpu ]; then
		echo $runner
	else
		pgrep -o -x "$victim"
	fi
}

kill_once() {
	local delay=$((RANDOM * span / 32768)) pid

	begin
	until pid=$(pid_of_victim); do
		kill -0 $runner 2>/dev/null || { cat "$bundle/err"; return 1; }
		sleep 0.01
	done
	sleep "$(printf '%d.%03d' $((delay / 1000)) $((delay % 1000)))"
	kill -KILL "$pid" 2>/dev/null || { echo "it had ended by itself"; cat "$bundle/err"; return 1; }
	case $victim in
	krun-gpu) ;;
	# A container whose GPU is lost goes on, and one that was not created yet may fail.
	krun-gpu-gpu | virgl_render_se) until_true 60 begun_or_ended ;;
	*) until_true 30 ended ;;
	esac
	krun-gpu delete --force "$id"
	wait $runner 2>/dev/null || true
	same_as "$bundle/before" || { echo "left behind after ${delay} ms"; return 1; }
}

ended() {
	! kill -0 $runner 2>/dev/null
}

begun_or_ended() {
	ended || grep -q began "$bundle/out"
}

main() {
	local i

	new_bundle "$bundle" sh -c 'echo began; exec sleep 1000'
	with_gpu "$bundle"
	: > "$bundle/out"
	mkdir -p /run/krun-gpu # made once, and kept
	note_all "$bundle/before"
	measure
	for ((i = 1; i <= moments; i++)); do
		kill_once
	done
	rm -rf "$bundle"
}

main
