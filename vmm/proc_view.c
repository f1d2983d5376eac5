/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: a node's number says all of it: of which process, and which file. What a file
 * or the list of processes holds is asked of the agent when it is opened, kept until it is closed, and
 * read from there. The kernel's requests come one by one and are of a kernel that is trusted; what
 * the agent answers is bytes, of a length that its link has bounded, and numbers that are looked at.
 */
#include "vmm/proc_view.h"

#include <elf.h>
#include <errno.h>
#include <linux/fuse.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/error.h"
#include "base/log.h"
#include "vmm/event_loop.h"

#define PROC_OPEN_MAX 64
#define PROC_PID_MAX (1u << 22) /* the kernel's */
#define PROC_SELF (PROC_PID_MAX + 1)
#define PROC_MAX_WRITE 4096
#define PROC_BUFFER (FUSE_MIN_READ_BUFFER + PROC_MAX_WRITE)

enum proc_kind {
	PROC_DIR = 1, /* of a process; of process 0: the root, whose number is FUSE_ROOT_ID */
	PROC_STAT,
	PROC_STATUS,
	PROC_CMDLINE,
	PROC_ATTR,
	PROC_ATTR_CURRENT,
	PROC_NS,
	PROC_NS_PID,
	PROC_AUXV,
};

#define PROC_NODE(pid, kind) ((uint64_t)(pid) << 4 | (kind))
#define PROC_NODE_PID(node) ((uint32_t)((node) >> 4))
#define PROC_NODE_KIND(node) ((enum proc_kind)((node) & 15))
_Static_assert(PROC_NODE(0, PROC_DIR) == FUSE_ROOT_ID, "the root is the directory of process 0");

enum proc_scope { OF_MACHINE = 1, OF_PROCESS = 2, OF_SELF = 4 };

/* Everything there is but the directories of processes. */
static const struct proc_entry {
	enum proc_kind dir;
	const char *name;
	enum proc_kind kind;
	mode_t mode;
	unsigned int scope;
	uint32_t what; /* enum agent_proc */
} entries[] = {
	{ PROC_DIR, "stat", PROC_STAT, S_IFREG | 0444, OF_MACHINE, AGENT_PROC_MACHINE_STAT },
	{ PROC_DIR, "stat", PROC_STAT, S_IFREG | 0444, OF_PROCESS, AGENT_PROC_STAT },
	{ PROC_DIR, "status", PROC_STATUS, S_IFREG | 0444, OF_PROCESS, AGENT_PROC_STATUS },
	{ PROC_DIR, "cmdline", PROC_CMDLINE, S_IFREG | 0444, OF_PROCESS, AGENT_PROC_CMDLINE },
	{ PROC_DIR, "attr", PROC_ATTR, S_IFDIR | 0555, OF_PROCESS, 0 },
	{ PROC_ATTR, "current", PROC_ATTR_CURRENT, S_IFREG | 0444, OF_PROCESS, AGENT_PROC_ATTR },
	{ PROC_DIR, "ns", PROC_NS, S_IFDIR | 0555, OF_PROCESS, 0 },
	{ PROC_NS, "pid", PROC_NS_PID, S_IFLNK | 0777, OF_PROCESS, 0 },
	{ PROC_DIR, "auxv", PROC_AUXV, S_IFREG | 0444, OF_SELF, 0 },
};

#define NUM_ENTRIES (sizeof(entries) / sizeof(*entries))

/* What is told of the one who looks: the unit of times in the guest's /proc, whose USER_HZ it is. */
static const Elf64_auxv_t self_auxv[] = { { AT_CLKTCK, { 100 } }, { AT_NULL, { 0 } } };

/** struct proc_open - an open file or directory, or one that is being opened */
struct proc_open {
	bool used;
	bool waiting;	 /* for the agent */
	uint64_t unique; /* of the request, while it waits */
	uint64_t node;
	uint32_t cookie;
	char *data; /* owned: contents, or the directory's struct fuse_dirent */
	size_t len;
};

struct proc_view {
	struct event_loop *loop; /* borrowed */
	int fd;			 /* owned */
	struct event_source src;
	proc_ask_fn ask;
	void *data;
	uint32_t next_cookie;
	struct proc_open open[PROC_OPEN_MAX];
};

static unsigned int proc_scope(uint64_t node)
{
	const uint32_t pid = PROC_NODE_PID(node);

	return pid == PROC_SELF ? OF_SELF : pid ? OF_PROCESS : OF_MACHINE;
}

