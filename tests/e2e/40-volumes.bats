#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# podman run -v: the host's files inside.
load helpers

setup() {
	host 'rm -rf /root/volume; mkdir /root/volume; echo from-host > /root/volume/in;
		chown 1001:1002 /root/volume/in; chmod 640 /root/volume/in'
}

@test "-v reads and writes the host's files, with their owners and modes" {
	run host '
		kprun -v /root/volume:/x demo sh -c "
			cat /x/in; stat -c %u:%g:%a /x/in
			echo from-guest > /x/out; chown 77:88 /x/out; chmod 4751 /x/out
			ln -s in /x/link; mkdir /x/dir; mv /x/in /x/dir/moved"
		cat /root/volume/out
		stat -c %u:%g:%a /root/volume/out
		readlink /root/volume/link
		stat -c %u:%g:%a /root/volume/dir/moved'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "from-host 1001:1002:640 from-guest 77:88:4751 in 1001:1002:640" ]
}

@test "what the host writes meanwhile is seen inside, and the other way round" {
	run host '
		kp run -d --name live --network none -v /root/volume:/x demo \
			sh -c "while [ ! -e /x/go ]; do sleep 0.2; done; cat /x/go > /x/answer" > /dev/null
		echo ping > /root/volume/go.new
		mv /root/volume/go.new /root/volume/go
		podman wait live
		cat /root/volume/answer
		podman rm live > /dev/null'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "0 ping" ]
}

@test "-v :ro refuses writes, to root in the guest too, and to a remount there" {
	run host '
		kprun --privileged -v /root/volume:/x:ro demo sh -c "
			cat /x/in
			echo no > /x/in || echo refused
			mount -o remount,rw,bind /x 2>/dev/null || true
			echo no > /x/in || echo refused again" 2>/dev/null
		cat /root/volume/in'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "from-host refused refused again from-host" ]
}

@test "-v mounts one file, below a tmpfs too" {
	run host '
		kprun --tmpfs /run/t -v /root/volume/in:/run/t/deep/file demo \
			sh -c "cat /run/t/deep/file; echo more >> /run/t/deep/file"
		cat /root/volume/in'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "from-host from-host more" ]
}

@test "a link in an image cannot lead a volume out of the container" {
	run host '
		rm -rf /root/outside && mkdir /root/outside
		kp run --name trap --network none demo sh -c "ln -s ../../../../root/outside /trap"
		podman commit -q trap localhost/trap > /dev/null
		podman rm trap > /dev/null
		podman --runtime krun-gpu run --rm --network none -v /root/volume:/trap/x \
			localhost/trap ls /trap/x
		ls -A /root/outside
		podman rmi -f localhost/trap > /dev/null'
	[ "$status" -eq 0 ]
	[ "$output" = in ]
}

@test "a file that is mapped and one that is deleted while open keep their content" {
	run host '
		kprun -v /root/volume:/x demo bash -c "
			exec 3<>/x/open; echo before >&3; rm /x/open; echo after >&3
			cat /proc/self/fd/3 2>/dev/null; cat <&3
			cp /bin/true /x/program; /x/program && echo executed"
		ls /root/volume'
	[ "$status" -eq 0 ]
	[[ $output == *executed* ]]
	[[ $output == *"before"* ]]
	[[ $output != *open* ]]
}

@test "-v :O shows the host's files, and keeps from them what is written" {
	run host '
		kprun -v /root/volume:/x:O demo sh -c "
			cat /x/in; echo changed > /x/in; echo new > /x/new; cat /x/in /x/new"
		cat /root/volume/in
		ls /root/volume'
	[ "$status" -eq 0 ]
	[ "${lines[*]}" = "from-host changed new from-host in" ]
}
