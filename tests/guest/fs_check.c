/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checks of a mounted file system from inside a guest: what programs expect of it, and what the
 * server behind it could get wrong. Run as root with a directory to work in; TAP on stdout. Static,
 * so that it runs in a guest with nothing else in it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static const char *failed; /* the first expectation of a check that did not hold */
static int failed_line, failed_errno;

#define EXPECT(cond)                              \
	do {                                      \
		if (!(cond)) {                    \
			failed_errno = errno;     \
			failed_line = __LINE__;   \
			failed = #cond;           \
			return;                   \
		}                                 \
	} while (0)
#define FAILS(call, error) ((call) == -1 && errno == (error))

static struct stat st;

static int make_file(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return -1;
	return close(fd);
}

/* Run @fn as another user in a child; the error it exits with is ours. */
static int as_user(uid_t uid, gid_t gid, gid_t extra, int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const gid_t groups[] = { extra };

		if (setgroups(extra ? 1 : 0, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
		    setresuid(uid, uid, uid) < 0)
			_exit(254);
		_exit(fn());
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void check_read_write(void)
{
	char buf[16];
	int fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0600);

	EXPECT(fd >= 0);
	EXPECT(write(fd, "hello", 5) == 5);
	EXPECT(pread(fd, buf, sizeof(buf), 0) == 5 && !memcmp(buf, "hello", 5));
	EXPECT(pwrite(fd, "J", 1, 0) == 1 && pread(fd, buf, 1, 0) == 1 && buf[0] == 'J');
	EXPECT(pread(fd, buf, 1, 5) == 0);
	EXPECT(fstat(fd, &st) == 0 && st.st_size == 5);
	EXPECT(fsync(fd) == 0 && fdatasync(fd) == 0 && syncfs(fd) == 0);
	EXPECT(close(fd) == 0);
	EXPECT(FAILS(open("f", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST));
	EXPECT(FAILS(open("nothing", O_RDONLY), ENOENT));
	EXPECT(FAILS(open("f/x", O_RDONLY), ENOTDIR));
}

static void check_append_truncate(void)
{
	char buf[16];
	int fd;

	EXPECT(make_file("a", "12345") == 0);
	fd = open("a", O_WRONLY | O_APPEND);
	EXPECT(fd >= 0 && write(fd, "67", 2) == 2 && close(fd) == 0);
	EXPECT(stat("a", &st) == 0 && st.st_size == 7);
	EXPECT(truncate("a", 3) == 0 && stat("a", &st) == 0 && st.st_size == 3);
	EXPECT(truncate("a", 6) == 0);
	fd = open("a", O_RDWR);
	EXPECT(fd >= 0 && read(fd, buf, 16) == 6 && !memcmp(buf, "123\0\0\0", 6));
	EXPECT(ftruncate(fd, 1) == 0 && fstat(fd, &st) == 0 && st.st_size == 1 && close(fd) == 0);
	fd = open("a", O_RDWR | O_TRUNC);
	EXPECT(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0 && close(fd) == 0);
}

static void check_modes(void)
{
	int fd;

	umask(027);
	fd = open("m", O_CREAT | O_RDWR, 0777);
	EXPECT(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0750 && close(fd) == 0);
	EXPECT(mkdir("md", 01777) == 0 && stat("md", &st) == 0 && (st.st_mode & 07777) == 01750);
	EXPECT(mknod("mf", S_IFREG | 0666, 0) == 0 && stat("mf", &st) == 0);
	EXPECT((st.st_mode & 07777) == 0640);
	umask(022);
	EXPECT(chmod("m", 06755) == 0 && stat("m", &st) == 0 && (st.st_mode & 07777) == 06755);
	EXPECT(chmod("m", 0) == 0 && stat("m", &st) == 0 && (st.st_mode & 07777) == 0);
	EXPECT(stat("md", &st) == 0 && st.st_nlink >= 1 && S_ISDIR(st.st_mode));
}

static int user_makes_files(void)
{
	int fd = open("u/file", O_CREAT | O_EXCL | O_RDWR, 0644);

	if (fd < 0 || close(fd) < 0 || mkdir("u/dir", 0755) < 0 || symlink("x", "u/link") < 0 ||
	    mkfifo("u/fifo", 0644) < 0)
		return errno;
	return 0;
}

static bool owned(const char *name, uid_t uid, gid_t gid)
{
	return lstat(name, &st) == 0 && st.st_uid == uid && st.st_gid == gid;
}

static void check_owners(void)
{
	EXPECT(mkdir("u", 0777) == 0 && chmod("u", 0777) == 0);
	EXPECT(as_user(1234, 2345, 0, user_makes_files) == 0);
	EXPECT(owned("u/file", 1234, 2345) && owned("u/dir", 1234, 2345));
	EXPECT(owned("u/link", 1234, 2345) && owned("u/fifo", 1234, 2345));
	EXPECT(chown("u/file", 5, 6) == 0 && owned("u/file", 5, 6));
	EXPECT(chown("u/file", -1, 7) == 0 && owned("u/file", 5, 7));
	EXPECT(lchown("u/link", 8, 9) == 0 && owned("u/link", 8, 9));
	/* Large ids, as user namespaces make them. */
	EXPECT(chown("u/file", 4000000000u, 3000000000u) == 0 &&
	       owned("u/file", 4000000000u, 3000000000u));
}

static int user_makes_sgid_file(void)
{
	int fd = open("s/file", O_CREAT | O_EXCL | O_RDWR, 02755);

	return fd < 0 ? errno : close(fd);
}

static int user_makes_sgid_dir(void)
{
	return mkdir("s/sub", 0755) < 0 ? errno : 0;
}

static void check_sgid_directory(void)
{
	EXPECT(mkdir("s", 0777) == 0 && chown("s", 0, 500) == 0 && chmod("s", 02777) == 0);
	EXPECT(as_user(1000, 1000, 0, user_makes_sgid_file) == 0);
	EXPECT(owned("s/file", 1000, 500));
	EXPECT((st.st_mode & 07777) == 0755); /* not of the group: no SGID (CVE-2022-0358) */
	EXPECT(unlink("s/file") == 0);
	EXPECT(as_user(1000, 1000, 500, user_makes_sgid_file) == 0);
	EXPECT(owned("s/file", 1000, 500) && (st.st_mode & 07777) == 02755);
	EXPECT(as_user(1000, 1000, 0, user_makes_sgid_dir) == 0);
	EXPECT(owned("s/sub", 1000, 500) && (st.st_mode & 07777) == 02755);
}

static int user_is_refused(void)
{
	if (!FAILS(open("p/secret", O_RDONLY), EACCES) || !FAILS(unlink("p/secret"), EACCES) ||
	    !FAILS(chmod("p/secret", 0777), EPERM) || !FAILS(chown("p/secret", 1000, -1), EPERM) ||
	    !FAILS(mkdir("p/x", 0755), EACCES) || !FAILS(truncate("p/secret", 0), EACCES))
		return 1;
	/* A sticky directory: others' files stay. */
	return FAILS(unlink("t/root"), EPERM) && FAILS(rename("t/root", "t/x"), EPERM) ? 0 : 2;
}

static int user_of_group_writes(void)
{
	int fd = open("g/new", O_CREAT | O_EXCL | O_WRONLY, 0644);

	return fd < 0 ? errno : close(fd);
}

static void check_permissions(void)
{
	EXPECT(mkdir("p", 0755) == 0 && make_file("p/secret", "x") == 0);
	EXPECT(chmod("p/secret", 0600) == 0);
	EXPECT(mkdir("t", 0777) == 0 && chmod("t", 01777) == 0 && make_file("t/root", "x") == 0);
	EXPECT(as_user(1000, 1000, 0, user_is_refused) == 0);
	/* Permission that a supplementary group gives, which only the guest knows of. */
	EXPECT(mkdir("g", 0770) == 0 && chmod("g", 0770) == 0 && chown("g", 0, 700) == 0);
	EXPECT(as_user(1000, 1000, 0, user_of_group_writes) == EACCES);
	EXPECT(as_user(1000, 1000, 700, user_of_group_writes) == 0);
}

static void check_hard_links(void)
{
	struct stat other;
	int fd;

	EXPECT(make_file("l1", "one") == 0 && link("l1", "l2") == 0);
	EXPECT(stat("l1", &st) == 0 && stat("l2", &other) == 0);
	EXPECT(st.st_ino == other.st_ino && st.st_nlink == 2 && other.st_nlink == 2);
	EXPECT(FAILS(link("l1", "l2"), EEXIST) && FAILS(link("nothing", "l3"), ENOENT));
	EXPECT(mkdir("ld", 0755) == 0 && FAILS(link("ld", "l3"), EPERM));
	fd = open("l2", O_RDWR | O_APPEND);
	EXPECT(fd >= 0 && write(fd, "two", 3) == 3 && close(fd) == 0);
	EXPECT(stat("l1", &st) == 0 && st.st_size == 6);
	EXPECT(unlink("l1") == 0 && stat("l2", &st) == 0 && st.st_nlink == 1);
	/* A link to a symlink is one, not one to what it points to. */
	EXPECT(symlink("/etc/passwd", "sl") == 0);
	EXPECT(linkat(AT_FDCWD, "sl", AT_FDCWD, "sl2", 0) == 0);
	EXPECT(lstat("sl2", &st) == 0 && S_ISLNK(st.st_mode) && st.st_nlink == 2);
}

static void check_symlinks(void)
{
	char target[PATH_MAX], buf[PATH_MAX];

	EXPECT(symlink("nowhere", "dangling") == 0 && FAILS(stat("dangling", &st), ENOENT));
	EXPECT(lstat("dangling", &st) == 0 && S_ISLNK(st.st_mode) && st.st_size == 7);
	EXPECT(readlink("dangling", buf, sizeof(buf)) == 7 && !memcmp(buf, "nowhere", 7));
	memset(target, 'x', sizeof(target));
	for (size_t i = 0; i < sizeof(target); i += 100)
		target[i] = '/';
	target[PATH_MAX - 1] = 0;
	EXPECT(symlink(target, "long") == 0 && readlink("long", buf, sizeof(buf)) == PATH_MAX - 1);
	EXPECT(!memcmp(target, buf, PATH_MAX - 1));
	EXPECT(make_file("real", "x") == 0 && symlink("real", "ok") == 0);
	EXPECT(stat("ok", &st) == 0 && S_ISREG(st.st_mode));
	EXPECT(FAILS(open("ok", O_RDONLY | O_NOFOLLOW), ELOOP));
	EXPECT(symlink("loop", "loop") == 0 && FAILS(open("loop", O_RDONLY), ELOOP));
	EXPECT(FAILS(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST));
	EXPECT(FAILS(readlink("real", buf, sizeof(buf)), EINVAL));
}

static int rename2(const char *from, const char *to, unsigned int flags)
{
	return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void check_rename(void)
{
	char buf[4];
	int fd;

	EXPECT(make_file("r1", "1") == 0 && make_file("r2", "22") == 0);
	EXPECT(FAILS(rename2("r1", "r2", RENAME_NOREPLACE), EEXIST));
	EXPECT(rename2("r1", "r2", RENAME_EXCHANGE) == 0);
	EXPECT(stat("r1", &st) == 0 && st.st_size == 2);
	EXPECT(rename("r1", "r2") == 0 && FAILS(stat("r1", &st), ENOENT));
	EXPECT(stat("r2", &st) == 0 && st.st_size == 2);
	EXPECT(mkdir("rd", 0755) == 0 && mkdir("rd/sub", 0755) == 0);
	EXPECT(rename("r2", "rd/sub/f") == 0 && rename("rd", "re") == 0);
	fd = open("re/sub/f", O_RDONLY);
	EXPECT(fd >= 0 && read(fd, buf, 4) == 2 && close(fd) == 0);
	EXPECT(FAILS(rename("re", "re/sub/x"), EINVAL));
	EXPECT(mkdir("empty", 0755) == 0 && FAILS(rename("empty", "re"), ENOTEMPTY));
	EXPECT(FAILS(rename("re/sub/f", "empty"), EISDIR) && FAILS(rmdir("re"), ENOTEMPTY));
	EXPECT(rename("re", "empty") == 0 && stat("empty/sub/f", &st) == 0);
	EXPECT(FAILS(unlink("empty"), EISDIR) && FAILS(rmdir("empty/sub/f"), ENOTDIR));
}

static void check_unlink_while_open(void)
{
	char buf[8];
	int fd, dir;

	EXPECT(make_file("o", "data") == 0);
	fd = open("o", O_RDWR);
	EXPECT(fd >= 0 && unlink("o") == 0 && FAILS(stat("o", &st), ENOENT));
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && st.st_size == 4);
	EXPECT(pwrite(fd, "more", 4, 4) == 4 && pread(fd, buf, 8, 0) == 8);
	EXPECT(!memcmp(buf, "datamore", 8) && fchmod(fd, 0600) == 0 && ftruncate(fd, 2) == 0);
	EXPECT(fstat(fd, &st) == 0 && st.st_size == 2 && (st.st_mode & 0777) == 0600);
	EXPECT(make_file("o", "new") == 0 && pread(fd, buf, 8, 0) == 2 && close(fd) == 0);
	EXPECT(mkdir("od", 0755) == 0);
	dir = open("od", O_RDONLY | O_DIRECTORY);
	EXPECT(dir >= 0 && rmdir("od") == 0 && fstat(dir, &st) == 0);
	EXPECT(FAILS(openat(dir, "x", O_CREAT | O_RDWR, 0644), ENOENT) && close(dir) == 0);
}

static void check_tmpfile(void)
{
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0640);

	if (fd < 0 && errno == EOPNOTSUPP)
		return; /* not on every file system */
	EXPECT(fd >= 0 && write(fd, "tmp", 3) == 3);
	EXPECT(fstat(fd, &st) == 0 && st.st_nlink == 0 && (st.st_mode & 0777) == 0640);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	EXPECT(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
	EXPECT(stat("named", &st) == 0 && st.st_size == 3 && st.st_nlink == 1 && close(fd) == 0);
}

static void check_xattrs(void)
{
	static char big[60000], buf[65536];
	ssize_t n;

	EXPECT(make_file("x", "") == 0 && setxattr("x", "user.a", "1", 1, 0) == 0);
	EXPECT(FAILS(setxattr("x", "user.a", "2", 1, XATTR_CREATE), EEXIST));
	EXPECT(FAILS(setxattr("x", "user.b", "2", 1, XATTR_REPLACE), ENODATA));
	EXPECT(setxattr("x", "user.empty", "", 0, 0) == 0);
	EXPECT(getxattr("x", "user.empty", buf, 10) == 0 && getxattr("x", "user.a", NULL, 0) == 1);
	EXPECT(getxattr("x", "user.a", buf, 10) == 1 && buf[0] == '1');
	EXPECT(FAILS(getxattr("x", "user.none", buf, 10), ENODATA));
	n = listxattr("x", buf, sizeof(buf));
	EXPECT(n > 0 && memmem(buf, (size_t)n, "user.a", 7));
	EXPECT(memmem(buf, (size_t)n, "user.empty", 11));
	EXPECT(listxattr("x", NULL, 0) == n && FAILS(listxattr("x", buf, 3), ERANGE));
	EXPECT(removexattr("x", "user.a") == 0 && FAILS(removexattr("x", "user.a"), ENODATA));
	memset(big, 'b', sizeof(big));
	if (setxattr("x", "user.big", big, 3000, 0) == 0) {
		EXPECT(FAILS(getxattr("x", "user.big", buf, 100), ERANGE));
		EXPECT(getxattr("x", "user.big", buf, sizeof(buf)) == 3000);
		EXPECT(!memcmp(buf, big, 3000));
	}
	EXPECT(setxattr("x", "user.huge", big, sizeof(big), 0) == 0 || errno == ENOSPC ||
	       errno == E2BIG || errno == ERANGE);
	EXPECT(symlink("x", "xl") == 0 && setxattr("xl", "user.via", "1", 1, 0) == 0);
	EXPECT(getxattr("x", "user.via", buf, 4) == 1 && lsetxattr("xl", "user.l", "1", 1, 0) < 0);
	EXPECT(mkdir("xd", 0755) == 0 && setxattr("xd", "user.d", "1", 1, 0) == 0);
}

static void check_shared_mapping(void)
{
	const size_t len = 3 * 4096;
	char buf[4], *p, *q;
	int fd = open("map", O_CREAT | O_RDWR, 0644);

	EXPECT(fd >= 0 && ftruncate(fd, (off_t)len) == 0);
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	EXPECT(p != MAP_FAILED);
	memcpy(p + 5000, "abc", 3);
	EXPECT(msync(p, len, MS_SYNC) == 0);
	EXPECT(pread(fd, buf, 3, 5000) == 3 && !memcmp(buf, "abc", 3));
	EXPECT(pwrite(fd, "xyz", 3, 9000) == 3 && !memcmp(p + 9000, "xyz", 3));
	q = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	EXPECT(q != MAP_FAILED && !memcmp(q + 5000, "abc", 3));
	q[5000] = 'Z';
	EXPECT(p[5000] == 'a' && munmap(q, len) == 0 && munmap(p, len) == 0 && close(fd) == 0);
}

static int lock_from_child(const char *name, bool posix)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = open(name, O_RDWR);

		if (posix)
			_exit(fcntl(fd, F_SETLK, &lock) < 0 ? errno : 0);
		_exit(flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void check_locks(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd;

	EXPECT(make_file("lock", "") == 0);
	fd = open("lock", O_RDWR);
	EXPECT(fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0);
	EXPECT(lock_from_child("lock", true) == EAGAIN);
	lock.l_type = F_UNLCK;
	EXPECT(fcntl(fd, F_SETLK, &lock) == 0 && lock_from_child("lock", true) == 0);
	EXPECT(flock(fd, LOCK_EX) == 0 && lock_from_child("lock", false) == EWOULDBLOCK);
	EXPECT(flock(fd, LOCK_UN) == 0 && lock_from_child("lock", false) == 0 && close(fd) == 0);
}

static void check_special_files(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "sock" };
	char c;
	int r, w, s;

	EXPECT(mkfifo("fifo", 0644) == 0);
	r = open("fifo", O_RDONLY | O_NONBLOCK);
	w = open("fifo", O_WRONLY);
	EXPECT(r >= 0 && w >= 0 && write(w, "f", 1) == 1 && read(r, &c, 1) == 1 && c == 'f');
	EXPECT(close(r) == 0 && close(w) == 0);
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT(s >= 0 && bind(s, (struct sockaddr *)&addr, sizeof(addr)) == 0 && listen(s, 1) == 0);
	w = socket(AF_UNIX, SOCK_STREAM, 0);
	EXPECT(connect(w, (struct sockaddr *)&addr, sizeof(addr)) == 0);
	EXPECT(close(s) == 0 && close(w) == 0 && stat("sock", &st) == 0 && S_ISSOCK(st.st_mode));
	EXPECT(mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0 && stat("null", &st) == 0);
	EXPECT(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3));
	EXPECT(mknod("big", S_IFBLK | 0600, makedev(259, 70000)) == 0 && stat("big", &st) == 0);
	EXPECT(st.st_rdev == makedev(259, 70000));
}

static void check_holes(void)
{
	int fd = open("hole", O_CREAT | O_RDWR, 0644);

	EXPECT(fd >= 0 && pwrite(fd, "x", 1, 1 << 20) == 1);
	EXPECT(lseek(fd, 0, SEEK_DATA) >= 0 && lseek(fd, 0, SEEK_HOLE) >= 0);
	EXPECT(lseek(fd, 0, SEEK_END) == (1 << 20) + 1);
	EXPECT(FAILS(lseek(fd, 2 << 20, SEEK_DATA), ENXIO));
	EXPECT(fallocate(fd, 0, 0, 2 << 20) == 0 || errno == EOPNOTSUPP);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 1 << 20, 4096) == 0) {
		char c = 'c';

		EXPECT(pread(fd, &c, 1, 1 << 20) == 1 && c == 0);
	}
	EXPECT(close(fd) == 0);
}

