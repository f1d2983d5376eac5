#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What cannot be: each gives one clear sentence and a code that is not zero, and leaves nothing.
load helpers

setup_file() {
	load helpers
	host 'rm -rf /root/bad; new_bundle /root/bad true'
}

setup() {
	host 'cp /root/bad/config.json /root/good.json; note_all /root/before'
}

# refused SCRIPT - runs it; it has to fail with one sentence, and leave nothing; then checks whether
# the sentence has each of the words given.
refused() {
	local word
	run host "code=0; ($1) || code=\$?; cp /root/good.json /root/bad/config.json
		same_as /root/before; [ \$code -ne 0 ]"
	shift
	[ "$status" -eq 0 ] || return 1
	one_sentence || return 1
	for word in "$@"; do
		[[ $output == *"$word"* ]] || return 1
	done
}

@test "config.json that is not there" {
	refused 'rm /root/bad/config.json; krun-gpu run -b /root/bad bad1' config.json
}

@test "config.json that is no JSON" {
	refused 'echo "{ \"ociVersion\": " > /root/bad/config.json; krun-gpu run -b /root/bad bad2' \
		config.json
}

@test "a value of the wrong type" {
	refused 'edit /root/bad ".process.args[0] = 7"; krun-gpu run -b /root/bad bad3' 'process.args[0]'
}

@test "a version that is not supported" {
	refused 'edit /root/bad ".ociVersion = \"9.0.0\""; krun-gpu run -b /root/bad bad4' ociVersion
}

@test "a rootfs that is not there" {
	refused 'edit /root/bad ".root.path = \"elsewhere\""; krun-gpu run -b /root/bad bad5' elsewhere
}

@test "a bundle that is not there" {
	refused 'krun-gpu run -b /root/no-bundle bad6' /root/no-bundle
}

@test "an id that is unknown" {
	for command in start state "kill" delete; do
		refused "krun-gpu $command nobody" nobody
	done
}

@test "an id with a slash, or that is .. or empty" {
	refused 'krun-gpu run -b /root/bad a/b' 'a/b'
	refused 'krun-gpu run -b /root/bad ../x' '../x'
	refused 'krun-gpu run -b /root/bad ..' '..'
	refused 'krun-gpu run -b /root/bad ""'
}

@test "/dev/kvm that is not there" {
	refused 'unshare -m sh -c "mount --bind /dev/null /dev/kvm; krun-gpu run -b /root/bad bad7"' \
		/dev/kvm
}

@test "a second create of the same id, which leaves the first as it was" {
	run host '
		edit /root/bad ".process.args = [\"sleep\", \"1000\"]"
		krun-gpu create -b /root/bad twice < /dev/null > /dev/null 2>&1
		krun-gpu create -b /root/bad twice < /dev/null 2>&1 | tail -n 5 || true
		krun-gpu start twice
		krun-gpu state twice | jq -r .status
		krun-gpu delete --force twice
		cp /root/good.json /root/bad/config.json
		same_as /root/before'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
	[[ ${lines[0]} == krun-gpu:*twice* ]]
	[ "${lines[1]}" = running ]
}

@test "delete of one that was created and never started needs no --force" {
	run host '
		edit /root/bad ".process.args = [\"sleep\", \"1000\"]"
		krun-gpu create -b /root/bad unused < /dev/null > /dev/null 2>&1
		krun-gpu delete unused
		cp /root/good.json /root/bad/config.json
		same_as /root/before'
	[ "$status" -eq 0 ]
	[ -z "$output" ]
}

@test "start of one that runs, delete of one that runs" {
	run host '
		edit /root/bad ".process.args = [\"sleep\", \"1000\"]"
		krun-gpu create -b /root/bad runs < /dev/null > /dev/null 2>&1
		krun-gpu start runs
		krun-gpu start runs 2>&1 && exit 1
		krun-gpu delete runs 2>&1 && exit 1
		krun-gpu delete --force runs
		cp /root/good.json /root/bad/config.json
		same_as /root/before'
	[ "$status" -eq 0 ]
	[ "${#lines[@]}" -eq 2 ]
}
