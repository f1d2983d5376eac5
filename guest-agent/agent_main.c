/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest agent: PID 1 of the microVM. It brings the machine up, takes orders from the host,
 * and outlives everything else in the guest.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "guest-agent/agent_boot.h"
#include "guest-agent/agent_container.h"
#include "guest-agent/agent_control.h"
#include "guest-agent/agent_host.h"
#include "guest-agent/agent_loop.h"

struct agent {
	struct agent_loop loop;
	struct control control;
	struct container container;
	struct loop_source children; /* signalfd for SIGCHLD; owned */
};

static void agent_message(void *data, const struct msg *msg)
{
	struct agent *a = data;

	container_message(&a->container, msg);
}

static void agent_lost(void *data)
{
	(void)data;
	host_power_off();
}

/* As PID 1 also for the orphans of every process in the machine. */
static void agent_reap(void *data, uint32_t events)
{
	struct signalfd_siginfo info;
	struct agent *a = data;
	int status;
	pid_t pid;

	(void)events;
	if (read(a->children.fd, &info, sizeof(info)) < 0 && errno != EAGAIN)
		log_warning("signalfd: %s", strerror(errno));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		container_reaped(&a->container, pid, status);
}

static int agent_watch_children(struct agent *a, struct error **err)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN); /* a stream's reader may go at any time */
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return error_set(err, errno, "sigprocmask");
	a->children = (struct loop_source){ .ready = agent_reap, .data = a };
	a->children.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->children.fd < 0)
		return error_set(err, errno, "signalfd");
	r = loop_watch(&a->loop, &a->children, EPOLLIN);
	return r < 0 ? error_set(err, -r, "watch children") : 0;
}

static int agent_begin(struct agent *a, struct error **err)
{
	if (loop_init(&a->loop, err) < 0 || agent_watch_children(a, err) < 0)
		return -1;
	a->control.message = agent_message;
	a->control.lost = agent_lost;
	a->control.data = a;
	container_init(&a->container, &a->loop, &a->control);
	return control_connect(&a->control, &a->loop, err);
}

int main(void)
{
	cleanup_error struct error *err = NULL;
	struct agent agent = { 0 };
	int r;

	log_init("krun-gpu-agent", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	if (boot_machine(&err) < 0 || agent_begin(&agent, &err) < 0) {
		log_error("%s", error_msg(err));
		host_power_off();
	}
	do {
		r = loop_turn(&agent.loop, container_timeout(&agent.container));
		container_tick(&agent.container);
	} while (r >= 0);
	log_error("epoll: %s", strerror(-r));
	host_power_off();
}
