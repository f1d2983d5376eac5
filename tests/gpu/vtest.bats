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

@test "four programs at once, each right, a context of the worker's each" {
	run end -- bash -c 'for i in 1 2 3 4; do '"$BUILD"'/tests/gpu/compute 16 & done
		for i in 1 2 3 4; do wait -n || exit; done'
	[ "$status" -eq 0 ]
	[ "$(grep -c '^ok 16777216 Virtio-GPU' <<< "$output")" -eq 4 ]
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