/* NULL: a directory of a process, or the root */
static const struct proc_entry *proc_entry_of(uint64_t node)
{
	for (size_t i = 0; i < NUM_ENTRIES; i++)
		if (entries[i].kind == PROC_NODE_KIND(node) && (entries[i].scope & proc_scope(node)))
			return &entries[i];
	return NULL;
}

static mode_t proc_mode(uint64_t node)
{
	const struct proc_entry *e = proc_entry_of(node);

	return e ? e->mode : S_IFDIR | 0555;
}

static void proc_reply(const struct proc_view *pv, uint64_t unique, int code, const void *data,
		       size_t len)
{
	struct fuse_out_header out = { (uint32_t)(sizeof(out) + (code ? 0 : len)), -code, unique };
	struct iovec iov[] = { { &out, sizeof(out) }, { (void *)data, code ? 0 : len } };

	/* ENOENT: whoever asked has gone. */
	if (writev(pv->fd, iov, 2) < 0 && errno != ENOENT)
		log_debug("an answer to a reader of /proc: %s", strerror(errno));
}

static void proc_attr(uint64_t node, struct fuse_attr *attr)
{
	*attr = (struct fuse_attr){ .ino = node, .mode = proc_mode(node), .nlink = 1, .blksize = 4096 };
}

/* A process's directory is found without a question: what is in it will say if there is none. */
static uint64_t proc_find(uint64_t dir, const char *name)
{
	unsigned long pid;
	char *end;

	for (size_t i = 0; i < NUM_ENTRIES; i++)
		if (entries[i].dir == PROC_NODE_KIND(dir) && (entries[i].scope & proc_scope(dir)) &&
		    !strcmp(entries[i].name, name))
			return PROC_NODE(PROC_NODE_PID(dir), entries[i].kind);
	if (dir != FUSE_ROOT_ID)
		return 0;
	if (!strcmp(name, "self"))
		return PROC_NODE(PROC_SELF, PROC_DIR);
	if (*name < '1' || *name > '9')
		return 0;
	pid = strtoul(name, &end, 10);
	return *end || pid > PROC_PID_MAX ? 0 : PROC_NODE(pid, PROC_DIR);
}

static void on_lookup(const struct proc_view *pv, const struct fuse_in_header *in, const char *name)
{
	struct fuse_entry_out out = { .nodeid = proc_find(in->nodeid, name), .generation = 1 };

	if (out.nodeid)
		proc_attr(out.nodeid, &out.attr);
	proc_reply(pv, in->unique, out.nodeid ? 0 : ENOENT, &out, sizeof(out));
}

static void proc_forget_open(struct proc_open *o)
{
	free(o->data);
	*o = (struct proc_open){ 0 };
}

static void proc_opened(const struct proc_view *pv, struct proc_open *o, uint64_t unique)
{
	const struct fuse_open_out out = { .fh = (uint64_t)(o - pv->open),
					   .open_flags = S_ISDIR(proc_mode(o->node)) ? 0 :
										       FOPEN_DIRECT_IO };

	o->waiting = false;
	proc_reply(pv, unique, 0, &out, sizeof(out));
}

static int proc_add_name(struct proc_open *o, uint64_t node, const char *name)
{
	const size_t len = strlen(name), size = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + len);
	char *grown = realloc(o->data, o->len + size);
	struct fuse_dirent *d;

	if (!grown)
		return -ENOMEM;
	o->data = grown;
	d = (struct fuse_dirent *)(grown + o->len);
	memset(d, 0, size);
	o->len += size;
	*d = (struct fuse_dirent){ .ino = node, .off = o->len, .namelen = (uint32_t)len,
				   .type = proc_mode(node) >> 12 };
	memcpy(d->name, name, len);
	return 0;
}

static int proc_list_fixed(struct proc_open *o)
{
	int r = 0;

	for (size_t i = 0; !r && i < NUM_ENTRIES; i++)
		if (entries[i].dir == PROC_NODE_KIND(o->node) && (entries[i].scope & proc_scope(o->node)))
			r = proc_add_name(o, PROC_NODE(PROC_NODE_PID(o->node), entries[i].kind),
					  entries[i].name);
	return r;
}

/* "1\n7\n": what is no number of a process is left out. */
static int proc_list_pids(struct proc_open *o, const char *text, size_t len)
{
	const char *const end = text + len;
	int r = proc_list_fixed(o);

	while (!r && text < end) {
		const char *stop = memchr(text, '\n', (size_t)(end - text));
		char name[16] = "";

		if (!stop)
			stop = end;
		if (stop - text < (ptrdiff_t)sizeof(name)) {
			uint64_t node;

			memcpy(name, text, (size_t)(stop - text));
			node = proc_find(FUSE_ROOT_ID, name);
			if (PROC_NODE_KIND(node) == PROC_DIR && PROC_NODE_PID(node) != PROC_SELF)
				r = proc_add_name(o, node, name);
		}
		text = stop + 1;
	}
	return r;
}

