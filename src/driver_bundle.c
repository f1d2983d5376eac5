/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * Whether an image has a driver of its own, which C library it has and of what version, is read from
 * its files, each opened below its root, and never executed. A library can only be used with a C
 * library of its kind, and no older than the one it was linked with: the bundle says in its file
 * "requires" which that is.
 */
#include "driver_bundle.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/log.h"
#include "oci/arena.h"
#include "oci/oci_spec.h"

#define BUNDLE_AT "/dev/krun-gpu"
#define BUNDLE_ICD "virtio_icd.json"
#define MANIFEST_MAX (64u << 10)
#define LIBC_MAX (16u << 20)
#define DRIVER_MAX (32u << 20)
#define LOADER "libvulkan.so.1"
#define MESA_NEEDED 24

static const char *const manifest_dirs[] = {
	"usr/share/vulkan/icd.d", "usr/local/share/vulkan/icd.d", "etc/vulkan/icd.d",
	"usr/local/etc/vulkan/icd.d",
};

static const char *const glibc_files[] = {
	"lib/x86_64-linux-gnu/libc.so.6", "usr/lib/x86_64-linux-gnu/libc.so.6",
	"lib64/libc.so.6", "usr/lib64/libc.so.6", "lib/libc.so.6", "usr/lib/libc.so.6",
};

/* Where C libraries look. */
static const char *const library_dirs[] = {
	"lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu", "lib64", "usr/lib64", "lib", "usr/lib",
	"usr/local/lib/x86_64-linux-gnu", "usr/local/lib64", "usr/local/lib",
};

/* The image's own Venus drivers. */
struct image_driver {
	bool there;
	unsigned int mesa; /* the newest one's version; 0: it does not say */
};

struct c_library {
	const char *name; /* as the bundle's folders are called; NULL: none was found */
	unsigned int major, minor;
};

