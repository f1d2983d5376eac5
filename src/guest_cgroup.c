/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest_cgroup.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/msg.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "control_client.h"
#include "numbers.h"

#define CGROUP_TIMEOUT_MS 10000
/* Another command line may be asking: the VMM has one question under way at a time. */
#define CGROUP_RETRIES 50

static int ask(int dirfd, const struct wire_writer *w, struct msg *msg, struct error **err)
{
	cleanup_close int sock = control_connect(dirfd, err);
	int r;

	if (sock < 0)
		return -1;
	r = msg_send(sock, VMM_CGROUP, w->data, w->len, NULL, 0);
	if (r < 0)
		return error_set(err, -r, "cannot ask the container's VMM");
	return control_receive(sock, CGROUP_TIMEOUT_MS, msg, err);
}

static int ask_until_free(int dirfd, const struct wire_writer *w, struct msg *msg,
			  struct error **err)
{
	const struct timespec pause = { 0, 20 * 1000 * 1000 };

	for (int tries = 0;; tries++) {
		cleanup_error struct error *why = NULL;

		if (ask(dirfd, w, msg, &why) == 0)
			return 0;
		if (why->code != EAGAIN || tries == CGROUP_RETRIES)
			return error_move(err, &why);
		nanosleep(&pause, NULL);
	}
}

static int read_answer(const struct msg *msg, struct guest_cgroup *out, struct error **err)
{
	struct wire_reader r = WIRE_READER(msg->payload, msg->len);
	uint32_t code = wire_get_u32(&r);
	cleanup_free char *why = wire_get_str(&r);
	struct guest_cgroup got = { 0 };

	got.files = agent_pairs_decode(&r, &got.count);
	if (msg->type != VMM_CGROUP_IS || !wire_done(&r)) {
		guest_cgroup_release(&got);
		return error_set(err, EPROTO, "the VMM answered out of turn");
	}
	if (code || *why) {
		guest_cgroup_release(&got);
		return error_set(err, 0, "%s", why);
	}
	if (out)
		*out = got;
	else
		guest_cgroup_release(&got);
	return 0;
}

int guest_cgroup_access(int dirfd, const struct agent_pair *files, size_t count,
			struct guest_cgroup *out, struct error **err)
{
	cleanup_wire struct wire_writer w = { 0 };
	cleanup_msg struct msg msg = { 0 };

	agent_pairs_encode(&w, files, count);
	if (w.failed)
		return error_set(err, ENOMEM, "cannot ask for the container's cgroup");
	if (ask_until_free(dirfd, &w, &msg, err) < 0)
		return -1;
	return read_answer(&msg, out, err);
}

const char *guest_cgroup_text(const struct guest_cgroup *c, const char *file)
{
	for (size_t i = 0; i < c->count; i++)
		if (!strcmp(c->files[i].key, file))
			return c->files[i].value;
	return NULL;
}

uint64_t guest_cgroup_number(const struct guest_cgroup *c, const char *file, const char *key,
			     uint64_t otherwise)
{
	const char *text = guest_cgroup_text(c, file);

	return text ? number_after(text, key, otherwise) : otherwise;
}

void guest_cgroup_release(struct guest_cgroup *c)
{
	agent_pairs_release(c->files, c->count);
	*c = (struct guest_cgroup){ 0 };
}
