/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the kernel is to schedule the process: scheduler, ioPriority, personality. */
#include "oci/oci_parse.h"

#include <linux/ioprio.h>
#include <linux/sched.h>
#include <string.h>
#include <sys/personality.h>

#include "base/error.h"

struct sched_word {
	const char *word;
	uint64_t value;
};

static const struct sched_word policies[] = {
	{ "SCHED_OTHER", SCHED_NORMAL }, { "SCHED_FIFO", SCHED_FIFO }, { "SCHED_RR", SCHED_RR },
	{ "SCHED_BATCH", SCHED_BATCH },	 { "SCHED_IDLE", SCHED_IDLE }, { "SCHED_DEADLINE", SCHED_DEADLINE },
	{ NULL, 0 },
};

static const struct sched_word policy_flags[] = {
	{ "SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK },
	{ "SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM },
	{ "SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN },
	{ "SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY },
	{ "SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS },
	{ "SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN },
	{ "SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX },
	{ NULL, 0 },
};

static const struct sched_word io_classes[] = {
	{ "IOPRIO_CLASS_RT", IOPRIO_CLASS_RT },
	{ "IOPRIO_CLASS_BE", IOPRIO_CLASS_BE },
	{ "IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE },
	{ NULL, 0 },
};

static const struct sched_word domains[] = {
	{ "LINUX", PER_LINUX }, { "LINUX32", PER_LINUX32 }, { NULL, 0 },
};

/* Member @key of @obj as a word of @table. */
static int sched_word(const struct json *obj, const char *key, const struct sched_word *table,
		      struct arena *arena, uint64_t *value, struct error **err)
{
	char *word = NULL;

	if (json_string(obj, key, arena, &word, err) < 0)
		return -1;
	if (!word)
		return json_member_error(obj, key, err, "missing");
	for (; table->word; table++)
		if (!strcmp(table->word, word)) {
			*value = table->value;
			return 0;
		}
	return json_member_error(obj, key, err, "unknown value %s", word);
}

static int sched_flags(const struct json *obj, struct arena *arena, uint64_t *flags,
		       struct error **err)
{
	char **words = NULL;

	if (json_strv(obj, "flags", arena, &words, err) < 0)
		return -1;
	for (; words && *words; words++) {
		const struct sched_word *w = policy_flags;

		while (w->word && strcmp(w->word, *words))
			w++;
		if (!w->word)
			return json_member_error(obj, "flags", err, "unknown flag %s", *words);
		*flags |= w->value;
	}
	return 0;
}

static int sched_check(const struct json *obj, const struct oci_scheduler *s, int64_t nice,
		       int64_t priority, struct error **err)
{
	const bool realtime = s->policy == SCHED_FIFO || s->policy == SCHED_RR;

	if (nice < -20 || nice > 19)
		return json_member_error(obj, "nice", err, "expected a number from -20 to 19");
	if (realtime ? priority < 1 || priority > 99 : priority != 0)
		return json_member_error(obj, "priority", err, realtime ?
					 "expected a number from 1 to 99" :
					 "is for SCHED_FIFO and SCHED_RR");
	if (s->policy != SCHED_DEADLINE && (s->runtime || s->deadline || s->period))
		return json_member_error(obj, "runtime", err, "is for SCHED_DEADLINE");
	return 0;
}

int oci_parse_scheduler(const struct json *process, struct arena *arena, struct oci_process *p,
			struct error **err)
{
	int64_t nice = 0, priority = 0;
	uint64_t policy = 0;
	struct json obj;
	int r = json_object(process, "scheduler", &obj, err);

	if (r <= 0)
		return r;
	if (sched_word(&obj, "policy", policies, arena, &policy, err) < 0 ||
	    sched_flags(&obj, arena, &p->scheduler.flags, err) < 0 ||
	    json_i64(&obj, "nice", &nice, err) < 0 ||
	    json_i64(&obj, "priority", &priority, err) < 0 ||
	    json_u64(&obj, "runtime", &p->scheduler.runtime, err) < 0 ||
	    json_u64(&obj, "deadline", &p->scheduler.deadline, err) < 0 ||
	    json_u64(&obj, "period", &p->scheduler.period, err) < 0)
		return -1;
	p->has_scheduler = true;
	p->scheduler.policy = (uint32_t)policy;
	p->scheduler.nice = (int32_t)nice;
	p->scheduler.priority = (uint32_t)priority;
	return sched_check(&obj, &p->scheduler, nice, priority, err);
}

int oci_parse_io_priority(const struct json *process, struct arena *arena, struct oci_process *p,
			  struct error **err)
{
	uint64_t class = 0;
	uint32_t level = 0;
	struct json obj;
	int r = json_object(process, "ioPriority", &obj, err);

	if (r <= 0)
		return r;
	if (sched_word(&obj, "class", io_classes, arena, &class, err) < 0 ||
	    json_u32(&obj, "priority", &level, err) < 0)
		return -1;
	if (level > 7)
		return json_member_error(&obj, "priority", err, "expected a number from 0 to 7");
	p->has_io_priority = true;
	p->io_priority = (uint32_t)IOPRIO_PRIO_VALUE(class, level);
	return 0;
}

int oci_parse_personality(const struct json *linux_obj, struct oci_spec *spec, struct error **err)
{
	uint64_t domain = 0;
	struct json obj, flags;
	int r = json_object(linux_obj, "personality", &obj, err);

	if (r <= 0)
		return r;
	if (sched_word(&obj, "domain", domains, &spec->arena, &domain, err) < 0)
		return -1;
	r = json_array(&obj, "flags", &flags, err);
	if (r < 0 || (r && json_len(&flags)))
		return r < 0 ? -1 : json_error(&flags, err, "the runtime specification defines none");
	spec->has_personality = true;
	spec->personality = (uint32_t)domain;
	return 0;
}
