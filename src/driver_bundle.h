/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SRC_DRIVER_BUNDLE_H
#define SRC_DRIVER_BUNDLE_H

/*
 * The guest's Vulkan driver for images that bring none (contrib/driver-bundle makes it):
 * DIR/glibc/virtio_icd.json with its libraries, and DIR/musl where somebody has made one.
 */

struct arena;
struct error;
struct oci_process;
struct oci_spec;

/**
 * driver_bundle_offer() - add the driver to a container that has a GPU and no driver for it
 * @dir:    the bundle
 * @rootfs: the image's root on the host; what it holds is not trusted
 * @spec:   gets a read-only mount below /dev, which is a tmpfs of the container's own: the image
 *          is not touched
 * @icd:    out: the manifest's path in the container, in the spec's arena, for
 *          driver_bundle_set_env(); NULL when nothing was added
 *
 * An image that could use a driver and cannot have this one is told so in the log; as is one whose own
 * driver is older than Mesa 24, or that has no Vulkan loader.
 *
 * Return: 0, or -1 when out of memory.
 */
int driver_bundle_offer(const char *dir, const char *rootfs, struct oci_spec *spec, char **icd,
			struct error **err);

/**
 * driver_bundle_set_env() - point a process's Vulkan loader to the manifest @icd
 *
 * Unless its environment names drivers itself. Return: 0, or -1 when out of memory.
 */
int driver_bundle_set_env(const char *icd, struct arena *arena, struct oci_process *process,
			  struct error **err);

#endif
