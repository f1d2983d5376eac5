#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Containers that do not exist, have stopped, or were left behind half made.
load common

@test "an unknown id" {
	for command in start state pause resume ps delete; do
		fails "container nobody does not exist" krun "$command" nobody
	done
	fails "container nobody does not exist" krun kill nobody TERM
	fails "container nobody does not exist" krun exec nobody true
}

@test "delete --force of an unknown id is no error" {
	run krun delete --force nobody
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "an id with a slash" {
	mkdir -p "$work/victim"
	touch "$work/victim/file"
	for command in start state pause resume ps delete "delete --force" kill; do
		# shellcheck disable=SC2086
		fails "invalid container id" krun $command ../victim
	done
	[ -e "$work/victim/file" ]
}

@test "a container that has stopped" {
	remember running
	run krun state c1
	[ "$status" -eq 0 ]
	[[ "$output" == *'"status": "stopped"'* ]]
	[[ "$output" == *'"pid": 0'* ]]
	[[ "$(krun list)" == *c1*stopped* ]]
	[ "$(krun list -q)" = c1 ]
	fails "container not running: c1: No such process" krun kill c1
	fails "container c1 is stopped, not created" krun start c1
	fails "container c1 is not running" krun exec c1 true
	fails "container c1 is stopped, not running" krun pause c1
	krun delete c1
	[ ! -e "$state/c1" ]
}

@test "one that was created and never started is deleted, one that runs is not" {
	remember_alive running
	fails "container c1 is running, not stopped: use --force" krun delete c1
	sed -i 's/"status": "running"/"status": "paused"/' "$state/c1/status.json"
	fails "container c1 is paused, not stopped: use --force" krun delete c1
	kill -0 $vmm
	sed -i 's/"status": "paused"/"status": "created"/' "$state/c1/status.json"
	krun delete c1
	[ ! -e "$state/c1" ]
	code=0
	wait $vmm || code=$?
	[ $code -eq 137 ]
}

@test "exec into one that is paused" {
	remember_alive paused
	fails "container c1 is paused: resume it first" krun exec c1 true
	krun delete --force c1
}

@test "kill of one whose VMM ends just now" {
	remember_alive running
	fails "container not running: c1: No such process" krun kill c1
	if command -v python3 >/dev/null; then
		python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' \
			"$state/c1/control.sock"
		fails "container not running: c1: No such process" krun kill c1 TERM
	fi
	krun delete --force c1
}

@test "kill --regex and delete --regex" {
	for id in web-1 web-2 db-1; do
		remember stopped
		mv "$state/c1" "$state/$id"
	done
	krun kill --regex '^nothing' TERM
	fails "container not running: web-" krun kill --regex '^web-' TERM
	fails "--regex: (: Unmatched ( or \\(" krun delete --regex '('
	krun delete --regex '^web-[0-9]+$'
	[ "$(krun list -q)" = db-1 ]
	krun delete -r .
	[ -z "$(krun list -q)" ]
}

@test "an unknown signal" {
	remember running
	fails "there is no signal FOO" krun kill c1 FOO
	krun delete c1
}

@test "what a killed create left behind" {
	remember creating
	[ "$(krun list -q)" = "" ]
	fails "container c1 is not created yet" krun kill c1
	krun delete c1
	mkdir -p "$state/c1"
	[ "$(krun list -q)" = "" ]
	krun delete --force c1
	[ ! -e "$state/c1" ]
}

@test "a record that is damaged can still be removed" {
	mkdir -p "$state/c1"
	echo '{ "status": 7' >"$state/c1/status.json"
	fails "status.json is not valid JSON" krun state c1
	fails "status.json is not valid JSON" krun delete c1
	krun delete --force c1
	[ ! -e "$state/c1" ]
}

@test "poststop hooks run once, with the state on their standard input" {
	remember running
	sed -i "s|\"hostname\"|\"hooks\": { \"poststop\": [ { \"path\": \"/bin/sh\", \"args\": \
[ \"sh\", \"-c\", \"cat >>$work/hook\" ] } ] }, &|" "$state/c1/config.json"
	krun delete c1
	[ "$(grep -c '"status": "stopped"' "$work/hook")" -eq 1 ]
	grep -q '"id": "c1"' "$work/hook"
}
