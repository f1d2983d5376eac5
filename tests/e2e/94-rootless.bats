#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A user without root, in the group kvm.
load helpers

# What the user's shell runs has prelude.sh before it, too.
prepare='
	id -u walter > /dev/null 2>&1 || useradd -m -s /bin/bash -G kvm walter
	grep -q walter /etc/subuid || { echo walter:200000:65536 >> /etc/subuid
		echo walter:200000:65536 >> /etc/subgid; }
	uid=$(id -u walter); install -d -o walter -g walter -m 700 /run/user/$uid
	as_user() { setpriv --reuid walter --regid walter --init-groups env -i HOME=/home/walter \
		USER=walter PATH="$PATH" XDG_RUNTIME_DIR=/run/user/$uid e2e="$e2e" \
		bash -euo pipefail -c "cd; . $e2e/prelude.sh; $1"; }
'

teardown() {
	[ -n "${BATS_TEST_COMPLETED-}" ] || printf 'status %s, output:\n%s\n' "${status-}" "${output-}"
	LIMIT=120 host "$prepare"'as_user "podman rm -f -t 0 -a || true" > /dev/null 2>&1; clean_host' || true
}

@test "podman: owners of files follow the user's mappings; exec, limits without a cgroup, the end" {
	run host "$prepare"'
		as_user "
			rm -rf b vol; new_bundle b true; mkdir vol; echo x > vol/f
			cp /usr/bin/busybox b/rootfs/bin/; ln -sf busybox b/rootfs/bin/{stat,chown,touch} 2> /dev/null ||
				for a in stat chown touch; do ln -sf busybox b/rootfs/bin/\$a; done
			kp run -d --name less --network none -v ~/vol:/vol --rootfs ~/b/rootfs sh -c \
				\"id -u; stat -c %u:%g /vol/f; touch /vol/g; chown 5:6 /vol/g; exec sleep 1000\" > /dev/null
			until_true 20 test -e vol/g; until_true 20 eval \"[ \\\$(podman logs less | wc -l) = 2 ]\"
			podman logs less
			podman exec -u 9:9 less id -u
			podman exec less cat /proc/sys/kernel/osrelease > rel
			[ \$(cat rel) != \$(uname -r) ] && echo kernel
			podman stop -t 5 less > /dev/null
			podman rm less > /dev/null
		"
		stat -c %u:%g /home/walter/vol/g
		ls /run/user/$uid/krun-gpu 2> /dev/null | wc -l
		ps -u walter -o comm= | grep -c krun-gpu || true'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "0 0:0 9 kernel 200004:200005 0 0" ]
}

@test "without an engine: spec --rootless, run, and who may not use KVM" {
	run host "$prepare"'
		as_user "
			rm -rf c; mkdir c; cd c; new_bundle . true; rm config.json
			krun-gpu spec --rootless
			edit . \".process.terminal = false | .root.readonly = false |
				.process.args = [\\\"sh\\\", \\\"-c\\\", \\\"id -u; echo x > /made\\\"] |
				.linux.namespaces |= map(select(.type != \\\"network\\\"))\"
			jq -r \".linux.uidMappings[0].size\" config.json
			krun-gpu run less < /dev/null
			stat -c %U rootfs/made
			krun-gpu list -q | wc -l
		"
		gpasswd -d walter kvm > /dev/null
		as_user "cd c; krun-gpu run less < /dev/null 2>&1 || echo code \$?"
		usermod -aG kvm walter'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:4}" = "1 0 walter 0" ]
	[[ ${lines[4]} == *"/dev/kvm: this user may not use KVM (is it in the group kvm?)"* ]]
	[ "${lines[5]}" = "code 1" ]
}
