/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_AGENT_PROTO_H
#define BASE_AGENT_PROTO_H

/*
 * The language between the host and the guest agent: framed messages (base/msg.h, without fds)
 * whose payloads are base/wire.h encodings.
 *
 * The agent connects from the guest to the host (CID 2), port AGENT_PORT_CONTROL, and says HELLO.
 * The host answers CONTAINER; the agent sets everything up short of executing the process and
 * says READY (or ERROR). On START it executes the process and says STARTED, or ERROR. When a
 * process has ended and every byte of its output is written to its streams, the agent closes
 * those streams and says EXITED. After an ERROR for an id nothing more is said of that id. EXITED
 * for id 0 is the agent's last message: the export is flushed, and the host may end the machine.
 *
 * Sockets: for a unix socket of the host's that is mounted into the container, the agent listens in
 * its stead. For each process that connects it says CONNECT; the host connects to the real one and
 * answers CONNECTED with a port, to which the agent connects.
 *
 * Local connections: what connects to one of the container's own addresses from within its network
 * namespace on the host would find nobody there. The host offers a port for it and says LOCAL; the
 * agent connects to that address in the guest, then to the port, or says LOCAL_FAILED.
 *
 * Names: where the container's resolv.conf names an address of the loopback interface at which somebody
 * answers in its network namespace on the host, the agent answers there in the guest. What it is asked
 * it passes on as DNS, each question with a number of its choosing; DNS_IS brings the answer, if one
 * comes. Both are datagrams that nobody looks into. What connects there by TCP, to ask several in a row,
 * is handed over as what connects to a socket of the host's is: as CONNECT to AGENT_SOCKET_NAMES.
 *
 * Streams: for each standard stream of a process the agent connects to the host's port
 * AGENT_PORT_STREAM(id, n). Half-closing the connection is end of file in that direction.
 *
 * To the host all that the agent says is data from a hostile source.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/agent_net_proto.h"

#define AGENT_PROTO_VERSION 1

#define AGENT_PORT_CONTROL 1024u
/* The container's first process has id 0; execs count up from 1. */
#define AGENT_PORT_STREAM(id, n) (0x10000u + (uint32_t)(id) * 4u + (uint32_t)(n))
enum { AGENT_STREAM_STDIN, AGENT_STREAM_STDOUT, AGENT_STREAM_STDERR, AGENT_STREAM_TERMINAL };

/* Connections to sockets of the host's: as many ports as there may be at one time. */
#define AGENT_PORT_SOCKET(slot) (0xf000u + (uint32_t)(slot))
#define AGENT_SOCKET_CONNS_MAX 64
/* Instead of a mount's number: the name server, by TCP. */
#define AGENT_SOCKET_NAMES UINT32_MAX

/* Local connections: likewise. */
#define AGENT_PORT_LOCAL(slot) (0xe000u + (uint32_t)(slot))
#define AGENT_LOCAL_CONNS_MAX 320

/* The longest question about names, and the longest answer; the port that they are asked at. */
#define AGENT_DNS_MAX 4096
#define AGENT_DNS_PORT 53
/*
 * Ports that the name server's own connections to others begin at, and the guest's do not. They can be told
 * by a mask, and are none of those that Linux chooses from unless it is told to.
 */
#define AGENT_DNS_OWN_FIRST 8192u
#define AGENT_DNS_OWN_LAST 16383u

/* virtio-fs tag of the export, and what lies in its root. */
#define AGENT_FS_TAG "krun-gpu"
#define AGENT_FS_ROOTFS "rootfs" /* the bundle's rootfs */
#define AGENT_FS_MOUNTS "mounts" /* mounts/N: the source of the Nth bind mount, file or directory */
/*
 * Only for a guest kernel that takes no initramfs, whose first root is the export: the agent's file,
 * and an empty directory for its next root.
 */
#define AGENT_FS_AGENT "krun-gpu-agent"
#define AGENT_FS_NEWROOT "newroot"

