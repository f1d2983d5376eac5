/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The initramfs is written where the guest will find it, as a cpio archive of the "newc" kind
 * (Linux, Documentation/driver-api/early-userspace/buffer-format.rst): a few empty directories to
 * mount things on, a console for the first process to open, and the agent, read straight from its
 * file.
 */
#include "vmm/initramfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/error.h"
#include "vmm/guest_memory.h"
#include "vmm/kernel_load.h"

#define CPIO_HEADER_SIZE 110u
#define CPIO_ALIGN 4u
#define PAGE 4096u
/* Headers and names of all that is not the agent. */
#define ARCHIVE_OVERHEAD 4096u

/* The archive in the making: a piece of guest RAM. */
struct archive {
	char *data;
	size_t len, size;
	unsigned int inodes;
};

struct node {
	const char *name;
	mode_t mode;
	unsigned int major, minor;
	size_t size; /* bytes of content that follow */
};

static const struct node nodes[] = {
	{ .name = "dev", .mode = S_IFDIR | 0755 },
	{ .name = "dev/console", .mode = S_IFCHR | 0600, .major = 5, .minor = 1 },
	{ .name = "proc", .mode = S_IFDIR | 0555 },
	{ .name = "sys", .mode = S_IFDIR | 0555 },
	{ .name = "run", .mode = S_IFDIR | 0755 },
	{ .name = "export", .mode = S_IFDIR | 0755 },
};

static void pad(struct archive *a)
{
	while (a->len % CPIO_ALIGN)
		a->data[a->len++] = 0;
}

/* ARCHIVE_OVERHEAD is room enough for all headers there are. */
static void put_header(struct archive *a, const struct node *n)
{
	const size_t name_size = strlen(n->name) + 1;

	sprintf(a->data + a->len,
		"070701%08X%08X%08X%08X%08X%08X%08zX%08X%08X%08X%08X%08zX%08X", ++a->inodes,
		(unsigned int)n->mode, 0u, 0u, S_ISDIR(n->mode) ? 2u : 1u, 0u, n->size, 0u, 0u,
		n->major, n->minor, name_size, 0u);
	a->len += CPIO_HEADER_SIZE;
	memcpy(a->data + a->len, n->name, name_size);
	a->len += name_size;
	pad(a);
}

/* The region that RAM begins with ends below 4 GiB, where the kernel wants an initramfs. */
static int archive_place(const struct guest_memory *gm, uint64_t floor, size_t size,
			 struct archive *a, uint64_t *gpa, struct error **err)
{
	const uint64_t top = gm->regions[0].size;

	*gpa = size < top ? (top - size) & ~(uint64_t)(PAGE - 1) : 0;
	if (*gpa < floor || size >= top)
		return error_set(err, 0, "the guest's RAM of %llu MiB is too small for its kernel",
				 (unsigned long long)(top >> 20));
	*a = (struct archive){ .data = guest_memory_ptr(gm, *gpa, top - *gpa),
			       .size = top - *gpa };
	return a->data ? 0 : error_set(err, 0, "the guest has no RAM");
}

int initramfs_build(const struct guest_memory *gm, int agent_fd, uint64_t floor, uint64_t *gpa,
		    uint64_t *size, struct error **err)
{
	const struct node trailer = { .name = "TRAILER!!!" };
	struct node init = { .name = "init", .mode = S_IFREG | 0755 };
	struct archive a;
	struct stat st;

	if (fstat(agent_fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    st.st_size > INT32_MAX)
		return error_set(err, 0, "the guest agent is not a file that can be read");
	init.size = (size_t)st.st_size;
	if (archive_place(gm, floor, init.size + ARCHIVE_OVERHEAD, &a, gpa, err))
		return -1;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		put_header(&a, &nodes[i]);
	put_header(&a, &init);
	if (kernel_place(gm, agent_fd, 0, init.size, *gpa + a.len, err))
		return error_wrap(err, "the guest agent");
	a.len += init.size;
	pad(&a);
	put_header(&a, &trailer);
	*size = a.len;
	return 0;
}
