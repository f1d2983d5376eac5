/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Three words to go by. Linux's drivers write a client's time and memory into the fdinfo of its file
 * (drm-usage-stats); a client may have several files, which say the same. NVIDIA's has a library. And
 * the GPU worker counts what the guest made. The first two go by the render server's processes, which
 * are the container's alone.
 */
#include "gpu_usage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"

#define CLIENTS_MAX 1024
#define FDINFO_MAX (64u << 10)

/* Of all the processes' DRM files. */
struct drm_usage {
	uint64_t clients[CLIENTS_MAX]; /* that were counted */
	size_t num_clients;
	uint64_t time_ns, memory;
	bool has_time, has_memory;
};

static char *read_proc(const char *path, size_t max)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? NULL : fd_read_file(fd, max, NULL);
}

size_t gpu_usage_processes(const char *proc, pid_t parent, pid_t *pids, size_t max)
{
	cleanup_free char *text = NULL;
	char path[256], *rest, *word;
	size_t n = 0;

	snprintf(path, sizeof(path), "%s/%d/task/%d/children", proc, parent, parent);
	text = read_proc(path, FDINFO_MAX);
	for (word = text ? strtok_r(text, " \n", &rest) : NULL; word && n < max;
	     word = strtok_r(NULL, " \n", &rest)) {
		pid_t pid = atoi(word);

		if (pid <= 1)
			continue;
		pids[n++] = pid;
		n += gpu_usage_processes(proc, pid, pids + n, max - n);
	}
	return n;
}

/* "drm-total-vram0: 12 KiB"; the number is in @unit, or in bytes. */
static uint64_t drm_amount(const char *value)
{
	char unit[4] = "";
	unsigned long long n = 0;

	if (sscanf(value, "%llu %3s", &n, unit) < 1)
		return 0;
	switch (*unit) {
	case 'K':
		return (uint64_t)n << 10;
	case 'M':
		return (uint64_t)n << 20;
	case 'G':
		return (uint64_t)n << 30;
	default:
		return n;
	}
}

static bool drm_client_is_new(struct drm_usage *drm, uint64_t client)
{
	for (size_t i = 0; i < drm->num_clients; i++)
		if (drm->clients[i] == client)
			return false;
	if (drm->num_clients == CLIENTS_MAX)
		return false;
	drm->clients[drm->num_clients++] = client;
	return true;
}

/* One file's fdinfo. Memory: what is resident; drivers that do not say so say drm-memory-. */
static void drm_file(struct drm_usage *drm, char *text)
{
	uint64_t client = 0, time_ns = 0, resident = 0, memory = 0;
	bool is_client = false, has_time = false, has_memory = false;
	char *rest, *line;

	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char *value = strchr(line, ':');

		if (!value || strncmp(line, "drm-", 4))
			continue;
		*value++ = 0;
		if (!strcmp(line, "drm-client-id")) {
			client = drm_amount(value);
			is_client = true;
		} else if (!strncmp(line, "drm-engine-", 11) &&
			   strncmp(line, "drm-engine-capacity-", 20)) {
			time_ns += drm_amount(value);
			has_time = true;
		} else if (!strncmp(line, "drm-resident-", 13)) {
			resident += drm_amount(value);
			has_memory = true;
		} else if (!strncmp(line, "drm-memory-", 11)) {
			memory += drm_amount(value);
			has_memory = true;
		}
	}
	if (!is_client || !drm_client_is_new(drm, client))
		return;
	drm->time_ns += time_ns;
	drm->memory += resident ? resident : memory;
	drm->has_time |= has_time;
	drm->has_memory |= has_memory;
}

static void drm_process(struct drm_usage *drm, const char *proc, pid_t pid)
{
	char path[512];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%d/fdinfo", proc, pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		cleanup_free char *text = NULL;

		snprintf(path, sizeof(path), "%s/%d/fdinfo/%.32s", proc, pid, entry->d_name);
		text = *entry->d_name == '.' ? NULL : read_proc(path, FDINFO_MAX);
		if (text)
			drm_file(drm, text);
	}
	if (dir)
		closedir(dir);
}

/* Of a process and those that it has waited for. */
static uint64_t processor_ns(const char *proc, pid_t pid)
{
	unsigned long long t[4];
	cleanup_free char *text = NULL;
	const char *rest;
	char path[256];

	snprintf(path, sizeof(path), "%s/%d/stat", proc, pid);
	text = read_proc(path, 4096);
	rest = text ? strrchr(text, ')') : NULL;
	if (!rest || sscanf(rest + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %llu "
			    "%llu", &t[0], &t[1], &t[2], &t[3]) != 4)
		return 0;
	return (t[0] + t[1] + t[2] + t[3]) * (1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool is_running_worker(const char *proc, pid_t pid)
{
	static const char name[] = " (krun-gpu-gpu) ";
	cleanup_free char *text = NULL;
	const char *at;
	char path[256];

	snprintf(path, sizeof(path), "%s/%d/stat", proc, pid);
	text = read_proc(path, 4096);
	at = text ? strstr(text, name) : NULL;
	return at && !strchr("TtZX", at[sizeof(name) - 1]);
}

void gpu_usage_lost(const char *proc, const pid_t *pids, size_t count, struct gpu_usage *usage)
{
	for (size_t i = 0; i < count; i++)
		if (is_running_worker(proc, pids[i]))
			return;
	usage->lost = true;
	usage->counts.contexts = usage->counts.fences = 0;
	usage->counts.blobs = usage->counts.blob_bytes = 0;
	if (!strcmp(usage->memory_source, "blobs"))
		usage->memory = 0;
}

/* 1, 0 when there is no such file, or -1 */
static int read_counts(int dirfd, struct gpu_stats *out, struct error **err)
{
	cleanup_close int fd = openat(dirfd, GPU_STATS_FILE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot open " GPU_STATS_FILE);
	if (pread(fd, out, sizeof(*out), 0) != sizeof(*out))
		return error_set(err, EIO, "cannot read " GPU_STATS_FILE);
	if (out->version != GPU_STATS_VERSION)
		return error_set(err, 0, "the GPU worker counts in another way: it is of another "
					 "version");
	return 1;
}

int gpu_usage_read(int dirfd, const char *proc, const pid_t *pids, size_t count,
		   struct gpu_usage *out, struct error **err)
{
	cleanup_free struct drm_usage *drm = calloc(1, sizeof(*drm));
	struct gpu_nvml nvml = { 0 };
	int r;

	*out = (struct gpu_usage){ 0 };
	if (!drm)
		return error_set(err, ENOMEM, "cannot count");
	r = read_counts(dirfd, &out->counts, err);
	if (r <= 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		drm_process(drm, proc, pids[i]);
		out->time_ns += processor_ns(proc, pids[i]);
	}
	out->time_source = "processor";
	if (drm->has_time) {
		out->time_ns = drm->time_ns;
		out->time_source = "drm";
	}
	if (!drm->has_memory)
		gpu_nvml_read(pids, count, &nvml);
	out->has_utilization = nvml.has_utilization;
	out->utilization = nvml.utilization;
	out->memory = drm->has_memory ? drm->memory :
		      nvml.has_memory ? nvml.memory : out->counts.blob_bytes;
	out->memory_source = drm->has_memory ? "drm" : nvml.has_memory ? "nvml" : "blobs";
	return 1;
}
