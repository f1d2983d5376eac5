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

@test "a picture equals the one that the host draws, pixel by pixel" {
	LIMIT=600 run host '
		mkdir -p /root/drawn && cp "$e2e"/picture /root/drawn/
		VK_DRIVER_FILES=$(echo /usr/share/vulkan/icd.d/lvp_icd*.json) \
			/root/drawn/picture /root/drawn/host.png
		podman --runtime krun-gpu run --rm --network none --device /dev/dri \
			-v /root/drawn:/drawn demo /drawn/picture /drawn/container.png
		cmp /root/drawn/host.png /root/drawn/container.png && echo same'
	[ "$status" -eq 0 ]
	[[ $output == *"Virtio-GPU Venus (llvmpipe"*same ]]
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

@test "an image without a driver is offered one, which exec'd processes have too" {
	LIMIT=600 run host '
		lib=usr/lib/x86_64-linux-gnu
		podman create --name image demo true > /dev/null
		root=$(podman mount image)
		cd "$root"
		rm -r usr/share/vulkan $lib/libvulkan_virtio.so $lib/libdrm.so* $lib/libxcb-{dri3,present,sync}*
		cd /
		kp run -d --name bare --network none --device /dev/dri --rootfs "$root" \
			sh -c "vulkaninfo --summary; sleep 1000" > /dev/null
		podman exec bare vulkaninfo --summary | grep deviceName
		podman exec bare sh -c "touch /dev/krun-gpu/x || echo read-only"
		podman logs bare | grep deviceName
		podman rm -f -t 0 bare > /dev/null
		[ ! -e "$root/dev/krun-gpu" ] && echo untouched
		kprun --device /dev/dri --rootfs "$root" --env VK_DRIVER_FILES=/none \
			sh -c "ls /dev/krun-gpu" || echo left alone
		podman rm -f image > /dev/null'
	[ "$status" -eq 0 ]
	[ "$(grep -c "Virtio-GPU Venus (llvmpipe" <<< "$output")" -eq 2 ]
	[[ $output == *read-only*untouched*"left alone"* ]]
}

@test "images with another C library are told so, and run" {
	LIMIT=200 run host '
		new_bundle /root/musl cat /proc/1/comm
		with_gpu /root/musl
		mkdir /root/musl/rootfs/lib
		cp /bin/busybox /root/musl/rootfs/lib/ld-musl-x86_64.so.1
		krun-gpu run -b /root/musl musl
		rm -r /root/musl'
	[ "$status" -eq 0 ]
	[[ $output == *"no Vulkan driver for the GPU, and there is none to offer to an image with musl"* ]]
}

@test "stats says what the GPU does" {
	LIMIT=400 run host '
		cp "$e2e"/compute /root/compute
		kp run -d --name counted --network none --device /dev/dri \
			-v /root/compute:/compute:ro demo sh -c "/compute 1; sleep 1000" > /dev/null
		id=$(podman inspect -f "{{.Id}}" counted)
		until_true 200 grep -q "^ok" <(podman logs -f counted)
		podman exec -d counted sh -c "while /compute 8; do :; done"
		until_true 100 sh -c "krun-gpu stats -n -f json $id | jq -e \".gpu.contexts == 1 and
			.gpu.blobs.count > 3 and .gpu.blobs.bytes > 8388608\""
		krun-gpu stats --no-stream "$id"
		podman rm -f -t 0 counted > /dev/null
		krun-gpu stats "$id" || echo ended'
	[ "$status" -eq 0 ]
	[[ $output == *"GPU time "*"s (processor)"*"contexts  "*"fences  "*ended* ]]
}

@test "OpenGL through Zink draws a triangle" {
	LIMIT=600 run host '
		kprun --device /dev/dri -v /usr:/usr:ro -v "$e2e":/e2e:ro demo \
			/e2e/egl.sh /e2e/egl /e2e/opengl'
	[ "$status" -eq 0 ]
	[[ $output == *"ok zink Vulkan 1.3(Virtio-GPU Venus (llvmpipe"* ]]
}

@test "no Vulkan driver for the node, and software not allowed: one sentence, nothing left" {
	run host '
		note_all /root/before
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

# lose SIGNAL PROCESS - a container with a GPU loses a process of it; a program that then wants the
# GPU gets an error, what needs none goes on, and the container can be stopped. (What a program in the
# midst of its work gets is tested in tests/gpu/vtest.bats: here Mesa's patience takes minutes.)
lose() {
	LIMIT=600 run host '
		cp "$e2e"/compute /root/compute
		kp run -d --name lost --network none --device /dev/dri \
			-v /root/compute:/compute:ro demo sleep 1000 > /dev/null
		podman exec lost /compute 1
		kill -'"$1"' $(pgrep -o -x '"$2"')
		timeout 200 podman exec lost /compute 1 && exit 1
		podman exec lost echo alive
		krun-gpu stats -n "$(podman inspect -f "{{.Id}}" lost)" | grep "^GPU .*lost" || :
		timeout 100 podman rm -f -t 0 lost > /dev/null
		pgrep "virgl|krun-gpu" || echo nothing left'
	[ "$status" -eq 0 ]
	[[ $output == *"ok 1048576 Virtio-GPU"*"VkResult -"*alive*"nothing left"* ]]
}

@test "the GPU's worker is killed: programs get an error, the container lives on" {
	lose KILL krun-gpu-gpu
	[[ $output == *"worker lost"* ]]
}

@test "the GPU's worker is stopped: the same" {
	lose STOP krun-gpu-gpu
	[[ $output == *"worker lost"* ]]
}

@test "the render server is killed: the same" {
	lose KILL virgl_render_se
}

# exhaust MIB OPTION... - a container with that much GPU memory (0: what there is without an annotation)
# wants more.
exhaust() {
	local mib=$1 annotation=

	shift
	[ "$mib" = 0 ] || annotation="--annotation krun-gpu.memory_mib=$mib"
	LIMIT=600 run host '
		cp "$e2e"/exhaust /root/exhaust
		podman --runtime krun-gpu run --rm --network none --device /dev/dri '"$annotation"' \
			-v /root/exhaust:/exhaust:ro demo /exhaust '"$*"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok "*" Virtio-GPU Venus (llvmpipe"* ]]
}

@test "more GPU memory than the annotation allows: an error that says so, and the device goes on" {
	exhaust 512 --at-least 256 --at-most 512 --single 480
}

@test "more GPU memory than there is without an annotation: the same" {
	exhaust 0 --at-least 4096 --at-most 65536
}

@test "two instances, two devices each, all queues, four threads on each: right" {
	LIMIT=600 run host '
		cp "$e2e"/many /root/many
		podman --runtime krun-gpu run --rm --network none --device /dev/dri \
			--env VN_PERF=no_semaphore_feedback -v /root/many:/many:ro demo /many 4'
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok 16 "*" 32 Virtio-GPU Venus (llvmpipe"* ]]
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
