#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# --device /dev/dri: Vulkan in the container, on the host's driver.
load helpers

@test "vulkaninfo shows Venus over the host's driver" {
	LIMIT=300 run host '
		podman --runtime krun-gpu run --rm --device /dev/dri demo vulkaninfo --summary'
	[ "$status" -eq 0 ]
	[[ $output == *"Virtio-GPU Venus (llvmpipe"* ]]
	[[ $output == *DRIVER_ID_MESA_VENUS* ]]
}

@test "without --device there is no GPU" {
	run host 'kprun demo sh -c "ls /dev/dri 2>&1; vulkaninfo --summary" 2>&1'
	[ "$status" -ne 0 ]
	[[ $output != *Venus* ]]
}

@test "a compute program gives the right answer over 64 MiB" {
	LIMIT=600 run host '
		cp "$e2e"/compute /root/compute
		podman --runtime krun-gpu run --rm --network none --device /dev/dri \
			-v /root/compute:/compute:ro demo /compute 64'
	[ "$status" -eq 0 ]
	[[ $output == *"ok 67108864 Virtio-GPU Venus (llvmpipe"* ]]
}

@test "two containers share the GPU" {
	LIMIT=600 run host '
		for i in 1 2; do
			podman --runtime krun-gpu run --rm --network none --device /dev/dri \
				-v /root/compute:/compute:ro demo /compute 4 > /tmp/gpu$i 2>&1 &
		done
		wait
		cat /tmp/gpu1 /tmp/gpu2
		rm /tmp/gpu1 /tmp/gpu2'
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok 4194304 Virtio-GPU Venus' <<< "$output")" -eq 2 ]
}

@test "the render server is jailed: no capabilities, no network, no file of the host" {
	LIMIT=200 run host '
		kp run -d --name jailed --network none --device /dev/dri demo sleep 1000 > /dev/null
		pid=$(pgrep -o -x virgl_render_se)
		grep -E "^(CapEff|NoNewPrivs|Seccomp):" /proc/$pid/status | tr -s "\t\n" " "
		for path in root home etc/krun-gpu var; do
			[ ! -e /proc/$pid/root/$path ] || echo "sees $path"
		done
		[ "$(readlink /proc/$pid/ns/net)" != "$(readlink /proc/self/ns/net)" ] && echo own-net
		podman rm -f -t 0 jailed > /dev/null'
	[ "$status" -eq 0 ]
	[ "$output" = "CapEff: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 own-net" ]
}

@test "no Vulkan driver for the node, and software not allowed: one sentence, nothing left" {
	run host '
		snapshot | sort > /root/before
		new_bundle /root/gpu-bundle true
		with_gpu /root/gpu-bundle
		unshare -m sh -c "mount --bind /dev/null /etc/krun-gpu/krun-gpu.conf
			krun-gpu run -b /root/gpu-bundle no-driver" && exit 1
		rm -rf /root/gpu-bundle
		same_as /root/before'
	[ "$status" -eq 0 ]
	one_sentence
	[[ $output == *"no Vulkan driver"* ]]
}

@test "the GPU's worker is killed or stopped: its program fails, the container lives on and can be stopped" {
	LIMIT=600 run host '
		cp "$e2e"/compute /root/compute
		for signal in KILL STOP; do
			kp run -d --name lost --network none --device /dev/dri \
				-v /root/compute:/compute:ro demo sleep 1000 > /dev/null
			podman exec lost /compute 4
			podman exec lost /compute 512 & application=$!
			sleep 4
			worker=$(pgrep -o -x krun-gpu-gpu)
			kill -$signal $worker
			start=$SECONDS
			if timeout 150 podman exec lost /compute 1; then
				echo "$signal: a new program found a GPU"
			fi
			code=0
			wait $application || code=$?
			[ $code -ne 0 ] && echo "$signal: an error"
			echo "after $((SECONDS - start)) s" >&2
			podman exec lost echo "$signal: alive"
			timeout 60 podman rm -f -t 5 lost > /dev/null
			pgrep -x krun-gpu-gpu || echo "$signal: nothing left"
		done 2> /root/lost.log || { cat /root/lost.log; exit 1; }
		cat /root/lost.log >&2'
	[ "$status" -eq 0 ]
	for signal in KILL STOP; do
		[[ $output == *"$signal: an error"* ]]
		[[ $output == *"$signal: alive"* ]]
		[[ $output == *"$signal: nothing left"* ]]
		[[ $output != *"found a GPU"* ]]
	done
}

@test "the render server is killed: the same" {
	LIMIT=400 run host '
		cp "$e2e"/compute /root/compute
		kp run -d --name lost --network none --device /dev/dri \
			-v /root/compute:/compute:ro demo sleep 1000 > /dev/null
		podman exec lost /compute 512 & application=$!
		sleep 4
		pkill -9 -o -x virgl_render_se
		code=0
		wait $application || code=$?
		[ $code -ne 0 ] && echo an error
		podman exec lost echo alive
		timeout 60 podman rm -f -t 5 lost > /dev/null'
	[ "$status" -eq 0 ]
	[[ $output == *"an error"*alive* ]]
}

@test "more GPU memory than the annotation allows is refused, and nothing hangs" {
	LIMIT=300 run host '
		cp "$e2e"/compute /root/compute
		podman --runtime krun-gpu run --rm --network none --device /dev/dri \
			--annotation krun-gpu.memory_mib=16 \
			-v /root/compute:/compute:ro demo sh -c "/compute 64 || echo refused; /compute 1"'
	[ "$status" -eq 0 ]
	[[ $output == *refused*"ok 1048576 Virtio-GPU"* ]]
}

@test "a GPU by annotation alone; gpus and doctor say what there is" {
	LIMIT=300 run host '
		podman --runtime krun-gpu run --rm --network none \
			--annotation krun-gpu.device=software demo vulkaninfo --summary
		krun-gpu gpus
		krun-gpu gpus --format json | jq -r ".gpus[0].driver, .software.usable"
		krun-gpu doctor'
	[ "$status" -eq 0 ]
	[[ $output == *"Virtio-GPU Venus (llvmpipe"*vgem*/dev/dri/renderD128*software*lavapipe*true* ]]
	[[ $output == *"virglrenderer 1.1"* ]]
}

@test "--device krun-gpu/gpu=0 by a CDI specification" {
	LIMIT=300 run host '
		mkdir -p /etc/cdi /tmp/fake-icd
		# vgem has no Vulkan driver: a specification as doctor writes it, of its node.
		krun-gpu doctor --write-cdi > /tmp/doctor 2>&1 && exit 1
		grep -q "no GPU for a CDI specification" /tmp/doctor
		cat > /etc/cdi/krun-gpu.json <<- END
			{ "cdiVersion": "0.5.0", "kind": "krun-gpu/gpu", "devices": [ { "name": "0",
			  "containerEdits": { "deviceNodes": [ { "path": "/dev/dri/renderD128" } ] } } ] }
		END
		podman --runtime krun-gpu run --rm --network none --device krun-gpu/gpu=0 demo \
			vulkaninfo --summary
		rm /etc/cdi/krun-gpu.json'
	[ "$status" -eq 0 ]
	[[ $output == *"Virtio-GPU Venus (llvmpipe"* ]]
}