static void check_times(void)
{
	const struct timespec ts[2] = { { 1000000000, 123456789 }, { 1234567890, 987654321 } };
	const struct timespec mtime_now[2] = { { 0, UTIME_OMIT }, { 0, UTIME_NOW } };
	struct timespec now;

	EXPECT(make_file("time", "x") == 0 && utimensat(AT_FDCWD, "time", ts, 0) == 0);
	EXPECT(stat("time", &st) == 0 && st.st_atim.tv_sec == 1000000000);
	EXPECT(st.st_atim.tv_nsec == 123456789 && st.st_mtim.tv_nsec == 987654321);
	EXPECT(utimensat(AT_FDCWD, "time", mtime_now, 0) == 0 && stat("time", &st) == 0);
	clock_gettime(CLOCK_REALTIME, &now);
	EXPECT(st.st_atim.tv_sec == 1000000000);
	EXPECT(llabs(st.st_mtim.tv_sec - now.tv_sec) < 3600 * 24);
	EXPECT(symlink("time", "tl") == 0);
	EXPECT(utimensat(AT_FDCWD, "tl", ts, AT_SYMLINK_NOFOLLOW) == 0 && lstat("tl", &st) == 0);
	EXPECT(st.st_mtim.tv_sec == 1234567890 && stat("time", &st) == 0);
	EXPECT(st.st_mtim.tv_sec != 1234567890);
}

