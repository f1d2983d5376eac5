/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directories of oci_state.h: making, locking, listing and removing them. */
#include "oci/oci_state.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "base/wire.h"

int oci_id_check(const char *id, struct error **err)
{
	if (!*id || !strcmp(id, ".") || !strcmp(id, ".."))
		return error_set(err, 0, "invalid container id \"%s\"", id);
	for (const char *p = id; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("_+-.", *p))
			return error_set(err, 0, "invalid container id \"%s\": only letters, digits "
					 "and _+-. are allowed", id);
	if (strlen(id) > 200)
		return error_set(err, 0, "invalid container id: longer than 200 characters");
	return 0;
}

/* mkdir -p; what is made is ours alone. */
static int state_root_make(const char *root, struct error **err)
{
	cleanup_free char *path = strdup(root);

	if (!path)
		return error_set(err, ENOMEM, "cannot make %s", root);
	for (char *p = path + 1; ; p++) {
		char was = *p;

		if (was && was != '/')
			continue;
		*p = 0;
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return error_set(err, errno, "cannot make %s", path);
		if (!was)
			return 0;
		*p = was;
	}
}

static int state_dir_open(const char *root, const char *id)
{
	cleanup_close int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (rootfd < 0)
		return -1;
	return openat(rootfd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

int oci_state_trylock(int dirfd, struct error **err)
{
	if (!flock(dirfd, LOCK_EX | LOCK_NB))
		return 1;
	return errno == EWOULDBLOCK ? 0 : error_set(err, errno, "cannot lock the state directory");
}

static bool state_dir_linked(int dirfd)
{
	struct stat st;

	return !fstat(dirfd, &st) && st.st_nlink;
}

int oci_state_lock(int dirfd, struct error **err)
{
	int r;

	do {
		r = flock(dirfd, LOCK_EX);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return error_set(err, errno, "cannot lock the state directory");
	if (!state_dir_linked(dirfd))
		return error_set(err, 0, "container does not exist: it was deleted meanwhile");
	return 0;
}

/* Is this what a killed create left behind? Answers with it locked, or -1. */
static int state_dir_stale(const char *root, const char *id)
{
	cleanup_close int dirfd = state_dir_open(root, id);
	cleanup_state struct oci_state state = { 0 };

	if (dirfd < 0 || oci_state_trylock(dirfd, NULL) != 1)
		return -1;
	if (oci_state_read(dirfd, id, &state, NULL) < 0 || state.status != OCI_STATUS_CREATING)
		return -1;
	return steal_fd(&dirfd);
}

/* One attempt: the locked directory; -1 with errno EAGAIN when another attempt makes sense. */
static int state_dir_make(const char *root, int rootfd, const char *id, struct error **err)
{
	cleanup_close int dirfd = -1;

	if (mkdirat(rootfd, id, 0700) < 0) {
		if (errno != EEXIST)
			return error_set(err, errno, "cannot make %s/%s", root, id);
		dirfd = state_dir_stale(root, id);
		errno = 0;
		if (dirfd < 0)
			return error_set(err, 0, "container %s already exists", id);
		if (oci_state_remove(root, id, dirfd, err) < 0)
			return -1;
		errno = EAGAIN;
		return -1;
	}
	dirfd = state_dir_open(root, id);
	if (dirfd >= 0 && oci_state_trylock(dirfd, NULL) == 1 && state_dir_linked(dirfd))
		return steal_fd(&dirfd);
	/* Someone took it for stale before we had locked it, and has removed it. */
	errno = EAGAIN;
	return -1;
}

int oci_state_create(const char *root, const char *id, struct error **err)
{
	cleanup_close int rootfd = -1;

	if (oci_id_check(id, err) < 0 || state_root_make(root, err) < 0)
		return -1;
	rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (rootfd < 0)
		return error_set(err, errno, "cannot open %s", root);
	for (int attempt = 0; attempt < 8; attempt++) {
		int dirfd = state_dir_make(root, rootfd, id, err);

		if (dirfd >= 0 || errno != EAGAIN)
			return dirfd;
	}
	return error_set(err, 0, "container %s is being created by someone else", id);
}

int oci_state_open(const char *root, const char *id, struct error **err)
{
	int dirfd;

	if (oci_id_check(id, err) < 0)
		return -1;
	dirfd = state_dir_open(root, id);
	if (dirfd >= 0)
		return dirfd;
	if (errno == ENOENT || errno == ENOTDIR)
		return error_set(err, 0, "container %s does not exist", id);
	return error_set(err, errno, "cannot open %s/%s", root, id);
}

int oci_state_remove(const char *root, const char *id, int dirfd, struct error **err)
{
	cleanup_close int rootfd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int again = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = again < 0 ? NULL : fdopendir(again);
	struct dirent *e;

	if (!dir) {
		if (again >= 0)
			close(again);
		return error_set(err, errno, "cannot read %s/%s", root, id);
	}
	/* A directory when the VMM made it; conmon, by its link, makes a file. */
	unlinkat(dirfd, OCI_OOM_DIR "/" VMM_OOM_MARK, AT_REMOVEDIR);
	unlinkat(dirfd, OCI_OOM_DIR "/" VMM_OOM_MARK, 0);
	while ((e = readdir(dir))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (unlinkat(dirfd, e->d_name, 0) < 0 && errno == EISDIR)
			unlinkat(dirfd, e->d_name, AT_REMOVEDIR);
	}
	closedir(dir);
	if (rootfd < 0 || (unlinkat(rootfd, id, AT_REMOVEDIR) < 0 && errno != ENOENT))
		return error_set(err, errno, "cannot remove %s/%s", root, id);
	return 0;
}

static int state_name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

char **oci_state_list(const char *root, struct error **err)
{
	DIR *dir = opendir(root);
	char **ids = calloc(1, sizeof(*ids));
	struct dirent *e;
	size_t n = 0;

	if (!dir && errno != ENOENT) {
		error_set(err, errno, "cannot read %s", root);
		free(ids);
		return NULL;
	}
	while (ids && dir && (e = readdir(dir))) {
		char **grown;

		if (oci_id_check(e->d_name, NULL) < 0)
			continue;
		grown = realloc(ids, (n + 2) * sizeof(*ids));
		if (grown)
			grown[n] = strdup(e->d_name);
		if (!grown || !grown[n]) {
			wire_strv_free(grown ? grown : ids);
			ids = NULL;
			break;
		}
		ids = grown;
		ids[++n] = NULL;
	}
	if (dir)
		closedir(dir);
	if (ids)
		qsort(ids, n, sizeof(*ids), state_name_compare);
	else
		error_set(err, ENOMEM, "cannot read %s", root);
	return ids;
}
