/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LAUNCH_SIZE_H
#define LAUNCH_SIZE_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct oci_spec;

/** struct launch_size - how large a machine */
struct launch_size {
	uint64_t ram_bytes;  /* a multiple of 2 MiB */
	uint32_t vcpus;
	uint64_t room;	     /* bytes for the host's own processes, beside the microVM */
	uint64_t gpu_window; /* bytes of address space for the GPU's host-visible memory; 0: no GPU */
	uint64_t gpu_bytes;  /* of memory that the guest may make with the GPU */
};

/**
 * launch_size() - from linux.resources and the annotations krun.ram_mib, krun.cpus and
 * krun-gpu.memory_mib
 *
 * RAM is the container's memory limit and what the guest kernel needs beside it, else 2 GiB.
 * Virtual CPUs are the quota rounded up, else the cpuset's size, else the host's. Annotations go
 * before both. Return: 0, or -1 with an error that names the field.
 */
int launch_size(const struct oci_spec *spec, bool gpu, struct launch_size *size,
		struct error **err);

/**
 * launch_size_host_limit() - what the host's memory.max is to be for a container's memory limit
 * @limit: bytes, or -1 for none
 *
 * The container's memory, what the guest kernel has beside it, and what the host's processes need.
 * Return: bytes, or 0 when a microVM of @ram bytes cannot give a container that much.
 */
uint64_t launch_size_host_limit(int64_t limit, uint64_t ram, uint64_t room);

/** cpu_list_count() - how many CPUs a list like "0-3,7" names; -1 when it is malformed */
int cpu_list_count(const char *list);

#endif