static void check_names(void)
{
	char name[257];

	memset(name, 'n', sizeof(name));
	name[255] = 0;
	EXPECT(make_file(name, "x") == 0 && unlink(name) == 0);
	name[255] = 'n';
	name[256] = 0;
	EXPECT(FAILS(make_file(name, "x"), ENAMETOOLONG));
	EXPECT(make_file("new\nline", "x") == 0 && make_file("\xff\xfe", "x") == 0);
	EXPECT(make_file("...", "x") == 0 && make_file(" ", "x") == 0);
	EXPECT(stat("new\nline", &st) == 0 && stat("\xff\xfe", &st) == 0 && stat("...", &st) == 0);
	EXPECT(FAILS(mkdir(".", 0755), EEXIST) && FAILS(rmdir("."), EINVAL));
}

#define MANY 3000

static void check_directories(void)
{
	static bool seen[MANY];
	char name[64];
	struct dirent *d;
	size_t count = 0;
	long middle = 0;
	DIR *dir;

	EXPECT(mkdir("many", 0755) == 0 && chdir("many") == 0);
	for (int i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "entry-with-a-rather-long-name-%d", i);
		EXPECT(mknod(name, S_IFREG | 0644, 0) == 0);
	}
	EXPECT(chdir("..") == 0 && (dir = opendir("many")));
	while ((d = readdir(dir))) {
		int i;

		if (d->d_name[0] == '.')
			continue;
		EXPECT(sscanf(d->d_name, "entry-with-a-rather-long-name-%d", &i) == 1 && !seen[i]);
		EXPECT(d->d_type == DT_REG || d->d_type == DT_UNKNOWN);
		seen[i] = true;
		if (++count == MANY / 2)
			middle = telldir(dir);
	}
	EXPECT(count == MANY);
	seekdir(dir, middle);
	for (count = 0; readdir(dir);)
		count++;
	EXPECT(count >= MANY / 2 && count <= MANY / 2 + 2);
	EXPECT(make_file("many/late", "") == 0);
	rewinddir(dir);
	/* Removing what was read while reading on misses nothing. */
	for (count = 0; (d = readdir(dir)); count++)
		if (d->d_type == DT_REG)
			EXPECT(unlinkat(dirfd(dir), d->d_name, 0) == 0);
	EXPECT(count == MANY + 3 && closedir(dir) == 0 && rmdir("many") == 0);
}

