#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Mesa's Venus driver against our worker, the jailed render server and the Vulkan layer, over
# lavapipe, with no virtual machine: vtest_end. BUILD is the build directory, EGL where the packages of
# `egl --packages` are unpacked; runs as root where the project was built.

setup_file() {
	export layer=$BATS_FILE_TMPDIR/layer
	mkdir "$layer"
	cp "$BUILD/VkLayer_krun_gpu.so" "$BATS_TEST_DIRNAME/../../vmm/vulkan-layer/"*.json "$layer"
}

# end ARGUMENT... - vtest_end, with what was built.
end() {
	timeout --kill-after=5 120 "$BUILD/tests/gpu/vtest_end" --worker "$BUILD/krun-gpu-gpu" \
		--layer "$layer" "$@"
}

# after WHAT SIGNAL - runs a computation and does that to it; the last line says how it ended.
after() {
	run end -- "$BATS_TEST_DIRNAME/faults.sh" "$BUILD/tests/gpu/compute" "$1" "$2"
	echo "$output"
	read -r code seconds < <(grep -E '^[0-9]+ [0-9]+$' <<< "$output")
}

@test "vulkaninfo shows Venus over the host's driver" {
	run end -- vulkaninfo --summary
	[ "$status" -eq 0 ]
	[[ $output == *"Virtio-GPU Venus (llvmpipe"* ]]
}

@test "Vulkan 1.3, and no difference from the host's own that is not explained" {
	VK_DRIVER_FILES=$(echo /usr/share/vulkan/icd.d/lvp_icd*.json) \
		vulkaninfo -j=0 -o "$BATS_TEST_TMPDIR/host.json" > /dev/null
	end -- vulkaninfo -j=0 -o "$BATS_TEST_TMPDIR/venus.json" > /dev/null
	run "$BATS_TEST_DIRNAME/vulkaninfo-diff" "$BATS_TEST_TMPDIR"/{host,venus}.json
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *" 1.3."*" in the container;"* ]]
}

@test "the layer imports sync files for a driver that cannot" {
	VK_DRIVER_FILES=$(echo /usr/share/vulkan/icd.d/lvp_icd*.json) VK_LAYER_PATH=$layer \
		VK_INSTANCE_LAYERS=VK_LAYER_KRUN_GPU_host_memory \
		run timeout 60 "$BUILD/tests/gpu/semaphore"
	[ "$status" -eq 0 ]
	[ "${lines[-1]}" = ok ]
}

@test "a compute program gives the right answer over 64 MiB" {
	run end -- "$BUILD/tests/gpu/compute" 64
	[ "$status" -eq 0 ]
	[[ $output == *"ok 67108864 Virtio-GPU Venus (llvmpipe"* ]]
}

@test "a picture equals the one that the host's driver draws, pixel by pixel" {
	VK_DRIVER_FILES=$(echo /usr/share/vulkan/icd.d/lvp_icd*.json) \
		"$BUILD/tests/gpu/picture" "$BATS_TEST_TMPDIR/native.png"
	run end -- "$BUILD/tests/gpu/picture" "$BATS_TEST_TMPDIR/venus.png"
	[ "$status" -eq 0 ]
	[[ $output == *"ok 320 240 "[1-9][0-9][0-9]*"Virtio-GPU Venus (llvmpipe"* ]]
	cmp "$BATS_TEST_TMPDIR/native.png" "$BATS_TEST_TMPDIR/venus.png"
}

@test "OpenGL through Zink draws a triangle" {
	[ -n "${EGL-}" ] || skip "EGL is where tests/gpu/egl's packages are unpacked"
	run end -- "$BATS_TEST_DIRNAME/egl" "$EGL" "$BUILD/tests/gpu/opengl"
	[ "$status" -eq 0 ]
	[[ $output == *"ok zink Vulkan 1.3(Virtio-GPU Venus (llvmpipe"* ]]
}

@test "memory that only the driver can map is refused, and the log says why" {
	run end --direct -- "$BUILD/tests/gpu/compute" 4
	[ "$status" -eq 1 ]
	[[ $output == *"GPU memory that only its driver can map was refused: the host's driver offers \
neither dma-bufs nor VK_EXT_external_memory_host"* ]]
	[[ $output == *"compute: vkMapMemory("*"): VkResult -5"* ]]
}

@test "four programs at once, each right, a context of the worker's each" {
	run end -- bash -c 'for i in 1 2 3 4; do '"$BUILD"'/tests/gpu/compute 16 & done
		for i in 1 2 3 4; do wait -n || exit; done'
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok 16777216 Virtio-GPU' <<< "$output")" -eq 4 ]
}

