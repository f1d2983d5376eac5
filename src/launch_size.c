/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "launch_size.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "oci/oci_spec.h"

#define MIB (1ull << 20)
#define RAM_DEFAULT (2048 * MIB)
#define RAM_MIN (128 * MIB)
#define RAM_MAX (1ull << 42)
#define RAM_ALIGN (2 * MIB)
#define VCPUS_MAX 64
#define CPU_LAST 65535

/*
 * The guest kernel's own memory: its image and tables, 4 MiB of receive buffers for each of two networks,
 * and 1/64 of RAM for struct page.
 */
#define GUEST_KERNEL (72 * MIB)

/* The VMM, the file server and what the host's kernel keeps for them. */
#define HOST_ROOM (96 * MIB)

/*
 * With a GPU: the render server with its driver (a software rasteriser compiles code), and buffers
 * that the host can see, which are memory of the render server's.
 */
#define HOST_GPU_ROOM (1024 * MIB)

/* What the guest may map, as far as the container's memory is not limited. */
#define GPU_BYTES_DEFAULT (64ull << 30)
/* Where it is: of HOST_GPU_ROOM, for past the host's limit any of our processes may be ended. */
#define GPU_BYTES_LIMITED (768 * MIB)

/* Address space, not memory: what Vulkan maps at one time. */
#define GPU_WINDOW (16ull << 30)

static int size_annotation(const struct oci_spec *spec, const char *key, uint64_t min, uint64_t max,
			   uint64_t *out, struct error **err)
{
	const char *text = oci_spec_annotation(spec, key);
	char *end;

	if (!text)
		return 0;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (errno || !*text || *end || *text == '-' || *out < min || *out > max)
		return error_set(err, 0, "annotations.%s: expected a whole number from %llu to %llu, "
				 "not \"%s\"", key, (unsigned long long)min,
				 (unsigned long long)max, text);
	return 1;
}

static int size_ram(const struct oci_spec *spec, struct launch_size *size, struct error **err)
{
	const struct oci_resources *r = &spec->resources;
	uint64_t mib = 0;
	int asked = size_annotation(spec, "krun.ram_mib", RAM_MIN / MIB, RAM_MAX / MIB, &mib, err);

	if (asked < 0)
		return -1;
	size->ram_bytes = RAM_DEFAULT;
	if (asked)
		size->ram_bytes = mib * MIB;
	else if (r->memory_limit > 0 && (uint64_t)r->memory_limit > RAM_MAX)
		size->ram_bytes = RAM_DEFAULT; /* more than any host has is no limit */
	else if (r->memory_limit > 0)
		size->ram_bytes = (uint64_t)r->memory_limit + (uint64_t)r->memory_limit / 64 +
				  GUEST_KERNEL;
	if (size->ram_bytes < RAM_MIN)
		size->ram_bytes = RAM_MIN;
	size->ram_bytes = (size->ram_bytes + RAM_ALIGN - 1) / RAM_ALIGN * RAM_ALIGN;
	return 0;
}

int cpu_list_count(const char *list)
{
	int count = 0;

	while (*list) {
		char *end;
		unsigned long first = strtoul(list, &end, 10), last = first;

		if (end == list)
			return -1;
		list = end;
		if (*list == '-') {
			last = strtoul(++list, &end, 10);
			if (end == list)
				return -1;
			list = end;
		}
		if (last < first || last > CPU_LAST || (*list && *list != ',' && *list != '\n'))
			return -1;
		/* Some may be named twice. */
		count += (int)(last - first + 1);
		if (count > CPU_LAST + 1)
			return -1;
		list += *list ? 1 : 0;
	}
	return count;
}

static uint64_t size_host_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) < 0 ? VCPUS_MAX : (uint64_t)CPU_COUNT(&set);
}

static int size_vcpus(const struct oci_spec *spec, struct launch_size *size, struct error **err)
{
	const struct oci_resources *r = &spec->resources;
	const uint64_t period = r->cpu_period ? r->cpu_period : 100000;
	uint64_t n = size_host_cpus(), asked = 0;
	int r_asked = size_annotation(spec, "krun.cpus", 1, VCPUS_MAX, &asked, err);

	if (r_asked < 0)
		return -1;
	if (r->cpus && *r->cpus) {
		int count = cpu_list_count(r->cpus);

		if (count <= 0)
			return error_set(err, 0, "linux.resources.cpu.cpus: \"%s\" is not a list of "
					 "CPUs", r->cpus);
		n = (uint64_t)count < n ? (uint64_t)count : n;
	}
	if (r->cpu_quota > 0 && ((uint64_t)r->cpu_quota + period - 1) / period < n)
		n = ((uint64_t)r->cpu_quota + period - 1) / period;
	if (r_asked)
		n = asked;
	size->vcpus = (uint32_t)(n > VCPUS_MAX ? VCPUS_MAX : n ? n : 1);
	return 0;
}

/*
 * The window is no larger than what may be made: so the guest's kernel finds it full, and Mesa says
 * that the device has no more memory, before the worker refuses what the application has already.
 */
static int size_gpu(const struct oci_spec *spec, bool gpu, struct launch_size *size,
		    struct error **err)
{
	uint64_t mib = 0;
	int asked = size_annotation(spec, "krun-gpu.memory_mib", 1, 1 << 24, &mib, err);

	if (asked < 0)
		return -1;
	if (!gpu)
		return 0;
	size->gpu_bytes = asked ? mib * MIB :
			  spec->resources.memory_limit > 0 ? GPU_BYTES_LIMITED : GPU_BYTES_DEFAULT;
	size->gpu_window = size->gpu_bytes < GPU_WINDOW ? size->gpu_bytes : GPU_WINDOW;
	size->room += HOST_GPU_ROOM + (asked ? size->gpu_bytes : 0);
	return 0;
}

int launch_size(const struct oci_spec *spec, bool gpu, struct launch_size *size, struct error **err)
{
	*size = (struct launch_size){ .room = HOST_ROOM };
	if (size_ram(spec, size, err) < 0 || size_vcpus(spec, size, err) < 0)
		return -1;
	return size_gpu(spec, gpu, size, err);
}

uint64_t launch_size_host_limit(int64_t limit, uint64_t ram, uint64_t room)
{
	const uint64_t kernel = GUEST_KERNEL + ram / 64;

	if (limit < 0)
		return ram + room;
	if ((uint64_t)limit > ram)
		return 0;
	return ((uint64_t)limit + kernel < ram ? (uint64_t)limit + kernel : ram) + room;
}
