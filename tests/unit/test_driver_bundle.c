/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which images are offered a Vulkan driver, on images made of a few files. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "driver_bundle.h"
#include "oci/oci_spec.h"
#include "unit.h"

#define GLIBC "GNU C Library (Debian GLIBC 2.41-12) stable release version 2.41.\n"
#define OLD_GLIBC "GNU C Library (Debian GLIBC 2.36-9) stable release version 2.36.\n"
#define LIBC "usr/lib/x86_64-linux-gnu/libc.so.6"
#define MUSL "lib/ld-musl-x86_64.so.1"
#define ICD "usr/share/vulkan/icd.d/"

static char top[64], image[80], bundle[80];

struct file {
	const char *path, *text; /* text NULL: a FIFO; beginning with '>': a link */
};

static const struct image_case {
	const char *name;
	struct file files[4];
	const char *env[2];
	const char *dev; /* type of what is mounted on /dev; NULL: nothing */
	const char *source; /* of the mount, below the bundle; NULL: nothing is offered */
	const char *log; /* every image has a Vulkan loader but those of which it says otherwise */
} cases[] = {
	{ "glibc, no driver", { { LIBC, GLIBC } }, { NULL }, "tmpfs", "glibc", NULL },
	{ "the oldest that will do",
	  { { LIBC, "x stable release version 2.38.\n" } }, { NULL }, "tmpfs", "glibc", NULL },
	{ "too old", { { LIBC, OLD_GLIBC } }, { NULL }, "tmpfs", NULL, "needs glibc 2.38" },
	{ "merged /usr", { { "usr/lib64/libc.so.6", GLIBC }, { "lib64", ">usr/lib64" } }, { NULL },
	  "tmpfs", "glibc", NULL },
	{ "musl", { { MUSL, "" } }, { NULL }, "tmpfs", NULL, "to an image with musl" },
	{ "musl's loader beside glibc", { { MUSL, "" }, { LIBC, GLIBC } }, { NULL }, "tmpfs",
	  "glibc", NULL },
	{ "static", { { "bin/program", "x" } }, { NULL }, "tmpfs", NULL, "nor a C library" },
	{ "a libc that says nothing", { { LIBC, "x" } }, { NULL }, "tmpfs", NULL, "nor a C library" },
	{ "a FIFO for a libc", { { LIBC, NULL } }, { NULL }, "tmpfs", NULL, "nor a C library" },
	{ "a libc that leads out of the image", { { LIBC, ">/../../outside" } }, { NULL }, "tmpfs",
	  NULL, "nor a C library" },
	{ "its own driver",
	  { { LIBC, GLIBC }, { ICD "virtio_icd.x86_64.json", "/lib/libvulkan_virtio.so" } },
	  { NULL }, "tmpfs", NULL, NULL },
	{ "its own driver, in /etc, by another name",
	  { { LIBC, GLIBC }, { "etc/vulkan/icd.d/a.json", "libvulkan_virtio.so" } }, { NULL },
	  "tmpfs", NULL, NULL },
	{ "another driver", { { LIBC, GLIBC }, { ICD "lvp_icd.json", "libvulkan_lvp.so" } },
	  { NULL }, "tmpfs", "glibc", NULL },
	{ "a manifest by its name only", { { LIBC, GLIBC }, { ICD "virtio_icd.json", NULL } },
	  { NULL }, "tmpfs", "glibc", NULL },
	{ "it names its drivers", { { LIBC, GLIBC } }, { "VK_ICD_FILENAMES=/x" }, "tmpfs", NULL,
	  NULL },
	{ "its own driver, of today",
	  { { LIBC, GLIBC }, { ICD "v.json", "{ \"library_path\": \"libvulkan_virtio.so\" }" },
	    { "usr/lib64/libvulkan_virtio.so", "x Mesa  Mesa 25.0.7-2" } },
	  { NULL }, "tmpfs", NULL, NULL },
	{ "its own driver, too old, by its path",
	  { { LIBC, GLIBC }, { ICD "v.json", "{ \"library_path\" : \"/opt/libvulkan_virtio.so\" }" },
	    { "opt/libvulkan_virtio.so", "x Mesa 22.3.6" } },
	  { NULL }, "tmpfs", NULL, "is of Mesa 22, and 24 or later" },
	{ "its own driver, too old, by its manifest's folder",
	  { { LIBC, GLIBC }, { ICD "v.json", "{\"library_path\":\"../libvulkan_virtio.so\"}" },
	    { "usr/share/vulkan/libvulkan_virtio.so", "Mesa 23.2.1" } },
	  { NULL }, "tmpfs", NULL, "is of Mesa 23, and 24 or later" },
	{ "an old driver beside a newer one",
	  { { ICD "a.json", "{\"library_path\":\"/a/libvulkan_virtio.so\"}" },
	    { ICD "b.json", "{\"library_path\":\"/b/libvulkan_virtio.so\"}" },
	    { "a/libvulkan_virtio.so", "Mesa 23.2.1" }, { "b/libvulkan_virtio.so", "Mesa 24.0.0" } },
	  { NULL }, "tmpfs", NULL, NULL },
	{ "a driver that leads out of the image",
	  { { LIBC, GLIBC }, { ICD "v.json", "{\"library_path\":\"/../../outside\", \"vulkan_virtio" },
	    { "outside", NULL } },
	  { NULL }, "tmpfs", NULL, NULL },
	{ "its own driver, no loader", { { ICD "v.json", "libvulkan_virtio.so" } }, { NULL }, "tmpfs",
	  NULL, "no Vulkan loader" },
	{ "no driver, no loader", { { LIBC, GLIBC } }, { NULL }, "tmpfs", "glibc", "no Vulkan loader" },
	{ "the host's /dev", { { LIBC, GLIBC } }, { NULL }, "bind", NULL, "no tmpfs" },
	{ "no /dev", { { LIBC, GLIBC } }, { NULL }, NULL, NULL, "no tmpfs" },
};