static int user_writes_suid(void)
{
	int fd = open("suid", O_WRONLY);

	return fd < 0 || write(fd, "x", 1) != 1 ? errno : 0;
}

static int user_truncates_suid(void)
{
	return truncate("suid", 0) < 0 ? errno : 0;
}

static void check_privileges_dropped(void)
{
	const struct vfs_cap_data cap = { .magic_etc = VFS_CAP_REVISION_2,
					  .data[0].permitted = 1 << CAP_NET_RAW };
	char buf[32];

	EXPECT(make_file("suid", "xx") == 0 && chmod("suid", 06777) == 0);
	EXPECT(as_user(1000, 1000, 0, user_writes_suid) == 0 && stat("suid", &st) == 0);
	EXPECT((st.st_mode & 07777) == 0777);
	EXPECT(chmod("suid", 06777) == 0 && as_user(1000, 1000, 0, user_truncates_suid) == 0);
	EXPECT(stat("suid", &st) == 0 && (st.st_mode & 07777) == 0777);
	EXPECT(chmod("suid", 06777) == 0 && chown("suid", 3, 3) == 0 && stat("suid", &st) == 0);
	EXPECT((st.st_mode & 07777) == 0777);
	EXPECT(make_file("caps", "x") == 0);
	EXPECT(setxattr("caps", "security.capability", &cap, XATTR_CAPS_SZ_2, 0) == 0);
	EXPECT(getxattr("caps", "security.capability", buf, 32) == XATTR_CAPS_SZ_2);
	EXPECT(make_file("caps", "y") == 0); /* truncates and writes, as root */
	EXPECT(FAILS(getxattr("caps", "security.capability", buf, 32), ENODATA));
}

