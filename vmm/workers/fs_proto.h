/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_PROTO_H
#define VMM_WORKERS_FS_PROTO_H

/* The FUSE protocol as <linux/fuse.h> has it, and what older copies of that header lack. */

#include <linux/fuse.h>

/* 7.38 extensions in Linux 6.3: one supplementary group along with a request that creates. */
#ifndef FUSE_CREATE_SUPP_GROUP
#define FUSE_CREATE_SUPP_GROUP (1ULL << 34)
#define FUSE_EXT_GROUPS 32
struct fuse_supp_groups {
	uint32_t nr_groups;
	uint32_t groups[];
};
#endif

/* The oldest kernel served: 7.31 is Linux 5.4's, the first with virtio-fs. */
#define FS_FUSE_MINOR_MIN 31

#define FS_MAX_WRITE (1u << 20)
#define FS_MAX_PAGES (FS_MAX_WRITE / 4096)

#endif
