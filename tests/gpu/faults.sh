#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Run by vtest_end: ends or stops a process of the GPU's in the middle of a computation, and says how
# the application fared.
#
# Usage: faults.sh COMPUTE worker|server|child|all|application SIGNAL
# "child" is the process of the newest context, "all" the server and every context.
#
# Prints "CODE SECONDS": the application's exit code, and how long after the signal it came.
set -euo pipefail
compute=$1 what=$2 signal=$3

"$compute" 256 >&2 & application=$!
sleep 0.3 # in the midst of it
case $what in
worker) pid=$KRUN_GPU_WORKER_PID ;;
server) pid=$KRUN_GPU_RENDER_SERVER_PID ;;
child) pid=$(pgrep -n -P "$KRUN_GPU_RENDER_SERVER_PID") ;;
all) pid="$KRUN_GPU_RENDER_SERVER_PID $(pgrep -P "$KRUN_GPU_RENDER_SERVER_PID" | tr '\n' ' ')" ;;
application) pid=$application ;;
*) exit 2 ;;
esac
start=$SECONDS
# shellcheck disable=SC2086 # several
kill -"$signal" $pid
code=0
wait $application || code=$?
echo "$code $((SECONDS - start))"
