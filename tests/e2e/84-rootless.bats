#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A user without root, in the group kvm.
load helpers

after_each() {
	LIMIT=120 host 'as_user <<< "podman rm -f -t 0 -a || true" > /dev/null 2>&1' || true
}

@test "podman: owners of files follow the user's mappings; exec, stop, the end" {
	run host '
		as_user <<- \END
			rm -rf b vol; new_bundle b true; mkdir vol; echo x > vol/f
			for a in stat chown touch; do ln -sf busybox b/rootfs/bin/$a; done
			kp run -d --name less --network none -v ~/vol:/vol --rootfs ~/b/rootfs sh -c \
				"id -u; stat -c %u:%g /vol/f; touch /vol/g; chown 5:6 /vol/g; exec sleep 1000" > /dev/null
			until_true 30 eval "podman logs less | grep -q 0:0"
			podman logs less
			podman exec -u 9:9 less id -u
			podman exec less cat /proc/sys/kernel/osrelease > rel
			[ "$(cat rel)" != "$(uname -r)" ] && echo kernel
			podman kill less > /dev/null
			podman wait less
			podman rm less > /dev/null
		END
		sub=$(grep ^walter: /etc/subuid | cut -d : -f 2)
		[ "$(stat -c %u:%g /home/walter/vol/g)" = $((sub + 4)):$((sub + 5)) ] && echo mapped
		ls /run/user/$(id -u walter)/krun-gpu
		ps -u walter -o comm= | grep krun-gpu || true'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "0 0:0 9 kernel 137 mapped" ]
}

@test "without an engine: spec --rootless, run, and who may not use KVM" {
	run host '
		as_user <<- \END
			rm -rf c; mkdir c; cd c; new_bundle . true; rm config.json
			krun-gpu spec --rootless
			edit . ".process.terminal = false | .root.readonly = false |
				.process.args = [\"sh\", \"-c\", \"id -u; echo x > /made\"] |
				.linux.namespaces |= map(select(.type != \"network\"))"
			krun-gpu run less < /dev/null
			stat -c %U rootfs/made
			krun-gpu list -q
		END
		gpasswd -d walter kvm > /dev/null
		as_user <<< "cd c; krun-gpu run less < /dev/null 2>&1 || echo code \$?"
		usermod -aG kvm walter'
	[ "$status" -eq 0 ]
	[ "${lines[*]:0:2}" = "0 walter" ]
	[[ ${lines[2]} == *"/dev/kvm: this user may not use KVM (is it in the group kvm?)"* ]]
	[ "${lines[3]}" = "code 1" ]
	[ "${#lines[@]}" -eq 4 ]
}
