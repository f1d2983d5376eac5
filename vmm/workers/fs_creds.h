/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_CREDS_H
#define VMM_WORKERS_FS_CREDS_H

/*
 * On whose behalf the calling thread acts on the host's file system. The guest's kernel checks
 * permissions; the server creates files as the guest's user, so that they have the right owner
 * from the first moment on, and does everything else as itself. All of it is per thread: a thread
 * calls fs_creds_thread_init() before its first request.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/** struct fs_creds - for whom a file is created */
struct fs_creds {
	uid_t uid;
	gid_t gid;
	mode_t umask;
	bool has_group; /* the user is, besides, a member of @group: the directory's */
	gid_t group;
};

/** fs_creds_thread_init() - give this thread a umask and a working directory of its own */
int fs_creds_thread_init(struct error **err);

/** fs_creds_assume() - be that user until fs_creds_restore(); 0, or -errno and nothing changed */
int fs_creds_assume(const struct fs_creds *c);
void fs_creds_restore(void);

/**
 * fs_creds_set_fsetid() - without CAP_FSETID the kernel clears SUID and SGID when a file is written
 */
void fs_creds_set_fsetid(bool on);

#endif
