/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/agent_proto.h"

#include <stdlib.h>
#include <string.h>

#include "base/wire.h"

/* The smallest encodings of list elements, for wire_get_count(). */
#define RLIMIT_MIN 20
#define PAIR_MIN 8
#define DEVICE_MIN 28
#define MOUNT_MIN 41
#define MAPPING_MIN 12
#define HOOK_MIN 16

/* Allocates @count elements, one at least, so that only failure is NULL. */
static void *decode_array(struct wire_reader *r, size_t count, size_t size)
{
	void *p = r->failed ? NULL : calloc(count ? count : 1, size);

	if (!p)
		r->failed = true;
	return p;
}

static void encode_u32s(struct wire_writer *w, const uint32_t *v, size_t count)
{
	wire_put_u32(w, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		wire_put_u32(w, v[i]);
}

static uint32_t *decode_u32s(struct wire_reader *r, size_t *count)
{
	size_t n = wire_get_count(r, sizeof(uint32_t));
	uint32_t *v = decode_array(r, n, sizeof(*v));

	*count = v ? n : 0;
	for (size_t i = 0; i < *count; i++)
		v[i] = wire_get_u32(r);
	return v;
}

void agent_pairs_encode(struct wire_writer *w, const struct agent_pair *v, size_t count)
{
	wire_put_u32(w, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_str(w, v[i].key);
		wire_put_str(w, v[i].value);
	}
}

struct agent_pair *agent_pairs_decode(struct wire_reader *r, size_t *count)
{
	size_t n = wire_get_count(r, PAIR_MIN);
	struct agent_pair *v = decode_array(r, n, sizeof(*v));

	*count = v ? n : 0;
	for (size_t i = 0; i < *count; i++) {
		v[i].key = wire_get_str(r);
		v[i].value = wire_get_str(r);
	}
	return v;
}

void agent_pairs_release(struct agent_pair *v, size_t count)
{
	for (size_t i = 0; v && i < count; i++) {
		free(v[i].key);
		free(v[i].value);
	}
	free(v);
}

/* How the kernel is to treat it, beside its limits. */
static void encode_schedule(struct wire_writer *w, const struct agent_process *p)
{
	wire_put_u8(w, p->has_scheduler);
	wire_put_u32(w, p->scheduler.policy);
	wire_put_u64(w, p->scheduler.flags);
	wire_put_u32(w, (uint32_t)p->scheduler.nice);
	wire_put_u32(w, p->scheduler.priority);
	wire_put_u64(w, p->scheduler.runtime);
	wire_put_u64(w, p->scheduler.deadline);
	wire_put_u64(w, p->scheduler.period);
	wire_put_u8(w, p->has_io_priority);
	wire_put_u32(w, p->io_priority);
	wire_put_u8(w, p->has_personality);
	wire_put_u32(w, p->personality);
}

static void decode_schedule(struct wire_reader *r, struct agent_process *p)
{
	p->has_scheduler = wire_get_u8(r);
	p->scheduler.policy = wire_get_u32(r);
	p->scheduler.flags = wire_get_u64(r);
	p->scheduler.nice = (int32_t)wire_get_u32(r);
	p->scheduler.priority = wire_get_u32(r);
	p->scheduler.runtime = wire_get_u64(r);
	p->scheduler.deadline = wire_get_u64(r);
	p->scheduler.period = wire_get_u64(r);
	p->has_io_priority = wire_get_u8(r);
	p->io_priority = wire_get_u32(r);
	p->has_personality = wire_get_u8(r);
	p->personality = wire_get_u32(r);
}

void agent_process_encode(struct wire_writer *w, const struct agent_process *p)
{
	wire_put_strv(w, p->args);
	wire_put_strv(w, p->env);
	wire_put_str(w, p->cwd);
	wire_put_u8(w, p->terminal);
	wire_put_u32(w, p->rows);
	wire_put_u32(w, p->columns);
	wire_put_u8(w, p->stdin_open);
	wire_put_u32(w, p->uid);
	wire_put_u32(w, p->gid);
	encode_u32s(w, p->additional_gids, p->num_additional_gids);
	wire_put_u8(w, p->has_umask);
	wire_put_u32(w, p->umask);
	wire_put_u8(w, p->has_capabilities);
	for (int i = 0; i < AGENT_CAP_SETS; i++)
		wire_put_u64(w, p->capabilities[i]);
	wire_put_u8(w, p->no_new_privileges);
	wire_put_u8(w, p->has_oom_score_adj);
	wire_put_u32(w, (uint32_t)p->oom_score_adj);
	wire_put_u32(w, (uint32_t)p->num_rlimits);
	for (size_t i = 0; i < p->num_rlimits; i++) {
		wire_put_u32(w, p->rlimits[i].resource);
		wire_put_u64(w, p->rlimits[i].soft);
		wire_put_u64(w, p->rlimits[i].hard);
	}
	encode_schedule(w, p);
	wire_put_bytes(w, p->seccomp, p->seccomp_len);
	wire_put_u32(w, p->seccomp_flags);
}

static void decode_rlimits(struct wire_reader *r, struct agent_process *p)
{
	size_t n = wire_get_count(r, RLIMIT_MIN);

	p->rlimits = decode_array(r, n, sizeof(*p->rlimits));
	p->num_rlimits = p->rlimits ? n : 0;
	for (size_t i = 0; i < p->num_rlimits; i++) {
		p->rlimits[i].resource = wire_get_u32(r);
		p->rlimits[i].soft = wire_get_u64(r);
		p->rlimits[i].hard = wire_get_u64(r);
	}
}

static void decode_seccomp(struct wire_reader *r, struct agent_process *p)
{
	size_t len;
	const char *bytes = wire_get_bytes(r, &len);

	if (!bytes || !len)
		return;
	p->seccomp = decode_array(r, len, 1);
	if (!p->seccomp)
		return;
	memcpy(p->seccomp, bytes, len);
	p->seccomp_len = len;
}

int agent_process_decode(struct wire_reader *r, struct agent_process *p)
{
	p->args = wire_get_strv(r);
	p->env = wire_get_strv(r);
	p->cwd = wire_get_str(r);
	p->terminal = wire_get_u8(r);
	p->rows = wire_get_u32(r);
	p->columns = wire_get_u32(r);
	p->stdin_open = wire_get_u8(r);
	p->uid = wire_get_u32(r);
	p->gid = wire_get_u32(r);
	p->additional_gids = decode_u32s(r, &p->num_additional_gids);
	p->has_umask = wire_get_u8(r);
	p->umask = wire_get_u32(r);
	p->has_capabilities = wire_get_u8(r);
	for (int i = 0; i < AGENT_CAP_SETS; i++)
		p->capabilities[i] = wire_get_u64(r);
	p->no_new_privileges = wire_get_u8(r);
	p->has_oom_score_adj = wire_get_u8(r);
	p->oom_score_adj = (int32_t)wire_get_u32(r);
	decode_rlimits(r, p);
	decode_schedule(r, p);
	decode_seccomp(r, p);
	p->seccomp_flags = wire_get_u32(r);
	if (!r->failed && p->args[0])
		return 0;
	agent_process_release(p);
	return -1;
}

void agent_process_release(struct agent_process *p)
{
	wire_strv_free(p->args);
	wire_strv_free(p->env);
	free(p->cwd);
	free(p->additional_gids);
	free(p->rlimits);
	free(p->seccomp);
	memset(p, 0, sizeof(*p));
}

static void encode_mounts(struct wire_writer *w, const struct agent_container *c)
{
	wire_put_u32(w, (uint32_t)c->num_mounts);
	for (size_t i = 0; i < c->num_mounts; i++) {
		const struct agent_mount *m = &c->mounts[i];

		wire_put_u32(w, m->kind);
		wire_put_u64(w, m->flags);
		wire_put_u64(w, m->clear_flags);
		wire_put_u32(w, m->propagation);
		wire_put_u8(w, m->tmpcopyup);
		wire_put_str(w, m->source);
		wire_put_str(w, m->destination);
		wire_put_str(w, m->type);
		wire_put_str(w, m->data);
	}
}

static void decode_mounts(struct wire_reader *r, struct agent_container *c)
{
	size_t n = wire_get_count(r, MOUNT_MIN);

	c->mounts = decode_array(r, n, sizeof(*c->mounts));
	c->num_mounts = c->mounts ? n : 0;
	for (size_t i = 0; i < c->num_mounts; i++) {
		struct agent_mount *m = &c->mounts[i];

		m->kind = wire_get_u32(r);
		m->flags = wire_get_u64(r);
		m->clear_flags = wire_get_u64(r);
		m->propagation = wire_get_u32(r);
		m->tmpcopyup = wire_get_u8(r);
		m->source = wire_get_str(r);
		m->destination = wire_get_str(r);
		m->type = wire_get_str(r);
		m->data = wire_get_str(r);
	}
}

static void encode_devices(struct wire_writer *w, const struct agent_container *c)
{
	wire_put_u32(w, (uint32_t)c->num_devices);
	for (size_t i = 0; i < c->num_devices; i++) {
		const struct agent_device *d = &c->devices[i];

		wire_put_u32(w, d->kind);
		wire_put_u32(w, d->mode);
		wire_put_u32(w, d->major);
		wire_put_u32(w, d->minor);
		wire_put_u32(w, d->uid);
		wire_put_u32(w, d->gid);
		wire_put_str(w, d->path);
	}
}

static void decode_devices(struct wire_reader *r, struct agent_container *c)
{
	size_t n = wire_get_count(r, DEVICE_MIN);

	c->devices = decode_array(r, n, sizeof(*c->devices));
	c->num_devices = c->devices ? n : 0;
	for (size_t i = 0; i < c->num_devices; i++) {
		struct agent_device *d = &c->devices[i];

		d->kind = wire_get_u32(r);
		d->mode = wire_get_u32(r);
		d->major = wire_get_u32(r);
		d->minor = wire_get_u32(r);
		d->uid = wire_get_u32(r);
		d->gid = wire_get_u32(r);
		d->path = wire_get_str(r);
	}
}

static void encode_mappings(struct wire_writer *w, const struct agent_mappings *m)
{
	wire_put_u32(w, (uint32_t)m->count);
	for (size_t i = 0; i < m->count; i++) {
		wire_put_u32(w, m->items[i].inside);
		wire_put_u32(w, m->items[i].outside);
		wire_put_u32(w, m->items[i].count);
	}
}

static void decode_mappings(struct wire_reader *r, struct agent_mappings *m)
{
	size_t n = wire_get_count(r, MAPPING_MIN);

	m->items = decode_array(r, n, sizeof(*m->items));
	m->count = m->items ? n : 0;
	for (size_t i = 0; i < m->count; i++) {
		m->items[i].inside = wire_get_u32(r);
		m->items[i].outside = wire_get_u32(r);
		m->items[i].count = wire_get_u32(r);
	}
}

static void encode_hooks(struct wire_writer *w, const struct agent_container *c)
{
	wire_put_u32(w, (uint32_t)c->num_hooks);
	for (size_t i = 0; i < c->num_hooks; i++) {
		wire_put_str(w, c->hooks[i].path);
		wire_put_strv(w, c->hooks[i].args);
		wire_put_strv(w, c->hooks[i].env);
		wire_put_u32(w, c->hooks[i].timeout);
	}
}

static void decode_hooks(struct wire_reader *r, struct agent_container *c)
{
	size_t n = wire_get_count(r, HOOK_MIN);

	c->hooks = decode_array(r, n, sizeof(*c->hooks));
	c->num_hooks = c->hooks ? n : 0;
	for (size_t i = 0; i < c->num_hooks; i++) {
		c->hooks[i].path = wire_get_str(r);
		c->hooks[i].args = wire_get_strv(r);
		c->hooks[i].env = wire_get_strv(r);
		c->hooks[i].timeout = wire_get_u32(r);
	}
}

static void release_hooks(struct agent_container *c)
{
	for (size_t i = 0; i < c->num_hooks; i++) {
		free(c->hooks[i].path);
		wire_strv_free(c->hooks[i].args);
		wire_strv_free(c->hooks[i].env);
	}
	free(c->hooks);
}

void agent_container_encode(struct wire_writer *w, const struct agent_container *c)
{
	wire_put_str(w, c->hostname);
	wire_put_str(w, c->domainname);
	wire_put_u64(w, c->namespaces);
	wire_put_u8(w, c->readonly_root);
	wire_put_u32(w, c->rootfs_propagation);
	wire_put_u64(w, c->boot_time);
	encode_mounts(w, c);
	encode_devices(w, c);
	wire_put_strv(w, c->masked_paths);
	wire_put_strv(w, c->readonly_paths);
	agent_pairs_encode(w, c->sysctls, c->num_sysctls);
	agent_pairs_encode(w, c->cgroup, c->num_cgroup);
	encode_mappings(w, &c->uids);
	encode_mappings(w, &c->gids);
	for (size_t i = 0; i < AGENT_CLOCKS; i++) {
		wire_put_u64(w, (uint64_t)c->time_offsets[i].secs);
		wire_put_u32(w, c->time_offsets[i].nanosecs);
	}
	encode_hooks(w, c);
	wire_put_str(w, c->state);
	agent_interfaces_encode(w, c->interfaces, c->num_interfaces);
	wire_put_u32(w, c->name_server);
	agent_process_encode(w, &c->process);
}

int agent_container_decode(struct wire_reader *r, struct agent_container *c)
{
	c->hostname = wire_get_str(r);
	c->domainname = wire_get_str(r);
	c->namespaces = wire_get_u64(r);
	c->readonly_root = wire_get_u8(r);
	c->rootfs_propagation = wire_get_u32(r);
	c->boot_time = wire_get_u64(r);
	decode_mounts(r, c);
	decode_devices(r, c);
	c->masked_paths = wire_get_strv(r);
	c->readonly_paths = wire_get_strv(r);
	c->sysctls = agent_pairs_decode(r, &c->num_sysctls);
	c->cgroup = agent_pairs_decode(r, &c->num_cgroup);
	decode_mappings(r, &c->uids);
	decode_mappings(r, &c->gids);
	for (size_t i = 0; i < AGENT_CLOCKS; i++) {
		c->time_offsets[i].secs = (int64_t)wire_get_u64(r);
		c->time_offsets[i].nanosecs = wire_get_u32(r);
	}
	decode_hooks(r, c);
	c->state = wire_get_str(r);
	c->interfaces = agent_interfaces_decode(r, &c->num_interfaces);
	c->name_server = wire_get_u32(r);
	if (!agent_process_decode(r, &c->process) && wire_done(r))
		return 0;
	agent_container_release(c);
	return -1;
}

void agent_container_release(struct agent_container *c)
{
	for (size_t i = 0; i < c->num_mounts; i++) {
		free(c->mounts[i].source);
		free(c->mounts[i].destination);
		free(c->mounts[i].type);
		free(c->mounts[i].data);
	}
	for (size_t i = 0; i < c->num_devices; i++)
		free(c->devices[i].path);
	free(c->mounts);
	free(c->devices);
	free(c->hostname);
	free(c->domainname);
	wire_strv_free(c->masked_paths);
	wire_strv_free(c->readonly_paths);
	agent_pairs_release(c->sysctls, c->num_sysctls);
	agent_pairs_release(c->cgroup, c->num_cgroup);
	free(c->uids.items);
	free(c->gids.items);
	release_hooks(c);
	free(c->state);
	agent_interfaces_release(c->interfaces, c->num_interfaces);
	agent_process_release(&c->process);
	memset(c, 0, sizeof(*c));
}
