/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_STATE_H
#define OCI_STATE_H

/*
 * What is remembered of a container between command lines: the directory ROOT/ID, mode 0700, with
 *
 *	status.json	struct oci_state, replaced by rename
 *	config.json	the configuration as it was at create
 *	control.sock	where the VMM listens
 *	oom		empty; the VMM marks in it that memory was too little in the guest
 *	export		mount point of the fs worker's export, in that worker's mount namespace alone
 *
 * The directory itself is the lock (flock). Who creates a container holds it until it is created:
 * a directory that says "creating", or nothing, and that nobody holds is left over from a command
 * line that was killed, and may be removed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "oci/arena.h"
#include "oci/process_ref.h"

struct error;
struct oci_spec;

#define OCI_STATUS_FILE "status.json"
#define OCI_CONFIG_FILE "config.json"
#define OCI_CONTROL_SOCKET "control.sock"
#define OCI_EXPORT_DIR "export"
#define OCI_OOM_DIR "oom"

enum oci_status {
	OCI_STATUS_CREATING,
	OCI_STATUS_CREATED,
	OCI_STATUS_RUNNING,
	OCI_STATUS_PAUSED,
	OCI_STATUS_STOPPED,
};

#define OCI_STATE_WORKERS_MAX 8

struct oci_state {
	struct arena arena; /* holds the strings */
	char *id;
	char *bundle;  /* absolute */
	char *rootfs;  /* absolute */
	char *created; /* RFC 3339 */
	char *owner;   /* user name or number */
	char *cgroup;  /* absolute path of our cgroup directory; NULL: none */
	uint64_t ram;  /* bytes of the microVM */
	uint32_t vcpus;
	uint64_t room; /* bytes that the host's processes may have beside the microVM */
	char *gpu_driver; /* path in the container of the driver's manifest that it was offered */
	enum oci_status status;
	struct process_ref vmm;
	struct process_ref workers[OCI_STATE_WORKERS_MAX];
	size_t num_workers;
};

/** oci_id_check() - letters, digits and _+-. as runc allows; 0 or -1 */
int oci_id_check(const char *id, struct error **err);

/**
 * oci_state_create() - make ROOT/ID and lock it
 * @root: made when missing, mode 0700
 *
 * What a killed create left behind is removed first. Return: the directory's fd, which holds the
 * lock until it is closed, or -1: "container ID already exists".
 */
int oci_state_create(const char *root, const char *id, struct error **err);

/** oci_state_open() - the directory of a container there is, or -1: "container ID does not exist" */
int oci_state_open(const char *root, const char *id, struct error **err);

/** oci_state_lock() - wait for the lock; 0, or -1 when the container has gone meanwhile */
int oci_state_lock(int dirfd, struct error **err);

/** oci_state_trylock() - 1: locked, 0: someone holds it, -1 */
int oci_state_trylock(int dirfd, struct error **err);

/** oci_state_write() - replace status.json */
int oci_state_write(int dirfd, const struct oci_state *state, struct error **err);

/**
 * oci_state_read() - read status.json
 * @state: must be zero; release it whatever the answer
 *
 * A container whose VMM has ended is read as stopped, and one whose status.json is not there yet
 * as creating. Return: 0 or -1.
 */
int oci_state_read(int dirfd, const char *id, struct oci_state *state, struct error **err);

void oci_state_release(struct oci_state *state);

/** oci_state_remove() - remove ROOT/ID and what is in it */
int oci_state_remove(const char *root, const char *id, int dirfd, struct error **err);

/** oci_state_list() - ids of all containers below @root, sorted, malloc'ed, NULL-terminated */
char **oci_state_list(const char *root, struct error **err);

/** oci_status_name() - "creating", "created", … */
const char *oci_status_name(enum oci_status status);

/**
 * oci_state_json() - the state document (runtime specification: State), malloc'ed
 * @spec: for the annotations; may be NULL
 *
 * Also what hooks get on their standard input. NULL when memory is out.
 */
char *oci_state_json(const struct oci_state *state, const struct oci_spec *spec);

#define cleanup_state __attribute__((cleanup(oci_state_release)))

#endif