static void make(const char *dir, const struct file *file)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, file->path);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
		*slash = '/';
	}
	if (!file->text) {
		assert_int_equal(mkfifo(path, 0644), 0);
		return;
	}
	if (*file->text == '>') {
		assert_int_equal(symlink(file->text + 1, path), 0);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file->text, strlen(file->text)), strlen(file->text));
	close(fd);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int setup(void **state)
{
	static const struct file files[] = { { "glibc/virtio_icd.json", "{}" },
					     { "glibc/requires", "2.38\n" } };
	static const struct file outside = { "outside", GLIBC "Mesa 22.3.6" };

	(void)state;
	strcpy(top, "/tmp/test-driver-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(image, sizeof(image), "%s/image", top);
	snprintf(bundle, sizeof(bundle), "%s/bundle", top);
	for (size_t i = 0; i < 2; i++)
		make(bundle, &files[i]);
	make(top, &outside);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return nftw(top, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

/* What the image gets. */
static void offer(const struct image_case *c)
{
	const char *env[] = { c->env[0], NULL };
	struct oci_mount mounts[] = { { .destination = (char *)"/proc", .type = (char *)"proc" },
				      { .destination = (char *)"/dev", .type = (char *)c->dev } };
	struct oci_spec spec = { .mounts = mounts, .num_mounts = c->dev ? 2 : 1,
				 .has_process = true, .process.env = (char **)env };
	const size_t before = spec.num_mounts;
	struct error *err = NULL;
	char *icd = NULL;

	assert_int_equal(driver_bundle_offer(bundle, image, &spec, &icd, &err), 0);
	if (!!icd != !!c->source || spec.num_mounts != before + !!c->source)
		fail_msg("%s: %s, %zu mounts", c->name, icd ? icd : "nothing", spec.num_mounts);
	if (icd) {
		assert_string_equal(spec.mounts[before].destination, "/dev/krun-gpu");
		assert_string_equal(spec.mounts[before].source + strlen(bundle) + 1, c->source);
		assert_string_equal(spec.mounts[before].options[1], "ro");
		assert_string_equal(spec.mounts[1].destination, "/dev");
	}
	arena_release(&spec.arena);
}

static void check_log(const struct image_case *c, int fd)
{
	char log[512] = "";
	ssize_t n = pread(fd, log, sizeof(log) - 1, 0);

	assert_true(n >= 0);
	if (c->log ? !strstr(log, c->log) : *log)
		fail_msg("%s: the log says \"%s\"", c->name, log);
}

static void test_images(void **state)
{
	static const struct file loader = { "usr/local/lib/libvulkan.so.1", "x" };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = memfd_create("log", MFD_CLOEXEC);

		log_init("test", fd, LOG_FORMAT_TEXT, LOG_LEVEL_INFO);
		assert_int_equal(mkdir(image, 0755), 0);
		for (const struct file *f = cases[i].files; f < cases[i].files + 4 && f->path; f++)
			make(image, f);
		if (!cases[i].log || !strstr(cases[i].log, "loader"))
			make(image, &loader);
		offer(&cases[i]);
		check_log(&cases[i], fd);
		close(fd);
		assert_int_equal(nftw(image, remove_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
	}
}

static void test_bundle_is_missing(void **state)
{
	struct oci_mount dev = { .destination = (char *)"/dev", .type = (char *)"tmpfs" };
	struct oci_spec spec = { .mounts = &dev, .num_mounts = 1 };
	static const struct file libc = { LIBC, GLIBC };
	struct error *err = NULL;
	char *icd;

	(void)state;
	log_init("test", -1, LOG_FORMAT_TEXT, LOG_LEVEL_ERROR);
	assert_int_equal(mkdir(image, 0755), 0);
	make(image, &libc);
	assert_int_equal(driver_bundle_offer("/nowhere", image, &spec, &icd, &err), 0);
	assert_null(icd);
	assert_int_equal(spec.num_mounts, 1);
	assert_int_equal(driver_bundle_offer(bundle, "/nowhere", &spec, &icd, &err), 0);
	assert_null(icd);
}

static void test_environment(void **state)
{
	char *own[] = { (char *)"A=b", (char *)"VK_ADD_DRIVER_FILES=/mine", NULL };
	char *none[] = { (char *)"A=b", NULL };
	struct oci_process process = { .env = none };
	struct arena arena = { 0 };
	struct error *err = NULL;

	(void)state;
	assert_int_equal(driver_bundle_set_env("/i", &arena, &process, &err), 0);
	assert_string_equal(process.env[0], "A=b");
	assert_string_equal(process.env[1], "VK_DRIVER_FILES=/i");
	assert_string_equal(process.env[2], "VK_ICD_FILENAMES=/i");
	assert_null(process.env[3]);
	process.env = own;
	assert_int_equal(driver_bundle_set_env("/i", &arena, &process, &err), 0);
	assert_ptr_equal(process.env, own);
	process.env = NULL;
	assert_int_equal(driver_bundle_set_env("/i", &arena, &process, &err), 0);
	assert_string_equal(process.env[0], "VK_DRIVER_FILES=/i");
	arena_release(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_images, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bundle_is_missing, setup, teardown),
		cmocka_unit_test(test_environment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
