/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_SANDBOX_H
#define BASE_SANDBOX_H

/*
 * Giving up rights, for the long-lived processes. Each narrows itself, in its main(), after it has
 * opened what it needs and before it sees anything untrusted.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

/** struct sandbox_rule - one system call a process needs, and why (the reason is documentation) */
struct sandbox_rule {
	const char *syscall; /* name; one the running libseccomp does not know is skipped */
	const char *why;
	/* When arg_mask is not 0: allowed only if (argument[arg] & arg_mask) == arg_value. */
	unsigned int arg;
	uint64_t arg_mask;
	uint64_t arg_value;
	/* Argument 0 is to be this process's own id, as it is when the filter is loaded. */
	bool self;
};

/* A rule for every call of that name. */
#define SANDBOX_ALLOW(name, reason) { .syscall = (name), .why = (reason) }
/* For calls whose argument @n has none of the bits @bits. */
#define SANDBOX_WITHOUT(name, n, bits, reason) \
	{ .syscall = (name), .why = (reason), .arg = (n), .arg_mask = (bits), .arg_value = 0 }
/* For calls whose argument @n, an int, is @v. */
#define SANDBOX_ARG(name, n, v, reason) \
	{ .syscall = (name), .why = (reason), .arg = (n), .arg_mask = 0xffffffff, .arg_value = (v) }
/*
 * fcntl() is to be allowed by its commands: F_SETOWN and F_SETSIG have the kernel send signals to
 * others on this process's behalf, SIGKILL among them.
 */
#define SANDBOX_FCNTL(command, reason) SANDBOX_ARG("fcntl", 1, command, reason)
/* Without it a process of user 0 could signal every process of that user's, on the whole host. */
#define SANDBOX_TGKILL_SELF(reason) { .syscall = "tgkill", .why = (reason), .self = true }

/**
 * sandbox_no_new_privs() - PR_SET_NO_NEW_PRIVS, no core dumps, not traceable by equals
 */
int sandbox_no_new_privs(struct error **err);

/**
 * sandbox_keep_caps() - drop every capability but those named, also from the bounding set
 * @caps:  CAP_* numbers kept in permitted and effective
 * @count: 0: none at all
 */
int sandbox_keep_caps(const int *caps, size_t count, struct error **err);

/**
 * sandbox_empty_root() - pivot into an empty, read-only tmpfs in a mount namespace of our own
 *
 * After it no path leads anywhere. Needs CAP_SYS_ADMIN. Open fds stay as they are.
 */
int sandbox_empty_root(struct error **err);

/**
 * sandbox_root_of() - the same, with a few paths of the old root in their places
 * @paths: absolute, of directories and files; read-only, but devices work
 * @count: at most SANDBOX_PATHS_MAX
 *
 * ".." leads nowhere else from them.
 */
int sandbox_root_of(const char *const *paths, size_t count, struct error **err);

#define SANDBOX_PATHS_MAX 4

/* User ids from here up are given to nobody (systemd's UIDS-GIDS); a pid makes one unique. */
#define SANDBOX_UID_BASE 1879048192u

/**
 * sandbox_become_user() - a user and group that own nothing, without other groups or capabilities
 * @id: SANDBOX_UID_BASE and the pid, as the host has it
 *
 * In a user namespace that does not map so many ids the process stays who it is. The bounding set is
 * emptied in any case: later there is no capability left to do so with.
 */
int sandbox_become_user(uid_t id, struct error **err);

/** sandbox_has_cap() - is this capability effective? */
bool sandbox_has_cap(int cap);

/**
 * sandbox_leave_root() - exchange the root for an empty one that is mounted nowhere
 *
 * For a process whose root lies over another one in a mount namespace of its own: that one shows, to
 * who joins the namespace. Needs CAP_SYS_ADMIN and CAP_SYS_CHROOT; no path leads anywhere after it.
 */
int sandbox_leave_root(struct error **err);

/**
 * sandbox_seccomp() - load a filter on all threads of the process: what no rule allows kills it
 * @rules: several rules for one system call are alternatives
 * @count: their number
 */
int sandbox_seccomp(const struct sandbox_rule *rules, size_t count, struct error **err);

#endif
