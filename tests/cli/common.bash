# SPDX-License-Identifier: GPL-2.0-or-later
# What the command-line tests share. KRUN_GPU names the program (default: from PATH).
: "${KRUN_GPU:=krun-gpu}"

setup() {
	work=$(mktemp -d "${TMPDIR:-/tmp}/krun-gpu-cli-XXXXXX")
	state=$work/state
	bundle=$work/bundle
	mkdir -p "$bundle/rootfs"
	cd "$work"
}

# A test that leaves a container, or anything else in the state directory, has failed.
teardown() {
	cd /
	local left
	left=$(ls -A "$state" 2>/dev/null || true)
	rm -rf --one-file-system "$work"
	[ -z "$left" ] || { echo "left behind: $left"; return 1; }
}

krun() {
	"$KRUN_GPU" --root "$state" "$@"
}

# config [ARGUMENTS OF sed]: a good config.json in the bundle, changed by sed
config() {
	rm -f "$bundle/config.json"
	krun spec --bundle "$bundle"
	sed -i 's/"terminal": true/"terminal": false/' "$bundle/config.json"
	[ $# -eq 0 ] || sed -i "$@" "$bundle/config.json"
}

# fails SENTENCE COMMAND...: one line that holds SENTENCE, and a code that is not 0
fails() {
	local sentence=$1
	shift
	run "$@"
	echo "code $status: $output"
	[ "$status" -ne 0 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"$sentence"* ]]
}

# create_fails SENTENCE: `create` fails with it and leaves nothing behind
create_fails() {
	fails "$1" krun create --bundle "$bundle" c1
	[ -z "$(ls -A "$state" 2>/dev/null)" ]
}

# remember STATUS: the record of a container c1 whose VMM does not exist any more
remember() {
	mkdir -p "$state/c1"
	cat >"$state/c1/status.json" <<-END
	{ "id": "c1", "status": "$1", "bundle": "$bundle", "rootfs": "$bundle/rootfs",
	  "created": "2026-01-01T00:00:00Z", "owner": "root",
	  "processes": [ { "pid": 4194303, "start": 1 } ] }
	END
	config
	cp "$bundle/config.json" "$state/c1/config.json"
}

# remember_alive STATUS: the same, with a process for the VMM, $vmm, that is there but does not answer
remember_alive() {
	local stat

	remember "$1"
	sleep 1000 3>&- &
	vmm=$!
	read -r -a stat <"/proc/$vmm/stat"
	sed -i "s/\"pid\": 4194303, \"start\": 1/\"pid\": $vmm, \"start\": ${stat[21]}/" \
		"$state/c1/status.json"
}

needs_root() {
	[ "$(id -u)" -eq 0 ] || skip "needs root"
}