/* user:1000 may read and write a file of root's that nobody else may: struct posix_acl_xattr. */
static const uint8_t acl_for_1000[] = {
	2, 0, 0, 0, /* version */
	1, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* owner: rw- */
	2, 0, 6, 0, 0xe8, 3, 0, 0, /* user 1000: rw- */
	4, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* group: --- */
	16, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /* mask: rw- */
	32, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /* others: --- */
};

static int user_opens_acl(void)
{
	return open("acl", O_RDWR) < 0 ? errno : 0;
}

static void check_acls(void)
{
	const char *name = "system.posix_acl_access", *def = "system.posix_acl_default";

	EXPECT(make_file("acl", "x") == 0 && chmod("acl", 0600) == 0);
	if (setxattr("acl", name, acl_for_1000, sizeof(acl_for_1000), 0) < 0) {
		EXPECT(errno == EOPNOTSUPP); /* the host's file system has none */
		return;
	}
	EXPECT(as_user(1000, 1000, 0, user_opens_acl) == 0);
	EXPECT(as_user(1001, 1001, 0, user_opens_acl) == EACCES);
	EXPECT(as_user(1001, 0, 0, user_opens_acl) == EACCES); /* the mask is not the group's */
	EXPECT(mkdir("acld", 0755) == 0);
	EXPECT(setxattr("acld", def, acl_for_1000, sizeof(acl_for_1000), 0) == 0);
	umask(077);
	EXPECT(make_file("acld/f", "x") == 0 && stat("acld/f", &st) == 0);
	umask(022);
	EXPECT((st.st_mode & 0777) == 0640 || (st.st_mode & 0777) == 0660);
	EXPECT(getxattr("acld/f", name, NULL, 0) > 0);
}

