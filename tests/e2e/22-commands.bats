#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What engines read of the commands, and which processes they reach.
load helpers

after_each() {
	LIMIT=120 host 'krun-gpu delete --force commands; rm -rf /tmp/commands' || true
}

@test "list, ps and events say in JSON what there is" {
	run host '
		new_bundle /tmp/commands sleep 1000
		krun-gpu run -d -b /tmp/commands --pid-file /tmp/commands/pid commands \
			< /dev/null > /dev/null 2>&1
		pid=$(cat /tmp/commands/pid)
		krun-gpu list -f json | jq -c ".[] | select(.id == \"commands\") |
			[.pid == $pid, .status, .bundle, .owner, (.created | startswith(\"20\"))]"
		krun-gpu ps -f json commands | jq -c "[length > 1, .[0] == $pid, all(type == \"number\")]"
		krun-gpu events --stats commands | jq -c "[.type, .id, .data.pids.current,
			.data.memory.usage.usage > 1000000, .data.cpu.usage.total > 0]"'
	[ "$status" -eq 0 ]
	[ "${lines[0]}" = '[true,"running","/tmp/commands","root",true]' ]
	[ "${lines[1]}" = '[true,true,true]' ]
	[ "${lines[2]}" = '["stats","commands",1,true,true]' ]
}

@test "kill reaches the first process of a container, kill --all each" {
	run host '
		new_bundle /tmp/commands sh -c "trap \"echo first\" USR1
			(trap \"echo second; exit\" USR1; echo ready; while :; do sleep 0.1; done) &
			while :; do sleep 0.1; done"
		out=/tmp/commands/out
		krun-gpu run -d -b /tmp/commands commands < /dev/null > $out 2> /dev/null
		said() {
			[ "$(grep -c $2 $out)" = $1 ]
		}
		stopped() {
			[ "$(krun-gpu state commands | jq -r .status)" = stopped ]
		}
		until_true 20 said 1 ready
		krun-gpu kill commands USR1
		until_true 20 said 1 first
		said 0 second
		krun-gpu kill --all commands USR1
		until_true 20 said 1 second
		until_true 20 said 2 first
		krun-gpu kill --all commands KILL
		until_true 20 stopped
		krun-gpu delete commands
		sort $out'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "first first ready second" ]
}

@test "events and stats end with the container, and when it is deleted" {
	run host '
		new_bundle /tmp/commands sleep 1000
		krun-gpu run -d -b /tmp/commands commands < /dev/null > /dev/null 2>&1
		krun-gpu events --interval 3600 commands > /dev/null & events=$!
		krun-gpu stats --interval 1 commands > /dev/null & stats=$!
		sleep 1.5; kill -0 $events $stats && echo follow
		krun-gpu delete --force commands
		until_true 10 eval "! kill -0 $events 2> /dev/null && ! kill -0 $stats 2> /dev/null"
		wait $events; echo "$?"; wait $stats; echo "$?"'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "follow 0 0" ]
}
