/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Extended attributes. The guest has those that are its own business: user.*, POSIX ACLs and file
 * capabilities. The rest stays the host's: security.selinux and its like are labels of the host's
 * policy, and trusted.* would take CAP_SYS_ADMIN, which this process has not. Those cannot be set
 * (EOPNOTSUPP, as on a file system without them) and are not listed.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "vmm/workers/fs_ops.h"

#define FS_XATTR_SIZE_MAX 65536u /* XATTR_SIZE_MAX and XATTR_LIST_MAX */

#define FS_ACL_ACCESS "system.posix_acl_access"
#define FS_ACL_DEFAULT "system.posix_acl_default"


static bool fs_xattr_is_acl(const char *name)
{
	return !strcmp(name, FS_ACL_ACCESS) || !strcmp(name, FS_ACL_DEFAULT);
}

static bool fs_xattr_allowed(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability") ||
	       fs_xattr_is_acl(name);
}

/*
 * The inode and its path for the calls, which take none of O_PATH's fds: a thread's working
 * directory is /proc/self/fd (fs_server_thread_init()), and the name there leads to the
 * inode itself, be it a symlink.
 */
static int fs_xattr_target(struct fs_server *s, struct fs_request *r, struct fs_inode **inode,
			   struct fs_proc_name *path)
{
	*inode = fs_node(s, r);
	if (!*inode)
		return -ESTALE;
	*path = fs_proc_name((*inode)->fd);
	return 0;
}

static int fs_xattr_name(struct fs_request *r, const char **name)
{
	int ret = fs_arg_str(r, FS_NAME_MAX, name);

	if (ret < 0)
		return ret == -ENAMETOOLONG ? -ERANGE : ret;
	return fs_xattr_allowed(*name) ? 0 : -EOPNOTSUPP;
}

/* A file's group may not be its new ACL's setter's: SGID goes, if the guest says so. */
static int fs_xattr_kill_sgid(struct fs_server *s, const struct fs_inode *inode,
			      const struct fs_proc_name *path)
{
	struct statx stx;
	int ret = fs_statx(inode->fd, &stx);

	if (ret < 0 || !(stx.stx_mode & S_ISGID))
		return ret;
	return fchmodat(s->proc_fd, path->s, stx.stx_mode & 07777 & ~S_ISGID, 0) < 0 ? -errno : 0;
}

int fs_op_setxattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_setxattr_in *in = arg; /* of it, what the table says */
	cleanup_inode struct fs_inode *inode = NULL;
	uint32_t setxattr_flags = 0;
	struct fs_proc_name path;
	const char *name, *value;
	int ret;

	if (s->setxattr_ext) {
		if (!fs_arg(r, sizeof(*in) - offsetof(struct fuse_setxattr_in, setxattr_flags)))
			return -EINVAL;
		setxattr_flags = in->setxattr_flags;
	}
	ret = fs_xattr_name(r, &name);
	if (!ret)
		ret = fs_xattr_target(s, r, &inode, &path);
	if (ret < 0)
		return ret;
	value = in->size <= FS_XATTR_SIZE_MAX ? fs_arg(r, in->size) : NULL;
	if (!value)
		return in->size > FS_XATTR_SIZE_MAX ? -E2BIG : -EINVAL;
	if (setxattr(path.s, name, value, in->size, (int)in->flags) < 0)
		return -errno;
	if ((setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) && !strcmp(name, FS_ACL_ACCESS))
		ret = fs_xattr_kill_sgid(s, inode, &path);
	return ret < 0 ? ret : fs_reply_error(r, 0);
}

/* Answer GETXATTR or LISTXATTR of @size bytes with @len bytes of data, or with their number. */
static int fs_xattr_reply(struct fs_request *r, uint32_t size, const char *data, size_t len)
{
	const struct fuse_getxattr_out out = { .size = (uint32_t)len };

	if (!size)
		return fs_reply(r, &out, sizeof(out));
	return len > size ? -ERANGE : fs_reply(r, data, len);
}

int fs_op_getxattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_getxattr_in *in = arg;
	const uint32_t size = in->size < FS_XATTR_SIZE_MAX ? in->size : FS_XATTR_SIZE_MAX;
	cleanup_inode struct fs_inode *inode = NULL;
	cleanup_free char *value = NULL;
	struct fs_proc_name path;
	const char *name;
	ssize_t n;
	int ret = fs_xattr_name(r, &name);

	if (!ret)
		ret = fs_xattr_target(s, r, &inode, &path);
	if (ret < 0)
		return ret;
	value = size ? malloc(size) : NULL;
	if (size && !value)
		return -ENOMEM;
	n = getxattr(path.s, name, value, size);
	if (n < 0) {
		/* The guest's kernel takes "no ACLs here" for an error on every access. */
		return errno == EOPNOTSUPP && fs_xattr_is_acl(name) ? -ENODATA : -errno;
	}
	return fs_xattr_reply(r, size, value, (size_t)n);
}

/* Keep the names that are the guest's, in place. */
static size_t fs_xattr_filter(char *list, size_t len)
{
	size_t kept = 0;

	for (size_t pos = 0; pos < len;) {
		const size_t n = strlen(list + pos) + 1;

		if (fs_xattr_allowed(list + pos)) {
			memmove(list + kept, list + pos, n);
			kept += n;
		}
		pos += n;
	}
	return kept;
}

int fs_op_listxattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	const struct fuse_getxattr_in *in = arg;
	cleanup_inode struct fs_inode *inode = NULL;
	cleanup_free char *list = NULL;
	struct fs_proc_name path;
	ssize_t n;
	int ret = fs_xattr_target(s, r, &inode, &path);

	if (ret < 0)
		return ret;
	list = malloc(FS_XATTR_SIZE_MAX);
	if (!list)
		return -ENOMEM;
	n = listxattr(path.s, list, FS_XATTR_SIZE_MAX);
	if (n < 0)
		return -errno;
	return fs_xattr_reply(r, in->size, list, fs_xattr_filter(list, (size_t)n));
}

int fs_op_removexattr(struct fs_server *s, struct fs_request *r, const void *arg)
{
	cleanup_inode struct fs_inode *inode = NULL;
	struct fs_proc_name path;
	const char *name;
	int ret = fs_xattr_name(r, &name);

	(void)arg;
	if (!ret)
		ret = fs_xattr_target(s, r, &inode, &path);
	if (ret < 0)
		return ret;
	return removexattr(path.s, name) < 0 ? -errno : fs_reply_error(r, 0);
}
