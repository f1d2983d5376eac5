/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation: the profile is compiled here, on the host, where libseccomp is, and the
 * agent loads the program unread. The guest's kernel interprets it against the guest's system
 * calls, so the native architecture is the guest's, which is the host's.
 *
 * libseccomp writes programs to a file descriptor only: a memfd takes it.
 */
#include "oci/oci_seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "oci/oci_spec.h"

#define SECCOMP_BPF_MAX (65535 * sizeof(struct sock_filter))

struct seccomp_word {
	const char *word;
	uint32_t value;
};

static const struct seccomp_word actions[] = {
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ NULL, 0 },
};

static const struct seccomp_word operators[] = {
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
	{ "SCMP_CMP_NE", SCMP_CMP_NE },	{ NULL, 0 },
};

static const struct seccomp_word arches[] = {
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64 },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32 },
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64 },
	{ NULL, 0 },
};

static const struct seccomp_word filter_flags[] = {
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC },
	{ NULL, 0 },
};

#define SECCOMP_NAMES(function, table)                                    \
	const char *const *function(void)                                 \
	{                                                                 \
		static const char *names[sizeof(table) / sizeof(*table)]; \
                                                                          \
		for (size_t i = 0; table[i].word; i++)                    \
			names[i] = table[i].word;                         \
		return names;                                             \
	}

SECCOMP_NAMES(oci_seccomp_action_names, actions)
SECCOMP_NAMES(oci_seccomp_operator_names, operators)
SECCOMP_NAMES(oci_seccomp_arch_names, arches)
SECCOMP_NAMES(oci_seccomp_flag_names, filter_flags)

static bool word_find(const struct seccomp_word *table, const char *word, uint32_t *value)
{
	for (; table->word; table++)
		if (!strcmp(table->word, word)) {
			*value = table->value;
			return true;
		}
	return false;
}

/* errnoRet is the errno of ERRNO (EPERM when absent) and the message of TRACE. */
static int seccomp_action(const char *word, bool has_errno, uint32_t errno_ret, uint32_t *action,
			  struct error **err)
{
	if (!strcmp(word, "SCMP_ACT_NOTIFY"))
		return error_set(err, 0, "linux.seccomp: SCMP_ACT_NOTIFY is not supported: its "
				 "listener cannot reach into the microVM");
	if (!word_find(actions, word, action))
		return error_set(err, 0, "linux.seccomp: unknown action %s", word);
	if (has_errno && *action != SCMP_ACT_ERRNO(0) && *action != SCMP_ACT_TRACE(0))
		return error_set(err, 0, "linux.seccomp: errnoRet makes no sense with %s", word);
	if (*action == SCMP_ACT_ERRNO(0))
		*action = SCMP_ACT_ERRNO(has_errno ? errno_ret : EPERM);
	else if (*action == SCMP_ACT_TRACE(0))
		*action = SCMP_ACT_TRACE(has_errno ? errno_ret : EPERM);
	return 0;
}

static int seccomp_flags(const struct oci_seccomp *s, uint32_t *flags, struct error **err)
{
	*flags = 0;
	for (size_t i = 0; s->flags && s->flags[i]; i++) {
		uint32_t flag;

		if (!word_find(filter_flags, s->flags[i], &flag))
			return error_set(err, 0, "linux.seccomp.flags[%zu]: %s is not supported", i,
					 s->flags[i]);
		*flags |= flag;
	}
	return 0;
}

static int seccomp_validate_rule(const struct oci_seccomp_rule *rule, size_t index,
				 struct error **err)
{
	uint32_t value;

	if (seccomp_action(rule->action, rule->has_errno, rule->errno_ret, &value, err) < 0)
		return -1;
	for (size_t i = 0; i < rule->num_args; i++)
		if (!word_find(operators, rule->args[i].op, &value))
			return error_set(err, 0, "linux.seccomp.syscalls[%zu].args[%zu].op: unknown "
					 "operator %s", index, i, rule->args[i].op);
	return 0;
}

int oci_seccomp_validate(const struct oci_seccomp *s, struct error **err)
{
	uint32_t value;

	if (s->listener_path && *s->listener_path)
		return error_set(err, 0, "linux.seccomp.listenerPath: a listener on the host cannot "
				 "reach into the microVM");
	if (seccomp_action(s->default_action, s->has_default_errno, s->default_errno, &value,
			   err) < 0 ||
	    seccomp_flags(s, &value, err) < 0)
		return -1;
	for (size_t i = 0; s->architectures && s->architectures[i]; i++)
		if (!word_find(arches, s->architectures[i], &value))
			return error_set(err, 0, "linux.seccomp.architectures[%zu]: unknown "
					 "architecture %s", i, s->architectures[i]);
	for (size_t i = 0; i < s->num_rules; i++)
		if (seccomp_validate_rule(&s->rules[i], i, err) < 0)
			return -1;
	return 0;
}

