/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How fast a mounted file system is, from inside a guest: a few figures that show what a file
 * server costs. Run as root (it drops the guest's caches) with a directory to work in; lines of
 * "name<TAB>value<TAB>unit".
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MIB (1u << 20)
#define FILE_MIB 128u
#define RANDOM_OPS 4000u
#define FILES 2000u

static char *buf;
static double started;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static void drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

	sync();
	if (fd >= 0) {
		check(write(fd, "3", 1), "drop_caches");
		close(fd);
	}
}

static void begin(void)
{
	started = now();
}

static void report(const char *name, double amount, const char *unit)
{
	printf("%s\t%.1f\t%s\n", name, amount / (now() - started), unit);
}

static void sequential(void)
{
	int fd = open("bench", O_CREAT | O_TRUNC | O_RDWR, 0644);

	check(fd, "bench");
	begin();
	for (unsigned int i = 0; i < FILE_MIB; i++)
		check(write(fd, buf, MIB), "write");
	report("write-1M", FILE_MIB, "MiB/s");
	check(fsync(fd), "fsync");
	drop_caches();
	begin();
	for (unsigned int i = 0; i < FILE_MIB; i++)
		check(pread(fd, buf, MIB, (off_t)i * MIB), "read");
	report("read-1M", FILE_MIB, "MiB/s");
	close(fd);
}

static void random_access(const char *name, int flags, int writes)
{
	int fd = open("bench", O_RDWR | flags);

	check(fd, "bench");
	drop_caches();
	begin();
	for (unsigned int i = 0; i < RANDOM_OPS; i++) {
		off_t at = (off_t)(rand() % (FILE_MIB * 256u)) * 4096;

		check(writes ? pwrite(fd, buf, 4096, at) : pread(fd, buf, 4096, at), name);
	}
	report(name, RANDOM_OPS, "op/s");
	close(fd);
}

enum action { CREATE, STAT, OPEN, READ, UNLINK };

static void on_files(const char *name, enum action action)
{
	struct stat st;
	char file[32];
	int fd;

	begin();
	for (unsigned int i = 0; i < FILES; i++) {
		snprintf(file, sizeof(file), "files/%u", i);
		switch (action) {
		case CREATE:
			fd = open(file, O_CREAT | O_WRONLY, 0644);
			check(write(fd, buf, 1000), name);
			close(fd);
			break;
		case STAT:
			check(stat(file, &st), name);
			break;
		case OPEN:
		case READ:
			fd = open(file, O_RDONLY);
			check(fd, name);
			if (action == READ)
				check(read(fd, buf, 4096), name);
			close(fd);
			break;
		case UNLINK:
			check(unlink(file), name);
			break;
		}
	}
	report(name, FILES, "op/s");
}

int main(int argc, char **argv)
{
	if (argc != 2 || chdir(argv[1]) < 0) {
		fprintf(stderr, "usage: fs_bench DIR\n");
		return 2;
	}
	buf = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(buf, 'b', MIB);
	sequential();
	random_access("randread-4k-direct", O_DIRECT, 0);
	random_access("randread-4k", 0, 0);
	random_access("randwrite-4k", 0, 1);
	check(unlink("bench"), "unlink");
	check(mkdir("files", 0755), "mkdir");
	on_files("create", CREATE);
	drop_caches();
	on_files("stat-cold", STAT);
	on_files("open-close", OPEN);
	on_files("open-read-cold", READ);
	on_files("open-read-warm", READ);
	on_files("unlink", UNLINK);
	check(rmdir("files"), "rmdir");
	return 0;
}