static int proc_keep(struct proc_open *o, const void *data, size_t len)
{
	o->data = malloc(len + 1);
	if (!o->data)
		return -ENOMEM;
	if (len)
		memcpy(o->data, data, len);
	o->len = len;
	return 0;
}

static int proc_ask(struct proc_view *pv, struct proc_open *o, uint64_t unique)
{
	const struct proc_entry *e = proc_entry_of(o->node);

	o->waiting = true;
	o->unique = unique;
	o->cookie = pv->next_cookie++;
	return pv->ask(pv->data, o->cookie, e ? e->what : AGENT_PROC_PIDS, PROC_NODE_PID(o->node));
}

static void on_open(struct proc_view *pv, const struct fuse_in_header *in)
{
	struct proc_open *o = NULL;
	int r;

	for (size_t i = 0; !o && i < PROC_OPEN_MAX; i++)
		if (!pv->open[i].used)
			o = &pv->open[i];
	if (!o) {
		proc_reply(pv, in->unique, ENFILE, NULL, 0);
		return;
	}
	o->used = true;
	o->node = in->nodeid;
	if (PROC_NODE_KIND(o->node) == PROC_AUXV)
		r = proc_keep(o, self_auxv, sizeof(self_auxv));
	else if (S_ISDIR(proc_mode(o->node)) && o->node != FUSE_ROOT_ID)
		r = proc_list_fixed(o);
	else
		r = proc_ask(pv, o, in->unique);
	if (r < 0) {
		proc_forget_open(o);
		proc_reply(pv, in->unique, -r, NULL, 0);
	} else if (!o->waiting) {
		proc_opened(pv, o, in->unique);
	}
}

static struct proc_open *proc_find_open(struct proc_view *pv, uint64_t fh)
{
	return fh < PROC_OPEN_MAX && pv->open[fh].used && !pv->open[fh].waiting ? &pv->open[fh] : NULL;
}

/* A directory is given out in whole entries: where it goes on is the end of the last. */
static size_t proc_whole_entries(const struct proc_open *o, size_t at, size_t size)
{
	size_t got = 0;

	while (at + got < o->len) {
		const struct fuse_dirent *d = (const struct fuse_dirent *)(o->data + at + got);
		const size_t one = FUSE_DIRENT_SIZE(d);

		if (got + one > size)
			break;
		got += one;
	}
	return got;
}

static void on_read(struct proc_view *pv, const struct fuse_in_header *in,
		    const struct fuse_read_in *r)
{
	const struct proc_open *o = proc_find_open(pv, r->fh);
	size_t at, size;

	if (!o) {
		proc_reply(pv, in->unique, EBADF, NULL, 0);
		return;
	}
	at = r->offset < o->len ? (size_t)r->offset : o->len;
	size = o->len - at < r->size ? o->len - at : r->size;
	if (in->opcode == FUSE_READDIR)
		size = proc_whole_entries(o, at, r->size);
	proc_reply(pv, in->unique, 0, o->data + at, size);
}

static void on_release(struct proc_view *pv, const struct fuse_in_header *in,
		       const struct fuse_release_in *r)
{
	struct proc_open *o = proc_find_open(pv, r->fh);

	if (o)
		proc_forget_open(o);
	proc_reply(pv, in->unique, 0, NULL, 0);
}

/* Whoever waits for the agent no longer wants to. */
static void on_interrupt(struct proc_view *pv, const struct fuse_interrupt_in *i)
{
	for (size_t n = 0; n < PROC_OPEN_MAX; n++) {
		struct proc_open *o = &pv->open[n];

		if (!o->waiting || o->unique != i->unique)
			continue;
		proc_forget_open(o);
		proc_reply(pv, i->unique, EINTR, NULL, 0);
	}
}

static void on_init(const struct proc_view *pv, const struct fuse_in_header *in,
		    const struct fuse_init_in *i)
{
	const struct fuse_init_out out = { .major = FUSE_KERNEL_VERSION, .minor =
					   i->minor < FUSE_KERNEL_MINOR_VERSION ?
						   i->minor : FUSE_KERNEL_MINOR_VERSION,
					   .max_write = PROC_MAX_WRITE };

	proc_reply(pv, in->unique, i->major == FUSE_KERNEL_VERSION ? 0 : EPROTO, &out, sizeof(out));
}

