/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this host has and what it lacks, in plain words: a line for each thing that containers need,
 * and what to do where it is not there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "app.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "gpu_cdi.h"
#include "gpu_jail.h"
#include "gpu_list.h"
#include "gpu_virgl.h"

enum verdict { GOOD, NOTE, BAD };

struct doctor {
	bool write_cdi;
	const char *cdi_path;
	unsigned int bad;
};

static void __attribute__((format(printf, 3, 4)))
say(struct doctor *d, enum verdict verdict, const char *fmt, ...)
{
	static const char *const words[] = { "ok", "note", "MISSING" };
	va_list ap;

	printf("%-8s", words[verdict]);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	d->bad += verdict == BAD;
}

static int doctor_option(void *data, int key, const char *value, struct error **err)
{
	struct doctor *d = data;

	(void)err;
	if (key == 'w')
		d->write_cdi = true;
	else
		d->cdi_path = value;
	return 0;
}

static void check_kvm(struct doctor *d)
{
	cleanup_close int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd >= 0 && ioctl(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION)
		say(d, GOOD, "KVM: /dev/kvm");
	else if (fd >= 0)
		say(d, BAD, "KVM: /dev/kvm answers no version that this program knows");
	else if (errno == EACCES || errno == EPERM)
		say(d, BAD, "KVM: this user may not open /dev/kvm: put it into the group kvm");
	else
		say(d, BAD, "KVM: no /dev/kvm: enable virtualization in the firmware, and load "
			    "kvm_intel or kvm_amd");
}

static void check_cgroup(struct doctor *d)
{
	struct statfs fs;

	if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC)
		say(d, GOOD, "control groups: version 2");
	else
		say(d, BAD, "control groups: /sys/fs/cgroup is not version 2: boot with "
			    "systemd.unified_cgroup_hierarchy=1");
}

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* The guest's RAM is shared memory, for its devices are other processes. */
static void check_huge_pages(struct doctor *d)
{
	cleanup_fclose FILE *f = fopen(SHMEM_ENABLED, "re");
	char line[128];

	if (f && fgets(line, sizeof(line), f) && !strstr(line, "[never]") &&
	    !strstr(line, "[deny]"))
		say(d, GOOD, "memory: huge pages for guests");
	else
		say(d, NOTE, "memory: guests get small pages only, and start and run slower for it: "
			     "echo advise > " SHMEM_ENABLED);
}

static void check_program(struct doctor *d, const char *what, const char *path, int mode)
{
	if (access(path, mode) == 0)
		say(d, GOOD, "%s: %s", what, path);
	else
		say(d, BAD, "%s: %s: %s: install krun-gpu again", what, path, strerror(errno));
}

#ifdef HAVE_GPU

static void check_virgl_version(struct doctor *d, bool nvidia)
{
	const int version = gpu_virgl_version("");
	char why[128];

	if (version == GPU_VIRGL_UNKNOWN)
		say(d, NOTE, "GPU: virglrenderer's library is in none of the usual places, so its "
			     "version is not known:");
	else if (version == GPU_VIRGL_OLD)
		say(d, BAD, "GPU: virglrenderer is older than 1.0, and cannot serve current guests:");
	else if (!gpu_virgl_serves(version, nvidia ? "nvidia" : "", why, sizeof(why)))
		say(d, BAD, "GPU: NVIDIA's driver %s:", why);
	else
		say(d, GOOD, "GPU: virglrenderer %d.%d", version / 100, version % 100);
	if (version < GPU_VIRGL(1, 3))
		fputs(gpu_virgl_gives, stdout);
}

static void check_virgl(struct doctor *d, const struct app *app, bool nvidia)
{
	const char *server = app->host.render_server ? app->host.render_server :
						       gpu_render_server_path();

	if (!server)
		say(d, BAD, "GPU: no virgl_render_server: install it (Debian package: virgl-server)");
	else
		check_program(d, "GPU: render server", server, X_OK);
	check_virgl_version(d, nvidia);
}