static int seccomp_add_name(scmp_filter_ctx ctx, uint32_t action, int nr,
			    const struct oci_seccomp_rule *rule)
{
	struct scmp_arg_cmp cmp[6];
	unsigned int count = 0;
	bool repeated = false;
	uint32_t seen = 0;

	for (size_t i = 0; i < rule->num_args; i++) {
		repeated = repeated || (seen & 1u << rule->args[i].index);
		seen |= 1u << rule->args[i].index;
	}
	/* Conditions on one argument are alternatives, on several arguments they add up. */
	for (size_t i = 0; i < rule->num_args; i++) {
		const struct oci_seccomp_arg *arg = &rule->args[i];
		uint32_t op = 0;
		int r;

		word_find(operators, arg->op, &op);
		cmp[count++] = (struct scmp_arg_cmp){ arg->index, op, arg->value, arg->value_two };
		if (!repeated)
			continue;
		r = seccomp_rule_add_array(ctx, action, nr, 1, cmp);
		if (r < 0)
			return r;
		count = 0;
	}
	return repeated ? 0 : seccomp_rule_add_array(ctx, action, nr, count, cmp);
}

static int seccomp_add_rule(scmp_filter_ctx ctx, const struct oci_seccomp_rule *rule,
			    uint32_t default_action, struct error **err)
{
	uint32_t action;

	if (seccomp_action(rule->action, rule->has_errno, rule->errno_ret, &action, err) < 0)
		return -1;
	if (action == default_action)
		return 0; /* libseccomp refuses rules that say what is said already */
	for (char *const *name = rule->names; *name; name++) {
		int nr = seccomp_syscall_resolve_name(*name), r;

		if (nr == __NR_SCMP_ERROR)
			continue;
		r = seccomp_add_name(ctx, action, nr, rule);
		if (r < 0 && r != -EEXIST)
			return error_set(err, -r, "linux.seccomp: cannot add a rule for %s", *name);
	}
	return 0;
}

static int seccomp_fill(scmp_filter_ctx ctx, const struct oci_seccomp *s, uint32_t default_action,
			struct error **err)
{
	for (size_t i = 0; s->architectures && s->architectures[i]; i++) {
		uint32_t arch = 0;
		int r;

		word_find(arches, s->architectures[i], &arch);
		r = seccomp_arch_add(ctx, arch);
		if (r < 0 && r != -EEXIST)
			return error_set(err, -r, "linux.seccomp.architectures[%zu]: %s", i,
					 s->architectures[i]);
	}
	for (size_t i = 0; i < s->num_rules; i++)
		if (seccomp_add_rule(ctx, &s->rules[i], default_action, err) < 0)
			return -1;
	return 0;
}

/* A decision tree instead of a list: what a system call costs in the guest depends on it. */
static int seccomp_export(scmp_filter_ctx ctx, char **bpf, size_t *len, struct error **err)
{
	cleanup_close int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int r;

	if (fd < 0)
		return error_set(err, errno, "cannot make a memfd");
	seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = seccomp_export_bpf(ctx, fd);
	if (r < 0)
		return error_set(err, -r, "linux.seccomp: cannot compile the filter");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set(err, errno, "linux.seccomp: cannot read the filter");
	*bpf = fd_read_file(fd, SECCOMP_BPF_MAX, len);
	return *bpf ? 0 : error_set(err, errno, "linux.seccomp: cannot read the filter");
}

int oci_seccomp_compile(const struct oci_seccomp *s, char **bpf, size_t *len, uint32_t *flags,
			struct error **err)
{
	uint32_t default_action;
	scmp_filter_ctx ctx;
	int r;

	if (seccomp_flags(s, flags, err) < 0 ||
	    seccomp_action(s->default_action, s->has_default_errno, s->default_errno,
			   &default_action, err) < 0)
		return -1;
	ctx = seccomp_init(default_action);
	if (!ctx)
		return error_set(err, ENOMEM, "linux.seccomp: cannot make a filter");
	r = seccomp_fill(ctx, s, default_action, err);
	if (!r)
		r = seccomp_export(ctx, bpf, len, err);
	seccomp_release(ctx);
	return r;
}
