#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What a configuration mounts, by bundles of our own: mounts on mounts, what holds for a whole tree of
# them, and what the host mounts later.
load helpers

after_each() {
	LIMIT=120 host 'for id in $(krun-gpu list -q); do krun-gpu delete --force $id; done
		for dir in /tmp/mounts/vol/{sub,late} /tmp/mounts/vol; do
			umount $dir 2> /dev/null || true
		done
		rm -rf --one-file-system /tmp/mounts' || true
}

@test "rro, rnosuid and rnoexec hold for what is mounted below a volume" {
	run host '
		new_bundle /tmp/mounts sh -c "
			ls /vol/sub
			for dir in /vol /vol/sub; do
				touch \$dir/x 2> /dev/null || echo ro
				\$dir/true 2> /dev/null || echo noexec
			done
			grep -c \" /vol[^ ]* [^ ]* ro,nosuid,.*noexec\" /proc/self/mounts || true"
		for a in ls touch grep; do ln -s busybox /tmp/mounts/rootfs/bin/$a; done
		mkdir -p /tmp/mounts/vol/sub
		mount -t tmpfs none /tmp/mounts/vol/sub
		for dir in /tmp/mounts/vol /tmp/mounts/vol/sub; do
			cp /usr/bin/busybox $dir/true
		done
		edit /tmp/mounts ".mounts += [{destination: \"/vol\", type: \"bind\", source: \"vol\",
			options: [\"rbind\", \"rro\", \"rnosuid\", \"rnoexec\"]}]"
		krun-gpu run -b /tmp/mounts mounts < /dev/null
		edit /tmp/mounts ".mounts[-1].options = [\"rbind\"]"
		krun-gpu run -b /tmp/mounts mounts < /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "true ro noexec ro noexec 2 true 0" ]
}

@test "mounts lie on one another in the configuration's order, also by links and upwards" {
	run host '
		new_bundle /tmp/mounts sh -c "cat /a/t/b/f /a/t/b/one /up/f /real/place/f
			touch /a/t/lost /a/t/b/new"
		mkdir -p /tmp/mounts/{outer,inner,rootfs/real}
		echo inner > /tmp/mounts/inner/f
		echo file > /tmp/mounts/one
		ln -s /../real /tmp/mounts/rootfs/alias
		ln -s busybox /tmp/mounts/rootfs/bin/touch
		edit /tmp/mounts "
			def bind(at; from): {destination: at, type: \"bind\", source: from, options: [\"bind\"]};
			.mounts += [bind(\"/a\"; \"outer\"),
				{destination: \"a/t\", type: \"tmpfs\", source: \"tmpfs\"},
				bind(\"/a/t/b\"; \"inner\"), bind(\"/alias/../a/t/b/one\"; \"one\"),
				bind(\"../../up\"; \"inner\"), bind(\"/alias/place\"; \"inner\")]"
		krun-gpu run -b /tmp/mounts mounts < /dev/null
		cd /tmp/mounts
		echo inner/* outer/*'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "inner file inner inner inner/f inner/new inner/one outer/t" ]
}

@test "what the host mounts below a volume later shows there if that is rslave or rshared" {
	LIMIT=300 run host '
		new_bundle /tmp/mounts sh -c "until [ -e /vol/go ]; do sleep 0.1; done; ls /vol/late"
		ln -s busybox /tmp/mounts/rootfs/bin/ls
		mkdir -p /tmp/mounts/vol/late
		mount --bind /tmp/mounts/vol /tmp/mounts/vol
		mount --make-shared /tmp/mounts/vol
		edit /tmp/mounts ".mounts += [{destination: \"/vol\", type: \"bind\", source: \"vol\"}]"
		stopped() {
			[ "$(krun-gpu state mounts | jq -r .status)" = stopped ]
		}
		for propagation in rslave rshared rprivate; do
			edit /tmp/mounts ".mounts[-1].options = [\"rbind\", \"$propagation\"]"
			krun-gpu run -d -b /tmp/mounts mounts < /dev/null > /tmp/mounts/out 2> /dev/null
			mount -t tmpfs none /tmp/mounts/vol/late
			touch /tmp/mounts/vol/late/there /tmp/mounts/vol/go
			until_true 30 stopped
			echo $propagation $(cat /tmp/mounts/out)
			krun-gpu delete mounts
			umount /tmp/mounts/vol/late
			rm /tmp/mounts/vol/go
		done'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "rslave there rshared there rprivate" ]
}