static void check_copy_range(void)
{
	char buf[64];
	int in, out;

	EXPECT(make_file("c1", "0123456789") == 0);
	in = open("c1", O_RDONLY);
	out = open("c2", O_CREAT | O_RDWR, 0644);
	EXPECT(in >= 0 && out >= 0);
	EXPECT(syscall(SYS_copy_file_range, in, NULL, out, NULL, 5, 0) == 5);
	EXPECT(pread(out, buf, 64, 0) == 5 && !memcmp(buf, "01234", 5));
	EXPECT(close(in) == 0 && close(out) == 0);
}

static void check_statfs(void)
{
	struct statvfs v;

	EXPECT(statvfs(".", &v) == 0 && v.f_blocks > 0 && v.f_bsize >= 512);
	EXPECT(v.f_namemax == 255);
}

static void fill(uint64_t *buf, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = (seed + i) * 0x9e3779b97f4a7c15ull;
}

static void check_large_file(void)
{
	enum { CHUNK = 1 << 20, CHUNKS = 40 };
	uint64_t *a = malloc(CHUNK), *b = malloc(CHUNK);
	int fd = open("large", O_CREAT | O_RDWR, 0644);

	EXPECT(a && b && fd >= 0);
	for (uint64_t i = 0; i < CHUNKS; i++) {
		fill(a, CHUNK / 8, i << 32);
		EXPECT(write(fd, a, CHUNK) == CHUNK);
	}
	EXPECT(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	for (uint64_t i = CHUNKS; i-- > 0;) {
		fill(a, CHUNK / 8, i << 32);
		EXPECT(pread(fd, b, CHUNK, (off_t)(i * CHUNK)) == CHUNK && !memcmp(a, b, CHUNK));
	}
	EXPECT(pread(fd, b, CHUNK, 12345) == CHUNK); /* across pages and chunks */
	fill(a, CHUNK / 8, 0);
	EXPECT(!memcmp((char *)a + 12345, b, CHUNK - 12345));
	EXPECT(close(fd) == 0);
	fd = open("large", O_RDWR | O_DIRECT);
	if (fd >= 0) {
		uint64_t *p = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				   -1, 0);

		EXPECT(p != MAP_FAILED && pread(fd, p, CHUNK, CHUNK) == CHUNK);
		fill(a, CHUNK / 8, 1ull << 32);
		EXPECT(!memcmp(p, a, CHUNK) && pwrite(fd, p, 8192, 0) == 8192 && close(fd) == 0);
	}
	free(a);
	free(b);
}