enum agent_msg {
	/* host to agent */
	AGENT_CONTAINER = 1, /* struct agent_container */
	AGENT_START,	     /* u32 an address at which to answer questions about names from now on; 0: as
			      * AGENT_CONTAINER has it */
	AGENT_EXEC,	     /* u32 id, struct agent_process */
	AGENT_SIGNAL,	     /* u32 id, u32 signo, u8 all: every process of the container */
	AGENT_RESIZE,	     /* u32 id, u32 rows, u32 columns */
	AGENT_CGROUP,	     /* pairs: files of the container's cgroup, in order; with a value it is
			      * written, with "" the file is read */
	AGENT_INTERFACE,     /* list of one struct agent_interface: there from now on, or changed */
	AGENT_INTERFACE_GONE, /* AGENT_MAC_LEN bytes, the device's address: it is not any more */
	AGENT_CONNECTED,     /* u32 connection, u32 errno, u32 port: the answer to AGENT_CONNECT */
	AGENT_PROC,	     /* u32 cookie, u32 enum agent_proc, u32 pid as the container sees it */
	AGENT_LOCAL,	     /* u32 AGENT_PORT_LOCAL, u32 TCP port, bytes: an IPv4 or IPv6 address of the
			      * container's, 4 or 16 in network byte order */
	AGENT_DNS_IS,	     /* u32 cookie, bytes: 1 to AGENT_DNS_MAX, the answer to AGENT_DNS */
	/* agent to host */
	AGENT_HELLO = 64, /* u32 AGENT_PROTO_VERSION */
	AGENT_READY,	  /* empty: the container is created */
	AGENT_STARTED,	  /* u32 id, u32 pid as the container sees it */
	AGENT_EXITED,	  /* u32 id, u32 wait status as from waitpid() */
	AGENT_ERROR,	  /* u32 id, u32 errno or 0, string: what failed, errno's text included */
	AGENT_LOG,	  /* u32 enum log_level, string */
	AGENT_SIGNALED,	  /* u32 id, u32 errno: the answer to AGENT_SIGNAL */
	AGENT_CGROUP_IS,  /* u32 errno or 0, string: why it failed, or "", pairs: what was read; the
			   * answer to AGENT_CGROUP */
	AGENT_CONNECT,	  /* u32 connection (the agent's number), u32 socket (N of the mount's source,
			   * or AGENT_SOCKET_NAMES) */
	AGENT_OOM,	  /* u32 how many of the container's processes the guest kernel has ended for
			   * want of memory; whenever there are more */
	AGENT_PROC_IS,	  /* u32 cookie, u32 errno or 0, string: the answer to AGENT_PROC */
	AGENT_LOCAL_FAILED, /* u32 AGENT_PORT_LOCAL, u32 errno: it could not be connected */
	AGENT_DNS,	  /* u32 cookie, bytes: 1 to AGENT_DNS_MAX, a question for the name server */
};

/* What is asked of the container's own /proc. */
enum agent_proc {
	AGENT_PROC_PIDS = 1,	 /* its processes, a line each; the pid is 0 */
	AGENT_PROC_MACHINE_STAT, /* the lines of /proc/stat that are not about interrupts; pid 0 */
	AGENT_PROC_STAT,
	AGENT_PROC_STATUS,
	AGENT_PROC_CMDLINE, /* what fits into AGENT_PROC_TEXT_MAX; the NULs between its words are kept */
	AGENT_PROC_ATTR,    /* attr/current */
};

#define AGENT_PROC_TEXT_MAX 12288

/* Which nodes of the guest kernel an agent_device stands for. */
enum agent_device_kind {
	AGENT_DEVICE_NODE,	 /* type, major and minor as given */
	AGENT_DEVICE_GPU_CARD,	 /* the guest's /dev/dri/card0 */
	AGENT_DEVICE_GPU_RENDER, /* the guest's /dev/dri/renderD128 */
};

struct agent_device {
	uint32_t kind; /* enum agent_device_kind */
	uint32_t mode; /* S_IFCHR, S_IFBLK or S_IFIFO and the permissions */
	uint32_t major, minor;
	uint32_t uid, gid;
	char *path; /* absolute, in the container */
};

enum agent_mount_kind {
	AGENT_MOUNT_FS,	    /* a file system of the guest's: proc, sysfs, tmpfs, devpts, mqueue, cgroup2 */
	AGENT_MOUNT_EXPORT, /* bind of the export's mounts/<source>, a file or a directory */
	AGENT_MOUNT_SOCKET, /* socket <source> of the host's; data: "mode=<octal>,uid=<n>,gid=<n>" */
};

struct agent_mount {
	uint32_t kind;	      /* enum agent_mount_kind */
	uint64_t flags;	      /* MS_* for mount(2): NOSUID, NODEV, NOEXEC, RDONLY, … */
	uint64_t clear_flags; /* MS_* explicitly asked to be off */
	uint32_t propagation; /* MS_SHARED|SLAVE|PRIVATE|UNBINDABLE, with MS_REC; 0: leave */
	bool tmpcopyup;	      /* tmpfs begins with a copy of what was there */
	char *source;	      /* file system's source, or N of mounts/N */
	char *destination;    /* absolute, in the container, resolved inside its root */
	char *type;	      /* file system type for AGENT_MOUNT_FS */
	char *data;	      /* file system specific options, comma separated */
};

struct agent_rlimit {
	uint32_t resource; /* RLIMIT_* */
	uint64_t soft, hard;
};

struct agent_pair {
	char *key, *value;
};

enum agent_cap_set {
	AGENT_CAP_BOUNDING,
	AGENT_CAP_EFFECTIVE,
	AGENT_CAP_PERMITTED,
	AGENT_CAP_INHERITABLE,
	AGENT_CAP_AMBIENT,
	AGENT_CAP_SETS,
};

