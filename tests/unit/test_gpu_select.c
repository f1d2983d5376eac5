/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which Vulkan driver is chosen, on hosts made of files. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/error.h"
#include "gpu_cdi.h"
#include "gpu_list.h"
#include "gpu_select.h"
#include "gpu_virgl.h"
#include "unit.h"

#define DRM 226

static char root[64];

/* makedev() is no constant: setup() fills the numbers in. */
static struct gpu_node two_gpus[] = {
	{ .path = "/dev/dri/card0" },
	{ .path = "/dev/dri/card1" },
	{ .path = "/dev/dri/renderD128" },
	{ .path = "/dev/dri/renderD129" },
};

static void make_parents(char *path)
{
	char *slash = path + strlen(root);

	while ((slash = strchr(slash + 1, '/'))) {
		*slash = 0;
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
}

static void make_file(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s%s", root, name);
	make_parents(path);
	close(open(path, O_WRONLY | O_CREAT, 0644));
}

/* A device as sysfs shows it: both of its nodes lead to it, and it to its driver. */
static void make_gpu(const char *device, const char *driver, unsigned int card)
{
	char path[256], target[256];

	snprintf(path, sizeof(path), "%s/sys/devices/%s/driver", root, device);
	snprintf(target, sizeof(target), "../../bus/pci/drivers/%s", driver);
	make_parents(path);
	assert_int_equal(symlink(target, path), 0);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/sys/dev/char/%u:%u/device", root, DRM,
			 card + 128 * i);
		make_parents(path);
		snprintf(target, sizeof(target), "../../../devices/%s", device);
		assert_int_equal(symlink(target, path), 0);
	}
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 4; i++)
		two_gpus[i].rdev = makedev(DRM, i / 2 * 128 + i % 2);
	strcpy(root, "/tmp/test-gpu-select-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}


static int run(const struct gpu_node *nodes, size_t count, bool software, const char *annotation,
	       struct gpu_choice *out, struct error **err)
{
	const struct gpu_request req = { nodes, count, software, annotation };

	return gpu_select(&req, root, out, err);
}

static void test_amd(void **state)
{
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	make_gpu("pci0/0000:00:01.0", "simple-framebuffer", 0);
	make_gpu("pci0/0000:03:00.0", "amdgpu", 1);
	make_file("/usr/share/vulkan/icd.d/radeon_icd.i686.json");
	make_file("/usr/share/vulkan/icd.d/intel_icd.json");
	make_file("/usr/share/vulkan/icd.d/radeon_icd.json");
	assert_int_equal(run(two_gpus, 4, false, NULL, &c, &err), 0);
	assert_string_equal(c.driver, "amdgpu");
	assert_string_equal(c.icd, "/usr/share/vulkan/icd.d/radeon_icd.json");
	assert_false(c.software);
	assert_string_equal(c.devices[0], "/dev/dri/card1");
	assert_string_equal(c.devices[1], "/dev/dri/renderD129");
	assert_null(c.devices[2]);
	gpu_choice_release(&c);
	/* The administrator's own manifest comes first. */
	make_file("/etc/vulkan/icd.d/radeon_icd.json");
	assert_int_equal(run(two_gpus, 4, false, NULL, &c, &err), 0);
	assert_string_equal(c.icd, "/etc/vulkan/icd.d/radeon_icd.json");
	gpu_choice_release(&c);
}

static void test_intel_has_two(void **state)
{
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	make_gpu("pci0/0000:00:02.0", "i915", 0);
	make_file("/usr/share/vulkan/icd.d/intel_hasvk_icd.json");
	assert_int_equal(run(two_gpus, 1, false, NULL, &c, &err), 0);
	assert_string_equal(c.icd, "/usr/share/vulkan/icd.d/intel_hasvk_icd.json");
	gpu_choice_release(&c);
	make_file("/usr/share/vulkan/icd.d/intel_icd.json");
	assert_int_equal(run(two_gpus, 1, false, NULL, &c, &err), 0);
	assert_string_equal(c.icd, "/usr/share/vulkan/icd.d/intel_icd.json:"
				   "/usr/share/vulkan/icd.d/intel_hasvk_icd.json");
	gpu_choice_release(&c);
}

static void test_nvidia_without_drm(void **state)
{
	const struct gpu_node node = { "/dev/nvidia0", makedev(195, 0) };
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	make_file("/usr/share/vulkan/icd.d/nvidia_icd.json");
	make_file("/dev/nvidiactl");
	make_file("/dev/nvidia-uvm");
	make_file("/dev/nvidia0");
	assert_int_equal(run(&node, 1, false, NULL, &c, &err), 0);
	assert_string_equal(c.driver, "nvidia");
	assert_string_equal(c.devices[0], "/dev/nvidiactl");
	assert_string_equal(c.devices[1], "/dev/nvidia-uvm");
	assert_string_equal(c.devices[2], "/dev/nvidia0");
	assert_null(c.devices[3]);
	gpu_choice_release(&c);
}

static void test_software(void **state)
{
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	make_gpu("pci0/0000:03:00.0", "amdgpu", 1);
	make_gpu("platform/vgem", "vgem", 0);
	make_file("/usr/share/vulkan/icd.d/lvp_icd.json");
	assert_int_equal(run(two_gpus, 4, false, NULL, &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "/dev/dri/card0 (kernel driver vgem)"));
	assert_non_null(strstr(error_msg(err), "software-gpu = yes"));
	assert_int_equal(run(two_gpus + 1, 1, false, NULL, &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "/dev/dri/card1 (kernel driver amdgpu)"));
	assert_non_null(strstr(error_msg(err), "mesa-vulkan-drivers"));
	error_free(&err);
	assert_int_equal(run(two_gpus, 4, true, NULL, &c, &err), 0);
	assert_true(c.software);
	assert_string_equal(c.icd, "/usr/share/vulkan/icd.d/lvp_icd.json");
	assert_null(c.devices[0]);
	gpu_choice_release(&c);
	/* A real driver is preferred, unless the container asks otherwise. */
	make_file("/usr/share/vulkan/icd.d/radeon_icd.x86_64.json");
	make_file("/usr/share/vulkan/icd.d/radeon_icd.aarch64.json");
	assert_int_equal(run(two_gpus, 4, true, NULL, &c, &err), 0);
	assert_false(c.software);
	gpu_choice_release(&c);
	assert_int_equal(run(two_gpus, 4, false, "software", &c, &err), 0);
	assert_true(c.software);
	gpu_choice_release(&c);
	assert_int_equal(run(two_gpus, 4, false, "hardware", &c, &err), -1);
	error_free(&err);
}

/* As NVIDIA's driver lists one. */
static void make_nvidia(const char *pci, const char *name, unsigned int minor)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/proc/driver/nvidia/gpus/%s/information", root, pci);
	make_parents(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "Model: \t\t %s\nIRQ:   \t\t 41\nGPU UUID: \t GPU-%u\nDevice Minor: \t %u\n", name,
		minor, minor);
	fclose(f);
}