static void on_getattr(const struct proc_view *pv, const struct fuse_in_header *in)
{
	struct fuse_attr_out out = { 0 };

	proc_attr(in->nodeid, &out.attr);
	proc_reply(pv, in->unique, 0, &out, sizeof(out));
}

static void on_readlink(const struct proc_view *pv, const struct fuse_in_header *in)
{
	/* The same for all: they are in one PID namespace. */
	static const char link[] = "pid:[4026532000]";

	proc_reply(pv, in->unique, 0, link, sizeof(link) - 1);
}

static void on_statfs(const struct proc_view *pv, const struct fuse_in_header *in)
{
	const struct fuse_statfs_out out = { .st = { .bsize = 4096, .frsize = 4096, .namelen = 255 } };

	proc_reply(pv, in->unique, 0, &out, sizeof(out));
}

/* @body: @len bytes behind the header, and a NUL behind those */
static void on_request(struct proc_view *pv, const struct fuse_in_header *in, const void *body,
		       size_t len)
{
	switch (in->opcode) {
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
		return; /* not answered */
	case FUSE_INTERRUPT:
		if (len >= sizeof(struct fuse_interrupt_in))
			on_interrupt(pv, body);
		return;
	case FUSE_LOOKUP:
		on_lookup(pv, in, body);
		return;
	case FUSE_GETATTR:
		on_getattr(pv, in);
		return;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		on_open(pv, in);
		return;
	case FUSE_READLINK:
		on_readlink(pv, in);
		return;
	case FUSE_STATFS:
		on_statfs(pv, in);
		return;
	case FUSE_ACCESS:
	case FUSE_FLUSH:
	case FUSE_DESTROY:
		proc_reply(pv, in->unique, 0, NULL, 0);
		return;
	case FUSE_INIT:
		if (len < FUSE_COMPAT_INIT_OUT_SIZE) /* major and minor */
			break;
		on_init(pv, in, body);
		return;
	case FUSE_READ:
	case FUSE_READDIR:
		if (len < sizeof(struct fuse_read_in))
			break;
		on_read(pv, in, body);
		return;
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		if (len < sizeof(struct fuse_release_in))
			break;
		on_release(pv, in, body);
		return;
	}
	proc_reply(pv, in->unique, ENOSYS, NULL, 0);
}

static void proc_ready(void *data, uint32_t events)
{
	struct proc_view *pv = data;
	union {
		struct fuse_in_header in;
		char bytes[PROC_BUFFER + 1];
	} buf;
	ssize_t n = read(pv->fd, buf.bytes, PROC_BUFFER);

	(void)events;
	if (n >= (ssize_t)sizeof(buf.in)) {
		buf.bytes[n] = 0;
		on_request(pv, &buf.in, buf.bytes + sizeof(buf.in), (size_t)n - sizeof(buf.in));
	} else if (n >= 0 || (errno != EAGAIN && errno != EINTR && errno != ENOENT)) {
		event_loop_remove(pv->loop, &pv->src); /* it is mounted no longer */
	}
}

void proc_view_answer(struct proc_view *pv, uint32_t cookie, int code, const char *text, size_t len)
{
	for (size_t i = 0; i < PROC_OPEN_MAX; i++) {
		struct proc_open *o = &pv->open[i];
		const uint64_t unique = o->unique;

		if (!o->waiting || o->cookie != cookie)
			continue;
		if (!code)
			code = -(o->node == FUSE_ROOT_ID ? proc_list_pids(o, text, len) :
							   proc_keep(o, text, len));
		if (!code) {
			proc_opened(pv, o, unique);
			return;
		}
		proc_forget_open(o);
		proc_reply(pv, unique, code, NULL, 0);
		return;
	}
}

struct proc_view *proc_view_create(struct event_loop *loop, int fd, proc_ask_fn ask, void *data,
				   struct error **err)
{
	struct proc_view *pv = calloc(1, sizeof(*pv));
	int r = pv ? 0 : -ENOMEM;

	if (pv) {
		*pv = (struct proc_view){ .loop = loop, .fd = fd, .ask = ask, .data = data };
		r = event_loop_add(loop, &pv->src, fd, EPOLLIN, proc_ready, pv);
	}
	if (r == 0)
		return pv;
	error_set(err, -r, "cannot serve the list of processes");
	close(fd);
	free(pv);
	return NULL;
}

void proc_view_free(struct proc_view *pv)
{
	if (!pv)
		return;
	event_loop_remove(pv->loop, &pv->src);
	close(pv->fd);
	for (size_t i = 0; i < PROC_OPEN_MAX; i++)
		free(pv->open[i].data);
	free(pv);
}
