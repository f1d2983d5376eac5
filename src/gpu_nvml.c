/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * NVIDIA's management library, by its documented interface (version 12), loaded when it is there. Its
 * driver writes nothing into fdinfo. It has no sum of a process's time, only shares of late.
 */
#include <dlfcn.h>
#include <stdlib.h>

#include "gpu_usage.h"

#define NVML_PROCESSES_MAX 1024

struct nvml_process {
	unsigned int pid;
	unsigned long long memory; /* bytes; all ones: not known */
	unsigned int gpu_instance, compute_instance;
};

struct nvml_sample {
	unsigned int pid;
	unsigned long long time; /* µs */
	unsigned int sm, memory, encoder, decoder; /* percent */
};

struct nvml {
	void *library;
	int (*init)(void);
	int (*shutdown)(void);
	int (*count)(unsigned int *count);
	int (*device)(unsigned int index, void **device);
	int (*compute)(void *device, unsigned int *count, struct nvml_process *processes);
	int (*graphics)(void *device, unsigned int *count, struct nvml_process *processes);
	int (*utilization)(void *device, struct nvml_sample *samples, unsigned int *count,
			   unsigned long long since);
};

static bool nvml_load(struct nvml *n)
{
	n->library = dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!n->library)
		return false;
#define RESOLVE(member, name) *(void **)&n->member = dlsym(n->library, name)
	RESOLVE(init, "nvmlInit_v2");
	RESOLVE(shutdown, "nvmlShutdown");
	RESOLVE(count, "nvmlDeviceGetCount_v2");
	RESOLVE(device, "nvmlDeviceGetHandleByIndex_v2");
	RESOLVE(compute, "nvmlDeviceGetComputeRunningProcesses_v3");
	RESOLVE(graphics, "nvmlDeviceGetGraphicsRunningProcesses_v3");
	RESOLVE(utilization, "nvmlDeviceGetProcessUtilization");
#undef RESOLVE
	return n->init && n->shutdown && n->count && n->device && n->compute && n->graphics &&
	       n->utilization;
}

static bool is_ours(unsigned int pid, const pid_t *pids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if ((unsigned int)pids[i] == pid)
			return true;
	return false;
}

/* A process that computes and draws is in both lists, with the same memory. */
static void nvml_memory(const struct nvml *n, void *device, const pid_t *pids, size_t count,
			struct gpu_nvml *out)
{
	struct nvml_process *list = calloc(NVML_PROCESSES_MAX, sizeof(*list));
	unsigned int have = NVML_PROCESSES_MAX / 2, more = NVML_PROCESSES_MAX / 2;

	if (!list || n->compute(device, &have, list))
		have = 0;
	if (!list || n->graphics(device, &more, list + have))
		more = 0;
	for (unsigned int i = 0; i < have + more; i++) {
		bool again = false;

		for (unsigned int k = 0; k < i; k++)
			again |= list[k].pid == list[i].pid;
		if (again || !is_ours(list[i].pid, pids, count) || !~list[i].memory)
			continue;
		out->has_memory = true;
		out->memory += list[i].memory;
	}
	free(list);
}

/* The newest sample of each process; together they are the container's share. */
static void nvml_utilization(const struct nvml *n, void *device, const pid_t *pids, size_t count,
			     struct gpu_nvml *out)
{
	struct nvml_sample *samples = calloc(NVML_PROCESSES_MAX, sizeof(*samples));
	unsigned int have = NVML_PROCESSES_MAX;

	if (!samples || n->utilization(device, samples, &have, 0))
		have = 0;
	for (unsigned int i = 0; i < have; i++) {
		bool newest = true;

		for (unsigned int k = 0; k < have; k++)
			newest &= samples[k].pid != samples[i].pid ||
				  samples[k].time < samples[i].time || k == i;
		if (!newest || !is_ours(samples[i].pid, pids, count))
			continue;
		out->has_utilization = true;
		out->utilization += samples[i].sm;
	}
	free(samples);
}

void gpu_nvml_read(const pid_t *pids, size_t count, struct gpu_nvml *out)
{
	struct nvml n = { 0 };
	unsigned int devices = 0;
	void *device;

	if (nvml_load(&n) && !n.init()) {
		if (n.count(&devices))
			devices = 0;
		for (unsigned int i = 0; i < devices; i++) {
			if (n.device(i, &device))
				continue;
			nvml_memory(&n, device, pids, count, out);
			nvml_utilization(&n, device, pids, count, out);
		}
		n.shutdown();
	}
	if (n.library)
		dlclose(n.library);
}