static void check_gpus(struct doctor *d, const struct app *app, const struct gpu_list *list)
{
	bool nvidia = false, any = false;

	for (size_t i = 0; i < list->count; i++) {
		const struct gpu_host *gpu = &list->gpus[i];

		nvidia |= !strcmp(gpu->driver, "nvidia");
		any |= gpu->icd != NULL;
		say(d, gpu->icd ? GOOD : NOTE, "GPU %zu: %s%s%s", i, gpu->name,
		    gpu->icd ? "" : ": ", gpu->icd ? "" : gpu->why);
	}
	if (!list->count)
		say(d, NOTE, "GPU: the host has none: no node in /dev/dri, none of NVIDIA's");
	if (!any && list->software)
		say(d, NOTE, "GPU: lavapipe can stand in: --annotation krun-gpu.device=software, or "
			     "software-gpu = yes in " HOST_CONFIG_FILE);
	check_program(d, "GPU: worker", LIBEXECDIR "/krun-gpu-gpu", X_OK);
	check_program(d, "GPU: Vulkan layer", LIBEXECDIR "/vulkan-layer/VkLayer_krun_gpu.so", R_OK);
	check_virgl(d, app, nvidia);
}

#else

static void check_gpus(struct doctor *d, const struct app *app, const struct gpu_list *list)
{
	(void)app;
	(void)list;
	say(d, NOTE, "GPU: this krun-gpu was built without GPU support");
}

#endif

static int write_cdi(const struct doctor *d, const struct gpu_list *list, struct error **err)
{
	const char *path = d->cdi_path ? d->cdi_path : GPU_CDI_FILE;

	if (gpu_cdi_write(list, path, err) < 0)
		return -1;
	printf("%s is written: podman run --device krun-gpu/gpu=0 gives a container the first GPU\n",
	       path);
	return 0;
}

/* For images that have no Vulkan driver of their own. */
static void check_driver_bundle(struct doctor *d, const struct app *app)
{
	const char *dir = app->host.driver_bundle ? app->host.driver_bundle : DATADIR "/driver-bundle";
	char path[4096];

	snprintf(path, sizeof(path), "%s/glibc/virtio_icd.json", dir);
	if (access(path, R_OK) == 0)
		say(d, GOOD, "Vulkan driver for images without one: %s", dir);
	else
		say(d, NOTE, "images without a Vulkan driver have no GPU: contrib/driver-bundle %s makes "
			     "one to offer them", dir);
}

int cmd_doctor(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command_option options[] = {
		{ "write-cdi", 'w', NULL, "write a CDI specification of the GPUs, for --device "
					  "krun-gpu/gpu=0" },
		{ "cdi-file", 'c', "FILE", "write it there instead of " GPU_CDI_FILE },
		{ 0 },
	};
	static const struct command cmd = {
		"doctor", "", "Say what containers need that this host lacks, and how to get it. "
		"The exit code is 1 when something is missing.", options, 0, 0,
	};
	struct doctor d = { 0 };
	struct gpu_list list;
	int first = command_parse(&cmd, argc, argv, doctor_option, &d, err);
	int r = 0;

	if (first <= 0)
		return first;
	if (gpu_list("", &list, err) < 0)
		return -1;
	check_kvm(&d);
	check_cgroup(&d);
	check_huge_pages(&d);
	check_program(&d, "VMM", LIBEXECDIR "/krun-gpu-vmm", X_OK);
	check_program(&d, "file server", app->host.fs_server ? app->host.fs_server :
							       LIBEXECDIR "/krun-gpu-fs", X_OK);
	check_program(&d, "guest kernel", app->host.kernel ? app->host.kernel :
							     DATADIR "/vmlinux", R_OK);
	check_gpus(&d, app, &list);
	check_driver_bundle(&d, app);
	if (d.write_cdi)
		r = write_cdi(&d, &list, err);
	gpu_list_release(&list);
	if (r < 0)
		return -1;
	if (fflush(stdout))
		return error_set(err, errno, "cannot write to standard output");
	return d.bad ? 1 : 0;
}