/* An entry of /sys/class/drm; the device as make_gpu() made it. */
static void make_drm(const char *entry, const char *device, unsigned int minor)
{
	char path[256], target[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/sys/class/drm/%s/dev", root, entry);
	make_parents(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%u:%u\n", DRM, minor);
	fclose(f);
	snprintf(path, sizeof(path), "%s/sys/class/drm/%s/device", root, entry);
	snprintf(target, sizeof(target), "%s/sys/devices/%s", root, device);
	assert_int_equal(symlink(target, path), 0);
}

/* Two of NVIDIA's, the second one with a DRM node, an AMD between them, and one without a driver. */
static void make_host(void)
{
	make_nvidia("0000:01:00.0", "NVIDIA H200", 0);
	make_nvidia("0000:0a:00.0", "NVIDIA L4", 1);
	make_gpu("pci0/0000:03:00.0", "amdgpu", 0);
	make_gpu("pci0/0000:0a:00.0", "nvidia", 1);
	make_gpu("platform/vgem", "vgem", 2);
	make_drm("card0", "pci0/0000:03:00.0", 0);
	make_drm("renderD128", "pci0/0000:03:00.0", 128);
	make_drm("card0-HDMI-A-1", "pci0/0000:03:00.0", 7);
	make_drm("renderD129", "pci0/0000:0a:00.0", 129);
	make_drm("card2", "platform/vgem", 2);
	make_file("/usr/share/vulkan/icd.d/nvidia_icd.json");
	make_file("/dev/nvidiactl");
}

static void test_list(void **state)
{
	struct error *err = NULL;
	struct gpu_list list;

	(void)state;
	make_host();
	assert_int_equal(gpu_list(root, &list, &err), 0);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.gpus[0].pci, "0000:01:00.0");
	assert_string_equal(list.gpus[0].name, "NVIDIA H200");
	assert_string_equal(list.gpus[0].uuid, "GPU-0");
	assert_int_equal(list.gpus[0].num_nodes, 1);
	assert_string_equal(list.gpus[0].nodes[0].path, "/dev/nvidia0");
	assert_non_null(list.gpus[0].icd);
	assert_string_equal(list.gpus[1].driver, "amdgpu");
	assert_int_equal(list.gpus[1].num_nodes, 2);
	assert_null(list.gpus[1].icd);
	assert_non_null(strstr(list.gpus[1].why, "mesa-vulkan-drivers"));
	assert_int_equal(list.gpus[2].num_nodes, 2);
	assert_string_equal(list.gpus[2].nodes[0].path, "/dev/dri/renderD129");
	assert_string_equal(list.gpus[2].nodes[1].path, "/dev/nvidia1");
	assert_string_equal(list.gpus[3].name, "vgem");
	assert_null(list.software);
	assert_ptr_equal(gpu_list_find(&list, "1", &err), &list.gpus[1]);
	assert_ptr_equal(gpu_list_find(&list, "0000:0A:00.0", &err), &list.gpus[2]);
	assert_ptr_equal(gpu_list_find(&list, "0a:00.0", &err), &list.gpus[2]);
	assert_ptr_equal(gpu_list_find(&list, "gpu-0", &err), &list.gpus[0]);
	assert_ptr_equal(gpu_list_find(&list, "h200", &err), &list.gpus[0]);
	assert_null(gpu_list_find(&list, "nvidia", &err));
	assert_non_null(strstr(error_msg(err), "more than one"));
	assert_null(gpu_list_find(&list, "4", &err));
	assert_non_null(strstr(error_msg(err), "the host has 4"));
	assert_null(gpu_list_find(&list, "", &err));
	assert_null(gpu_list_find(&list, "Voodoo", &err));
	error_free(&err);
	gpu_list_release(&list);
}

/* A library's name, as an installation has it. */
static void have_virgl(const char *so)
{
	char name[128];

	snprintf(name, sizeof(name), "/usr/lib/x86_64-linux-gnu/libvirglrenderer.so.%s", so);
	make_file(name);
}

static void test_virglrenderer(void **state)
{
	struct error *err = NULL;
	struct gpu_list list;

	(void)state;
	make_host();
	make_file("/usr/share/vulkan/icd.d/radeon_icd.json");
	assert_int_equal(gpu_virgl_version(root), GPU_VIRGL_UNKNOWN);
	have_virgl("1.7.7");
	assert_int_equal(gpu_virgl_version(root), GPU_VIRGL_OLD);
	assert_int_equal(gpu_list(root, &list, &err), 0);
	assert_null(list.gpus[0].icd);
	assert_null(list.gpus[1].icd);
	assert_string_equal(list.gpus[1].why, "needs virglrenderer 1.0, the host has an older one");
	gpu_list_release(&list);
	have_virgl("1.9.9");
	assert_int_equal(gpu_virgl_version(root), GPU_VIRGL(1, 1));
	assert_int_equal(gpu_list(root, &list, &err), 0);
	assert_null(list.gpus[0].icd);
	assert_string_equal(list.gpus[0].why, "needs virglrenderer 1.2, the host has 1.1");
	assert_non_null(list.gpus[1].icd);
	gpu_list_release(&list);
	have_virgl("1.10.0");
	assert_int_equal(gpu_virgl_version(root), GPU_VIRGL(1, 2));
	assert_int_equal(gpu_list(root, &list, &err), 0);
	assert_non_null(list.gpus[0].icd);
	gpu_list_release(&list);
}

/* What one name has and another one only begins with; addresses as nvidia-smi writes them. */
static void test_names_like_each_other(void **state)
{
	struct error *err = NULL;
	struct gpu_list list;

	(void)state;
	make_nvidia("0000:01:00.0", "NVIDIA L40", 0);
	make_nvidia("0000:02:00.0", "NVIDIA L4", 1);
	make_nvidia("0000:03:00.0", "NVIDIA L40S", 2);
	make_nvidia("0000:04:00.0", "NVIDIA L40 Ada", 3);
	assert_int_equal(gpu_list(root, &list, &err), 0);
	assert_ptr_equal(gpu_list_find(&list, "l4", &err), &list.gpus[1]);
	assert_ptr_equal(gpu_list_find(&list, "NVIDIA L40", &err), &list.gpus[0]);
	assert_ptr_equal(gpu_list_find(&list, "40S", &err), &list.gpus[2]);
	assert_null(gpu_list_find(&list, "L40", &err));
	assert_non_null(strstr(error_msg(err), "more than one"));
	assert_ptr_equal(gpu_list_find(&list, "00000000:03:00.0", &err), &list.gpus[2]);
	assert_null(gpu_list_find(&list, "00010000:03:00.0", &err));
	error_free(&err);
	gpu_list_release(&list);
}

static void test_annotation(void **state)
{
	const struct gpu_node given[] = { { "/dev/nvidiactl", makedev(195, 255) },
					  { "/dev/nvidia1", makedev(195, 1) },
					  { "/dev/dri/renderD129", makedev(DRM, 129) } };
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	make_host();
	/* Nothing was given: the GPU's own nodes. */
	assert_int_equal(run(NULL, 0, false, "L4", &c, &err), 0);
	assert_string_equal(c.driver, "nvidia");
	assert_string_equal(c.devices[0], "/dev/dri/renderD129");
	assert_string_equal(c.devices[1], "/dev/nvidiactl");
	assert_string_equal(c.devices[2], "/dev/nvidia1");
	assert_null(c.devices[3]);
	gpu_choice_release(&c);
	assert_int_equal(run(given, 2, false, "2", &c, &err), 0);
	assert_string_equal(c.devices[0], "/dev/nvidiactl");
	assert_string_equal(c.devices[1], "/dev/nvidia1");
	assert_null(c.devices[2]);
	gpu_choice_release(&c);
	/* What was given bounds what can be named. */
	assert_int_equal(run(given, 3, false, "H200", &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "not among the devices"));
	assert_int_equal(run(NULL, 0, false, "vgem", &c, &err), -1);
	assert_int_equal(run(NULL, 0, false, "03:00.0", &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "radeon_icd"));
	error_free(&err);
}

static void test_cdi(void **state)
{
	struct error *err = NULL;
	struct gpu_list list;
	char *text;

	(void)state;
	make_host();
	assert_int_equal(gpu_list(root, &list, &err), 0);
	text = gpu_cdi_text(&list, &err);
	assert_non_null(text);
	assert_non_null(strstr(text, "\"kind\": \"krun-gpu/gpu\""));
	assert_non_null(strstr(text, "\"name\": \"0\""));
	assert_null(strstr(text, "\"name\": \"1\"")); /* not usable */
	assert_non_null(strstr(text, "\"path\": \"/dev/nvidia1\""));
	assert_null(strstr(text, "card0"));
	assert_non_null(strstr(text, "\"name\": \"all\""));
	free(text);
	gpu_list_release(&list);
	list = (struct gpu_list){ 0 };
	assert_null(gpu_cdi_text(&list, &err));
	error_free(&err);
}

static void test_nothing_there(void **state)
{
	struct error *err = NULL;
	struct gpu_choice c;

	(void)state;
	assert_int_equal(run(two_gpus, 1, true, NULL, &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "lavapipe"));
	assert_int_equal(run(two_gpus, 1, false, NULL, &c, &err), -1);
	assert_non_null(strstr(error_msg(err), "kernel driver unknown"));
	assert_int_equal(run(two_gpus, 0, false, NULL, &c, &err), -1);
	error_free(&err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_amd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_intel_has_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nvidia_without_drm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_software, setup, teardown),
		cmocka_unit_test_setup_teardown(test_list, setup, teardown),
		cmocka_unit_test_setup_teardown(test_virglrenderer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names_like_each_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_annotation, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cdi, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_there, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