static void check_execute(void)
{
	char buf[65536];
	int in = open("/proc/self/exe", O_RDONLY), out = open("exe", O_CREAT | O_WRONLY, 0755);
	int status;
	ssize_t n;
	pid_t pid;

	EXPECT(in >= 0 && out >= 0);
	while ((n = read(in, buf, sizeof(buf))) > 0)
		EXPECT(write(out, buf, (size_t)n) == n);
	EXPECT(close(in) == 0 && close(out) == 0);
	pid = fork();
	if (pid == 0) {
		execl("./exe", "exe", "--exit-42", (char *)NULL);
		_exit(1);
	}
	EXPECT(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* Processes that create, rename and remove the same few names: no error but the expected ones. */
static void check_concurrent(void)
{
	int status, bad = 0;

	EXPECT(mkdir("busy", 0755) == 0);
	for (unsigned int child = 0; child < 4; child++) {
		if (fork())
			continue;
		for (unsigned int i = 0, seed = child; i < 500; i++) {
			char a[32], b[32];
			int fd;

			snprintf(a, sizeof(a), "busy/%d", rand_r(&seed) % 5);
			snprintf(b, sizeof(b), "busy/%d", rand_r(&seed) % 5);
			fd = open(a, O_CREAT | O_RDWR, 0644);
			if (fd < 0 || write(fd, "x", 1) != 1 || close(fd) < 0)
				_exit(1);
			if ((rename(a, b) < 0 || unlink(b) < 0) && errno != ENOENT)
				_exit(2);
		}
		_exit(0);
	}
	while (wait(&status) > 0)
		bad += status != 0;
	EXPECT(bad == 0);
}

struct check {
	const char *name;
	void (*fn)(void);
};

static const struct check checks[] = {
	{ "read and write", check_read_write },
	{ "append and truncate", check_append_truncate },
	{ "modes and umask", check_modes },
	{ "owners", check_owners },
	{ "SGID directories", check_sgid_directory },
	{ "permissions", check_permissions },
	{ "hard links", check_hard_links },
	{ "symlinks", check_symlinks },
	{ "rename", check_rename },
	{ "unlink while open", check_unlink_while_open },
	{ "O_TMPFILE", check_tmpfile },
	{ "extended attributes", check_xattrs },
	{ "mappings", check_shared_mapping },
	{ "locks", check_locks },
	{ "FIFOs, sockets and devices", check_special_files },
	{ "holes and fallocate", check_holes },
	{ "times", check_times },
	{ "names", check_names },
	{ "large directories", check_directories },
	{ "SUID and capabilities are dropped", check_privileges_dropped },
	{ "POSIX ACLs", check_acls },
	{ "copy_file_range", check_copy_range },
	{ "statfs", check_statfs },
	{ "large files", check_large_file },
	{ "execute", check_execute },
	{ "concurrent changes", check_concurrent },
};

int main(int argc, char **argv)
{
	const size_t count = sizeof(checks) / sizeof(checks[0]);
	int bad = 0;

	if (argc == 2 && !strcmp(argv[1], "--exit-42"))
		return 42;
	if (argc != 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: fs_check DIR\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	umask(022);
	printf("1..%zu\n", count);
	for (size_t i = 0; i < count; i++) {
		char dir[] = "fs_check.XXXXXX";

		failed = NULL;
		if (!mkdtemp(dir) || chmod(dir, 0755) < 0 || chdir(dir) < 0) {
			perror("fs_check: cannot make a directory");
			return 2;
		}
		checks[i].fn();
		if (chdir("..") < 0)
			chdir(argv[1]);
		printf("%sok %zu - %s\n", failed ? "not " : "", i + 1, checks[i].name);
		if (failed)
			printf("# line %d: %s (%s)\n", failed_line, failed, strerror(failed_errno));
		bad += failed != NULL;
	}
	return bad ? 1 : 0;
}
