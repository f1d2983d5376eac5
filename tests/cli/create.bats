#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
# Everything that `create` refuses: one sentence, a code, and nothing left behind.
load common

@test "a bundle that is not there" {
	fails "cannot open the bundle $work/nowhere: No such file" \
		krun create --bundle "$work/nowhere" c1
	[ ! -e "$state" ]
}

@test "config.json is missing" {
	create_fails "cannot read config.json: No such file or directory"
}

@test "config.json is malformed" {
	for text in '' '{' 'null' '[]' '{"ociVersion": "1.0.2",}' '{"ociVersion": "1.0.2"} x'; do
		printf '%s' "$text" >"$bundle/config.json"
		create_fails "config.json"
	done
	head -c 200000 /dev/zero | tr '\0' '[' >"$bundle/config.json"
	create_fails "nested too deep"
	head -c 100 /dev/urandom >"$bundle/config.json"
	create_fails "config.json"
}

@test "config.json is no regular file" {
	mkfifo "$bundle/config.json"
	create_fails "config.json"
	rm "$bundle/config.json"
	mkdir "$bundle/config.json"
	create_fails "cannot read config.json"
}

@test "wrong types are named" {
	config 's/"cwd": "\/"/"cwd": 7/'
	create_fails "process.cwd: expected a string"
	config 's/"args": \[ "sh" \]/"args": [ "sh", 1 ]/'
	create_fails "process.args[1]: expected a string"
	config 's/"readonly": true/"readonly": "yes"/'
	create_fails "root.readonly: expected true or false"
	config 's/"uid": 0/"uid": "root"/'
	create_fails "process.user.uid: expected a number"
}

@test "a version that is not ours" {
	config 's/"ociVersion": "1.0.2"/"ociVersion": "2.0.0"/'
	create_fails "ociVersion: 2.0.0 is not supported"
	config '/ociVersion/d'
	create_fails "ociVersion: missing"
}

@test "a rootfs that is not there, or is a file" {
	rmdir "$bundle/rootfs"
	config
	create_fails "root.path: $bundle/rootfs: No such file or directory"
	touch "$bundle/rootfs"
	create_fails "root.path: $bundle/rootfs is not a directory"
}

@test "ids" {
	config
	for id in a/b ../x . .. 'a b' '' /; do
		fails "invalid container id" krun create --bundle "$bundle" "$id"
	done
	[ ! -e "$state" ]
}

@test "what a microVM cannot honour is refused by its name" {
	config 's/{ "type": "pid" }/{ "type": "user" }/'
	create_fails "linux.uidMappings: missing"
	config 's/{ "type": "ipc" }/{ "type": "ipc", "path": "\/proc\/1\/ns\/ipc" }/'
	create_fails "cannot join the ipc namespace"
	config 's/"resources": {/"devices": [ { "path": "\/dev\/null", "type": "b", "major": 8, "minor": 0 } ], &/'
	create_fails "linux.devices[0]: /dev/null (b 8:0) is a device of the host"
	config 's/"destination": "\/proc", "type": "proc"/"destination": "\/proc", "type": "xfs"/'
	create_fails "mounts[0].type"
	config 's/"hostname"/"hooks": { "startContainer": [ { "path": "bin\/true" } ] }, &/'
	create_fails "hooks.startContainer[0].path: expected an absolute path"
	config
	fails "--preserve-fds: a file descriptor" \
		krun create --preserve-fds 1 --bundle "$bundle" c1
}

@test "what is asked for in vain is said once, and only when the container is made" {
	config 's/"bounding": \[/& "CAP_NO_SUCH",/; s/"namespaces"/"mountLabel": "a:b:c", &/
		s/{ "destination": "\/proc"/{ "destination": "\/x", "type": "bind", "source": "\/no\/such" }, &/'
	NOTIFY_SOCKET=/n LISTEN_FDS=2 run krun run --bundle "$bundle" c1
	echo "$output"
	[ "$status" -ne 0 ]
	for sentence in "process.capabilities.bounding: unknown capability CAP_NO_SUCH" \
		"NOTIFY_SOCKET is set and not passed on" "LISTEN_FDS is set and not passed on"; do
		[ "$(grep -c "warning: $sentence" <<< "$output")" -eq 1 ]
	done
	[ -e /sys/fs/selinux/enforce ] || [[ "$output" == *"warning: linux.mountLabel: "* ]]
	remember stopped
	cp "$bundle/config.json" "$state/c1/config.json"
	sed -i 's/"bounding": \[/& "CAP_NO_SUCH",/' "$state/c1/config.json"
	[ -z "$(NOTIFY_SOCKET=/n krun state c1 2>&1 >/dev/null)" ]
	[ -z "$(NOTIFY_SOCKET=/n krun delete c1 2>&1)" ]
}

@test "a mount whose source is not there" {
	config 's/{ "destination": "\/proc"/{ "destination": "\/x", "type": "bind", "source": "\/no\/such" }, &/'
	create_fails "mounts[0].source: /no/such: No such file or directory"
}

@test "no /dev/kvm" {
	needs_root
	config
	touch "$work/null"
	run unshare -m bash -c '
		mount --bind /dev/null "$1/null" && mount -t tmpfs dev /dev && touch /dev/null &&
		mount --bind "$1/null" /dev/null && exec "$2" --root "$3" create --bundle "$4" c1' \
		bash "$work" "$KRUN_GPU" "$state" "$bundle"
	echo "$output"
	[ "$status" -eq 1 ]
	[ "${#lines[@]}" -eq 1 ]
	[[ "$output" == *"/dev/kvm: this host offers no KVM"*"No such file or directory" ]]
	[ ! -e "$state" ]
}

@test "a second create of an id" {
	[ -r /dev/kvm ] || skip "needs /dev/kvm"
	remember stopped
	fails "" krun create --bundle "$bundle" c1
	[[ "$output" == *"container c1 already exists" || "$output" == *"no guest kernel"* ||
	   "$output" == *"guest agent"* ]]
	krun delete c1
}

@test "run refuses what create refuses" {
	fails "cannot read config.json" krun run --bundle "$bundle" c1
	config 's/"cwd": "\/"/"cwd": "x"/'
	fails "process.cwd: expected an absolute path" krun run --bundle "$bundle" c1
	[ ! -e "$state" ]
}