static int open_below(int root, const char *path, uint64_t flags)
{
	struct open_how how = { .flags = flags | O_CLOEXEC,
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

/* An ordinary file's contents, NULL when it is none or longer than @max. */
static char *read_below(int root, const char *path, size_t max, size_t *len)
{
	/* O_NONBLOCK: an image's FIFO must not hold us up. */
	cleanup_close int fd = open_below(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	return fd_read_file(fd, max, len);
}

/* Mesa's drivers say "Mesa 25.0.7" where they say who they are; 0 when the file does not. */
static unsigned int mesa_version(int root, const char *path)
{
	static const char mark[] = "Mesa ";
	size_t len = 0;
	cleanup_free char *text = read_below(root, path, DRIVER_MAX, &len);
	unsigned int major, minor;

	for (char *at = text; at; at++) {
		at = memmem(at, len - (size_t)(at - text), mark, sizeof(mark) - 1);
		if (!at)
			break;
		/* fd_read_file() puts a NUL behind it. */
		if (sscanf(at + sizeof(mark) - 1, "%4u.%4u", &major, &minor) == 2)
			return major;
	}
	return 0;
}

/* The library that a manifest in @dir names: by a path, that may be its own folder's, or by a name. */
static unsigned int manifest_version(int root, const char *dir, const char *manifest)
{
	const char *at = strstr(manifest, "\"library_path\"");
	char library[256], path[512];
	unsigned int version = 0;

	if (!at || sscanf(at + strlen("\"library_path\""), " : \"%255[^\"]\"", library) != 1)
		return 0;
	if (strchr(library, '/')) {
		snprintf(path, sizeof(path), "%s%s%s", *library == '/' ? "" : dir,
			 *library == '/' ? "" : "/", library);
		return mesa_version(root, path);
	}
	for (size_t i = 0; !version && i < sizeof(library_dirs) / sizeof(*library_dirs); i++) {
		snprintf(path, sizeof(path), "%s/%s", library_dirs[i], library);
		version = mesa_version(root, path);
	}
	return version;
}

static void look_at_manifest(int root, const char *dir, const char *name, struct image_driver *d)
{
	size_t length = strlen(name);
	cleanup_free char *text = NULL;
	unsigned int version;
	char path[512];

	if (length < 6 || strcmp(name + length - 5, ".json") ||
	    snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return;
	text = read_below(root, path, MANIFEST_MAX, NULL);
	if (!text || !strstr(text, "vulkan_virtio"))
		return;
	version = manifest_version(root, dir, text);
	d->there = true;
	d->mesa = version > d->mesa ? version : d->mesa;
}

/* Mesa's manifests are called virtio_icd.*, but what counts is the library that they name. */
static struct image_driver image_driver(int root)
{
	struct image_driver found = { 0 };

	for (size_t i = 0; i < sizeof(manifest_dirs) / sizeof(*manifest_dirs); i++) {
		int fd = open_below(root, manifest_dirs[i], O_RDONLY | O_DIRECTORY);
		DIR *dir = fd < 0 ? NULL : fdopendir(fd);
		struct dirent *entry;

		if (!dir) {
			if (fd >= 0)
				close(fd);
			continue;
		}
		while ((entry = readdir(dir)))
			look_at_manifest(root, manifest_dirs[i], entry->d_name, &found);
		closedir(dir);
	}
	return found;
}

/* What a driver is of no use without: the log says so. */
static void look_for_loader(int root)
{
	char path[512];

	for (size_t i = 0; i < sizeof(library_dirs) / sizeof(*library_dirs); i++) {
		snprintf(path, sizeof(path), "%s/" LOADER, library_dirs[i]);
		cleanup_close int fd = open_below(root, path, O_PATH);

		if (fd >= 0)
			return;
	}
	log_warning("the image has no Vulkan loader (" LOADER ") in the usual places: programs without "
		    "one of their own find no GPU");
}

static void look_at_own_driver(int root, const struct image_driver *driver)
{
	if (driver->mesa && driver->mesa < MESA_NEEDED)
		log_warning("the image's Vulkan driver for the GPU is of Mesa %u, and %d or later is "
			    "needed: programs may find no GPU", driver->mesa, MESA_NEEDED);
	look_for_loader(root);
}

/* glibc says of itself "... stable release version 2.41.", for people who execute it. */
static bool glibc_version(const char *text, size_t len, struct c_library *libc)
{
	static const char mark[] = " release version ";
	const char *at = memmem(text, len, mark, sizeof(mark) - 1);
	unsigned int major, minor;

	/* fd_read_file() puts a NUL behind it. */
	if (!at || sscanf(at + sizeof(mark) - 1, "%4u.%4u", &major, &minor) != 2)
		return false;
	libc->major = major;
	libc->minor = minor;
	return true;
}

static struct c_library image_c_library(int root)
{
	struct c_library libc = { 0 };
	struct stat st;

	for (size_t i = 0; i < sizeof(glibc_files) / sizeof(*glibc_files); i++) {
		size_t len = 0;
		cleanup_free char *text = read_below(root, glibc_files[i], LIBC_MAX, &len);

		if (!text || !glibc_version(text, len, &libc))
			continue;
		libc.name = "glibc";
		return libc;
	}
	cleanup_close int musl = open_below(root, "lib/ld-musl-x86_64.so.1", O_PATH);

	if (musl >= 0 && fstat(musl, &st) == 0 && S_ISREG(st.st_mode))
		libc.name = "musl";
	return libc;
}

/* "2.38" in the bundle's file; a bundle without one makes no demand. */
static void bundle_requires(int bundle, unsigned int *major, unsigned int *minor)
{
	cleanup_close int fd = openat(bundle, "requires", O_RDONLY | O_CLOEXEC);
	cleanup_free char *text = fd < 0 ? NULL : fd_read_file(fd, 256, NULL);

	if (!text || sscanf(text, "%4u.%4u", major, minor) != 2)
		*major = *minor = 0;
}

/* Whether a process of the image can use the bundle in @dir; the log says why not. */
static bool bundle_fits(int root, const char *dir, char *path, size_t size)
{
	const struct c_library libc = image_c_library(root);
	cleanup_close int bundle = -1;
	unsigned int major, minor;

	if (!libc.name) {
		log_info("the image has no Vulkan driver for the GPU, nor a C library to use one with");
		return false;
	}
	snprintf(path, size, "%s/%s", dir, libc.name);
	bundle = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (bundle < 0 || faccessat(bundle, BUNDLE_ICD, R_OK, 0) < 0) {
		log_warning("the image has no Vulkan driver for the GPU, and there is none to offer to "
			    "an image with %s: %s is not there", libc.name, path);
		return false;
	}
	bundle_requires(bundle, &major, &minor);
	if (libc.major > major || (libc.major == major && libc.minor >= minor) || !libc.major)
		return true;
	log_warning("the image has no Vulkan driver for the GPU, and the one that is offered needs "
		    "%s %u.%u, but the image has %u.%u", libc.name, major, minor, libc.major,
		    libc.minor);
	return false;
}

static bool names_drivers(const char *variable)
{
	static const char *const names[] = { "VK_DRIVER_FILES=", "VK_ICD_FILENAMES=",
					     "VK_ADD_DRIVER_FILES=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strncmp(variable, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool process_names_drivers(const struct oci_process *process)
{
	for (char **v = process->env; v && *v; v++)
		if (names_drivers(*v))
			return true;
	return false;
}

/* Only there a directory can be made without making it in the image. */
static bool has_own_dev(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->num_mounts; i++)
		if (!strcmp(spec->mounts[i].destination, "/dev"))
			return !strcmp(spec->mounts[i].type, "tmpfs");
	return false;
}

static int add_mount(struct oci_spec *spec, const char *source, struct error **err)
{
	static char *options[] = { (char *)"rbind", (char *)"ro", (char *)"nosuid",
				   (char *)"nodev", (char *)"rprivate", NULL };
	struct oci_mount *mounts = arena_alloc(&spec->arena, spec->num_mounts + 1,
					       sizeof(*mounts));
	char *copy = arena_strdup(&spec->arena, source);

	if (!mounts || !copy)
		return error_set(err, ENOMEM, "cannot offer a Vulkan driver");
	if (spec->num_mounts)
		memcpy(mounts, spec->mounts, spec->num_mounts * sizeof(*mounts));
	mounts[spec->num_mounts++] = (struct oci_mount){
		.destination = (char *)BUNDLE_AT, .type = (char *)"bind", .source = copy,
		.options = options,
	};
	spec->mounts = mounts;
	return 0;
}

int driver_bundle_offer(const char *dir, const char *rootfs, struct oci_spec *spec, char **icd,
			struct error **err)
{
	cleanup_close int root = open(rootfs, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct image_driver driver;
	char path[4096];

	*icd = NULL;
	if (root < 0 || (spec->has_process && process_names_drivers(&spec->process)))
		return 0;
	driver = image_driver(root);
	if (driver.there) {
		look_at_own_driver(root, &driver);
		return 0;
	}
	if (!has_own_dev(spec)) {
		log_warning("the image has no Vulkan driver for the GPU, and none is offered, because "
			    "/dev is no tmpfs of the container's own");
		return 0;
	}
	if (!bundle_fits(root, dir, path, sizeof(path)))
		return 0;
	look_for_loader(root);
	*icd = (char *)BUNDLE_AT "/" BUNDLE_ICD;
	return add_mount(spec, path, err);
}

int driver_bundle_set_env(const char *icd, struct arena *arena, struct oci_process *process,
			  struct error **err)
{
	size_t have = 0;
	char **env;

	if (process_names_drivers(process))
		return 0;
	while (process->env && process->env[have])
		have++;
	env = arena_alloc(arena, have + 3, sizeof(*env));
	if (!env)
		return error_set(err, ENOMEM, "process.env");
	if (have)
		memcpy(env, process->env, have * sizeof(*env));
	/* Loaders before 1.3.207 know the second name only. */
	env[have] = arena_printf(arena, "VK_DRIVER_FILES=%s", icd);
	env[have + 1] = arena_printf(arena, "VK_ICD_FILENAMES=%s", icd);
	if (!env[have] || !env[have + 1])
		return error_set(err, ENOMEM, "process.env");
	process->env = env;
	return 0;
}