/** struct agent_scheduler - struct sched_attr of sched_setattr(2) */
struct agent_scheduler {
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* ns */
};

/** struct agent_hook - a program to run in the container before its process */
struct agent_hook {
	char *path; /* in the container */
	char **args; /* empty: the path alone */
	char **env;
	uint32_t timeout; /* seconds; 0: none */
};

/** struct agent_mapping - one line of uid_map or gid_map */
struct agent_mapping {
	uint32_t inside, outside, count;
};

struct agent_mappings {
	struct agent_mapping *items;
	size_t count;
};

/** struct agent_time_offset - how far a clock of the container's is ahead of the guest's */
struct agent_time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

enum agent_clock { AGENT_CLOCK_MONOTONIC, AGENT_CLOCK_BOOTTIME, AGENT_CLOCKS };

/** struct agent_process - what to execute and as whom (runtime specification: process) */
struct agent_process {
	char **args; /* NULL-terminated; args[0] is looked up in env's PATH inside the container */
	char **env;
	char *cwd;
	bool terminal;
	uint32_t rows, columns; /* of the terminal; 0: unknown */
	bool stdin_open;	/* false: /dev/null, no stream is opened */
	uint32_t uid, gid;
	uint32_t *additional_gids;
	size_t num_additional_gids;
	bool has_umask;
	uint32_t umask;
	bool has_capabilities;
	uint64_t capabilities[AGENT_CAP_SETS]; /* bit n: capability n */
	bool no_new_privileges;
	bool has_oom_score_adj;
	int32_t oom_score_adj;
	struct agent_rlimit *rlimits;
	size_t num_rlimits;
	bool has_scheduler;
	struct agent_scheduler scheduler;
	bool has_io_priority;
	uint32_t io_priority; /* as ioprio_set(2) takes it */
	bool has_personality;
	uint32_t personality;
	char *seccomp;	    /* struct sock_filter array, compiled on the host; NULL: none */
	size_t seccomp_len; /* bytes */
	uint32_t seccomp_flags; /* SECCOMP_FILTER_FLAG_* */
};

/** struct agent_container - the container as the guest must set it up */
struct agent_container {
	char *hostname;	  /* NULL or "": leave */
	char *domainname;
	uint64_t namespaces; /* CLONE_NEW*: what the process is to have for its own */
	bool readonly_root;
	uint32_t rootfs_propagation; /* MS_*; 0: the default, private and recursive */
	uint64_t boot_time;	     /* host's CLOCK_REALTIME in ns when this was sent: sets the guest's */
	struct agent_mount *mounts; /* in the configuration's order */
	size_t num_mounts;
	struct agent_device *devices; /* default devices included */
	size_t num_devices;
	char **masked_paths;
	char **readonly_paths;
	struct agent_pair *sysctls;
	size_t num_sysctls;
	struct agent_pair *cgroup; /* file name below the container's cgroup (v2), and its value */
	size_t num_cgroup;
	struct agent_mappings uids, gids; /* with CLONE_NEWUSER in namespaces */
	struct agent_time_offset time_offsets[AGENT_CLOCKS]; /* with CLONE_NEWTIME */
	struct agent_hook *hooks;	  /* startContainer, in their order */
	size_t num_hooks;
	char *state; /* what they read on standard input */
	struct agent_interface *interfaces; /* but lo; the devices are there when this comes */
	size_t num_interfaces;
	uint32_t name_server; /* 127.x.y.z as a number: where names are answered; 0: nowhere */
	struct agent_process process;
};

/* Kept by the host's cgroup as well: a guest kernel that has no such file goes without. */
#define AGENT_CGROUP_CPU_MAX "cpu.max"

/* Limits of huge pages begin so; a guest kernel without pages of a size holds to a limit of 0. */
#define AGENT_CGROUP_HUGETLB "hugetlb."

struct wire_writer;
struct wire_reader;

void agent_container_encode(struct wire_writer *w, const struct agent_container *c);
/** agent_container_decode() - @c must be zero; 0, or -1 with @c released */
int agent_container_decode(struct wire_reader *r, struct agent_container *c);
void agent_container_release(struct agent_container *c);

/** agent_pairs_encode(), agent_pairs_decode() - the payload of AGENT_CGROUP */
void agent_pairs_encode(struct wire_writer *w, const struct agent_pair *v, size_t count);
/** agent_pairs_decode() - malloc'ed, for agent_pairs_release(); NULL when the reader has failed */
struct agent_pair *agent_pairs_decode(struct wire_reader *r, size_t *count);
void agent_pairs_release(struct agent_pair *v, size_t count);

void agent_process_encode(struct wire_writer *w, const struct agent_process *p);
/** agent_process_decode() - @p must be zero; 0, or -1 with @p released */
int agent_process_decode(struct wire_reader *r, struct agent_process *p);
void agent_process_release(struct agent_process *p);

#endif
