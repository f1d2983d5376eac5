/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "net_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"

struct namespace_call {
	int netns;
	net_namespace_fn fn;
	void *data;
	struct error **err;
	int result;
};

static void *call_main(void *data)
{
	struct namespace_call *call = data;

	if (setns(call->netns, CLONE_NEWNET) < 0)
		call->result = error_set(call->err, errno, "cannot enter the container's network "
					 "namespace");
	else
		call->result = call->fn(call->data, call->err);
	return NULL;
}

int net_namespace_run(int netns, net_namespace_fn fn, void *data, struct error **err)
{
	struct namespace_call call = { netns, fn, data, err, -1 };
	pthread_t thread;
	int r = pthread_create(&thread, NULL, call_main, &call);

	if (r)
		return error_set(err, r, "cannot start a thread");
	pthread_join(thread, NULL);
	return call.result;
}

static bool is_own(int netns)
{
	struct stat own, other;

	return stat("/proc/thread-self/ns/net", &own) == 0 && fstat(netns, &other) == 0 &&
	       own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

int net_namespace_open(const char *path, int *netns, struct error **err)
{
	*netns = open(path, O_RDONLY | O_CLOEXEC);
	if (*netns < 0)
		return error_set(err, errno, "linux.namespaces: %s", path);
	if (is_own(*netns))
		close(steal_fd(netns));
	return 0;
}
