/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Theory of operation
 *
 * While a call into the library is in progress, or the guest waits for a fence, a timer fires every
 * PERIOD_S seconds; otherwise it ends with its next shot, and none of this runs. Beginning a call
 * costs no system call while the timer is on its way.
 *
 * Each time the first process of the jail is asked how its processes are. It kills those that were
 * stopped: their sockets close then, and what waits for them ends like after any crash. It also
 * says whether they use the processor. A call that has been seen by the timer three times, with
 * nobody using the processor, is cut off: the handler shuts down the socket that the call waits on,
 * the library's receive ends, the call fails, the caller destroys the context, and the server kills
 * its process. While they are busy (a driver may compile for long) a call may take timeout_s. When it
 * is still stuck GRACE periods after that (a process in an uninterruptible wait keeps the other end
 * open), this process ends; the VMM sees the device die.
 *
 * A fence has no such limit: how long the GPU may take is not for us to say.
 */
#include "vmm/workers/gpu_watchdog.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/gpu_watch_proto.h"
#include "base/log.h"

#define PERIOD_S 3
#define IDLE_SHOTS 3 /* the first comes at any time within a call's first period */
#define GRACE 2
#define WATCHDOG_SIGNAL SIGALRM

static struct {
	struct gpu_watchdog_config config;
	timer_t timer;
	volatile sig_atomic_t armed;
	volatile sig_atomic_t sock; /* what the call in progress waits on; -1: none is */
	volatile sig_atomic_t shots; /* that have come during this call */
	volatile sig_atomic_t cut; /* of them, when it was cut off; 0: it was not */
} watchdog = { .sock = -1 };

/* The newest answer; that there is none means no good. */
static bool server_busy(void)
{
	bool busy = false;
	char answer;

	while (recv(watchdog.config.watch_sock, &answer, 1, MSG_DONTWAIT) == 1)
		busy = answer == GPU_WATCH_BUSY;
	return busy;
}

static void set_timer(time_t seconds)
{
	const struct itimerspec when = { .it_value.tv_sec = seconds,
					 .it_interval.tv_sec = seconds };

	timer_settime(watchdog.timer, 0, &when, NULL);
}

static void watch_call(bool busy)
{
	static const char dead[] = "krun-gpu-gpu: the render server hangs and cannot be cut off\n";

	watchdog.shots++;
	if (watchdog.cut && watchdog.shots >= watchdog.cut + GRACE) {
		(void)!write(STDERR_FILENO, dead, sizeof(dead) - 1);
		_exit(1);
	}
	if (watchdog.cut ||
	    ((unsigned int)watchdog.shots * PERIOD_S <= watchdog.config.timeout_s &&
	     (watchdog.shots < IDLE_SHOTS || busy)))
		return;
	watchdog.cut = watchdog.shots;
	shutdown((int)watchdog.sock, SHUT_RDWR);
}

static void watchdog_fire(int signo)
{
	const char ask = GPU_WATCH_ASK;
	int saved = errno;

	(void)signo;
	if (watchdog.sock < 0 && !watchdog.config.waiting(watchdog.config.data)) {
		set_timer(0);
		watchdog.armed = 0;
	} else {
		bool busy = server_busy();

		send(watchdog.config.watch_sock, &ask, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (watchdog.sock >= 0)
			watch_call(busy);
	}
	errno = saved;
}

int gpu_watchdog_init(const struct gpu_watchdog_config *config, struct error **err)
{
	struct sigaction sa = { .sa_handler = watchdog_fire, .sa_flags = SA_RESTART };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCHDOG_SIGNAL };

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	watchdog.config = *config;
	if (sigaction(WATCHDOG_SIGNAL, &sa, NULL) < 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, &watchdog.timer) < 0)
		return error_set(err, errno, "cannot make the render server's watchdog");
	return 0;
}

void gpu_watchdog_begin(int sock)
{
	watchdog.shots = 0;
	watchdog.cut = 0;
	watchdog.sock = sock >= 0 ? sock : watchdog.config.server_sock;
	/* A shot in between finds the call, or it disarms before this looks. */
	if (!watchdog.armed) {
		watchdog.armed = 1;
		set_timer(PERIOD_S);
	}
}

void gpu_watchdog_end(const char *what)
{
	watchdog.sock = -1;
	if (watchdog.cut)
		log_error("the render server did not answer for %d s (%s): cut off",
			  watchdog.cut * PERIOD_S, what);
}