@test "two instances, two devices each, all queues, four threads on each: right" {
	VN_PERF=no_semaphore_feedback run end -- "$BUILD/tests/gpu/many" 32
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok 16 "*" 256 Virtio-GPU Venus (llvmpipe"* ]]
}

@test "more memory mapped than allowed: an error, and the device goes on" {
	run end --memory 2048 -- "$BUILD/tests/gpu/exhaust" --vtest --at-least 1024 --at-most 2048 \
		--single 1900
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok "*" Virtio-GPU Venus (llvmpipe"* ]]
}

@test "a window that is full: the same" {
	run end --window 1024 -- "$BUILD/tests/gpu/exhaust" --vtest --at-least 512 --at-most 1024
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok "*" Virtio-GPU Venus (llvmpipe"* ]]
}

# Mesa asks for memory without waiting for an answer, unless told to.
@test "memory that is never mapped: twice what may be mapped, and no more" {
	run end --memory 1024 -- env VN_PERF=no_async_mem_alloc "$BUILD/tests/gpu/exhaust" \
		--unmapped --at-most 2048
	[ "$status" -eq 0 ]
	[[ ${lines[-1]} == "ok 2048 Virtio-GPU Venus (llvmpipe"* ]]
}

@test "what one program has is not there for another, until it is killed" {
	run end --memory 1024 -- bash -c "export VN_PERF=no_async_mem_alloc
		exec 3< <(exec $BUILD/tests/gpu/exhaust --unmapped --hold)
		holder=\$!
		read -r -u 3 held && echo \"\$held\"
		$BUILD/tests/gpu/exhaust --unmapped && exit 1
		kill -KILL \$holder
		for i in {1..50}; do
			$BUILD/tests/gpu/exhaust --unmapped --at-least 2048 --at-most 2048 && exit
			sleep 0.1
		done
		exit 1"
	[ "$status" -eq 0 ]
	[[ $output == *"held 2048"*"an error at 0 MiB already"*"ok 2048 Virtio-GPU Venus"* ]]
}

@test "an application that is killed leaves the worker and the next one well" {
	run end -- bash -c "$BATS_TEST_DIRNAME/faults.sh $BUILD/tests/gpu/compute application KILL &&
		$BUILD/tests/gpu/compute 4"
	[ "$status" -eq 0 ]
	[[ $output == *"ok 4194304 Virtio-GPU"* ]]
}

@test "the context's process is killed: an error within ten seconds" {
	after child KILL
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "the context's process is stopped: an error within ten seconds" {
	after child STOP
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

# Newer drivers wait for a fence of the device's instead of looking into memory.
@test "the same where the application waits for a fence of the device's" {
	export VN_PERF=no_fence_feedback,no_semaphore_feedback
	after child STOP
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "the render server is stopped with all its contexts: an error within ten seconds" {
	after all STOP
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "the render server is stopped: the next program gets an error within ten seconds" {
	run end -- bash -c "kill -STOP \$KRUN_GPU_RENDER_SERVER_PID; start=\$SECONDS
		$BUILD/tests/gpu/compute 1 >&2; echo \"\$? \$((SECONDS - start))\""
	read -r code seconds < <(grep -E '^[0-9]+ [0-9]+$' <<< "$output")
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "the render server is killed: an error within ten seconds" {
	after server KILL
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "the worker is killed: an error within ten seconds" {
	after worker KILL
	[ "$code" -ne 0 ]
	[ "$seconds" -le 10 ]
}

@test "one context's process is killed: another application does not notice" {
	run end -- bash -c "$BUILD/tests/gpu/compute 512 > $BATS_TEST_TMPDIR/other & other=\$!
		sleep 0.3
		$BATS_TEST_DIRNAME/faults.sh $BUILD/tests/gpu/compute child KILL
		wait \$other && cat $BATS_TEST_TMPDIR/other"
	[ "$status" -eq 0 ]
	[[ $output == *"ok 536870912 Virtio-GPU"* ]]
	grep -qE '^[1-9][0-9]* [0-9]+$' <<< "$output"
}

# switches PID - how often its threads went to sleep and were woken, together.
switches() {
	cat /proc/"$1"/task/*/status | awk '/_ctxt_switches/ { n += $2 } END { print n }'
}

@test "while an application is idle our worker is not woken once in ten seconds" {
	export -f switches
	run end -- bash -c "$BUILD/tests/gpu/bench 64 100 30 > $BATS_TEST_TMPDIR/out & application=\$!
		until grep -q ^dispatch $BATS_TEST_TMPDIR/out; do sleep 0.2; done
		sleep 5
		before=\$(switches \$KRUN_GPU_WORKER_PID)
		sleep 10
		after=\$(switches \$KRUN_GPU_WORKER_PID)
		wait \$application && echo \"woken \$((after - before)) times\""
	[ "$status" -eq 0 ]
	[[ $output == *"woken 0 times"* ]]
}
