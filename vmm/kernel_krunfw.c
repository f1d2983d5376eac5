/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libkrunfw.so.5: a library whose data is a kernel, its segments flattened by physical address.
 * .bss is not part of it and its length is not told, so room is left behind it. This kernel has no
 * initramfs support (CONFIG_BLK_DEV_INITRD is off).
 */
#include <dlfcn.h>
#include <string.h>

#include "base/error.h"
#include "vmm/arch/arch.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

#define BSS_ROOM (32ull << 20)

typedef char *(*krunfw_get_kernel_fn)(size_t *load, size_t *entry, size_t *size);

static int copy_kernel(const struct guest_memory *gm, krunfw_get_kernel_fn get_kernel,
		       struct kernel_image *image, struct error **err)
{
	size_t load = 0, entry = 0, size = 0;
	const char *kernel = get_kernel(&load, &entry, &size);

	if (!kernel || !size || entry < load || entry - load >= size || load < LAYOUT_KERNEL_MIN)
		return error_set(err, 0, "it holds no kernel that can be understood");
	if (!guest_memory_ptr(gm, load, size + BSS_ROOM))
		return error_set(err, 0, "its %zu MiB at 0x%zx do not fit into the guest's RAM",
				 (size >> 20) + (size_t)(BSS_ROOM >> 20), load);
	guest_memory_write(gm, load, kernel, size);
	image->entry = entry;
	image->end = load + size + BSS_ROOM;
	image->no_initrd = true;
	return 0;
}

int kernel_load_krunfw(const struct guest_memory *gm, const char *path,
		       struct kernel_image *image, struct error **err)
{
	krunfw_get_kernel_fn get_kernel;
	void *lib;
	int r;

	memset(image, 0, sizeof(*image));
	lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return error_set(err, 0, "cannot load the guest kernel: %s", dlerror());
	/* POSIX promises that a function's address survives in a void pointer. */
	get_kernel = (krunfw_get_kernel_fn)dlsym(lib, "krunfw_get_kernel");
	if (get_kernel)
		r = copy_kernel(gm, get_kernel, image, err);
	else
		r = error_set(err, 0, "it has no krunfw_get_kernel()");
	dlclose(lib);
	return r ? error_wrap(err, "guest kernel %s", path) : 0;
}
