/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of commands that Mesa's Venus driver gave, recorded by `tests/gpu/vtest_end --record`,
 * against the whole worker but virglrenderer (fake_renderer.c): each command gets the answer that it
 * got then, the renderer is asked the same as ever (FILE.calls), and nothing is left at the end.
 *
 * With REPLAY_WRITE in the environment the .calls are written anew.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "fake_renderer.h"
#include "gpu_frontend.h"
#include "unit.h"
#include "vmm/workers/gpu_device.h"

#define SLOTS 8
#define ANSWER_MS 10000
#define MAX_COMMANDS 4096
#define MAX_BYTES (1ull << 30)

static struct replay {
	struct gpu_frontend fe;
	unsigned int slot_of[SLOTS]; /* the command in it; 0: free */
	uint32_t answers[MAX_COMMANDS]; /* by number; 0: none yet */
	uint8_t request[16384];
} replay;

static void worker(int sock, FILE *calls)
{
	static struct gpu_device dev;
	struct error *err = NULL;
	struct vhu *vhu;
	int r;

	log_init("worker", STDERR_FILENO, LOG_FORMAT_TEXT, LOG_LEVEL_WARNING);
	gpu_device_init(&dev, GPU_FRONTEND_WINDOW, MAX_BYTES);
	vhu = vhu_create(sock, &gpu_device_ops, &dev, &err);
	gpu_device_set_vhu(&dev, vhu);
	fake_renderer_init(calls, gpu_device_fence_passed, &dev);
	if (!vhu || gpu_device_load_capset(&dev, &err) < 0)
		exit(1);
	r = vhu_run(vhu);
	/* The guest gave all up itself: what is counted must be nothing. */
	if (dev.stats->contexts || dev.stats->blobs || dev.stats->blob_bytes || dev.stats->fences ||
	    dev.window.count || dev.stats->contexts_lost)
		r = -EBUSY;
	fake_renderer_finish();
	vhu_free(vhu);
	gpu_device_release(&dev);
	exit(r < 0);
}

static void take_answer(void)
{
	const struct virtio_gpu_ctrl_hdr *resp;
	const void *at;
	uint32_t len;
	int slot = gpu_frontend_wait(&replay.fe, ANSWER_MS, &at, &len);

	assert_true(slot >= 0 && slot < SLOTS && replay.slot_of[slot]);
	assert_true(len >= sizeof(*resp));
	resp = at;
	replay.answers[replay.slot_of[slot]] = resp->type;
	replay.slot_of[slot] = 0;
}

static unsigned int free_slot(void)
{
	for (;;) {
		for (unsigned int i = 0; i < SLOTS; i++)
			if (!replay.slot_of[i])
				return i;
		take_answer();
	}
}

static void give_command(unsigned int number, const char *hex)
{
	size_t len = strcspn(hex, "\n") / 2;
	unsigned int slot = free_slot();

	assert_true(number && number < MAX_COMMANDS && len <= sizeof(replay.request));
	for (size_t i = 0; i < len; i++) {
		unsigned int byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		replay.request[i] = (uint8_t)byte;
	}
	replay.slot_of[slot] = number;
	gpu_frontend_post(&replay.fe, slot, replay.request, len,
			  sizeof(struct virtio_gpu_ctrl_hdr) + GPU_CAPSET_MAX);
}

static void play(const char *path)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	cleanup_free char *line = NULL;
	unsigned int number, type;
	size_t size = 0, commands = 0, answers = 0;
	int at;

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	while (getline(&line, &size, f) > 0) {
		if (sscanf(line, "> %u %n", &number, &at) == 1) {
			give_command(number, line + at);
			commands++;
			continue;
		}
		assert_int_equal(sscanf(line, "< %u %x", &number, &type), 2);
		assert_true(number < MAX_COMMANDS);
		while (!replay.answers[number])
			take_answer();
		if (replay.answers[number] != type)
			fail_msg("%s: command %u: %#x, not %#x", path, number,
				 replay.answers[number], type);
		answers++;
	}
	assert_true(commands > 20);
	assert_int_equal(commands, answers);
}

/* The renderer's calls, against those that are kept beside the stream. */
static void compare(const char *path, FILE *calls)
{
	cleanup_free char *expected = NULL, *line = NULL;
	cleanup_fclose FILE *f = fopen(path, getenv("REPLAY_WRITE") ? "we" : "re");
	size_t room = 0, size = 0;
	unsigned int number = 0;

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	rewind(calls);
	while (getline(&line, &size, calls) > 0) {
		number++;
		if (getenv("REPLAY_WRITE"))
			fputs(line, f);
		else if (getline(&expected, &room, f) <= 0 || strcmp(line, expected))
			fail_msg("%s:%u: the renderer was asked: %s", path, number, line);
	}
	assert_true(number > 10);
	assert_true(getenv("REPLAY_WRITE") || getline(&expected, &room, f) <= 0);
}

static void test_stream(void **state)
{
	const char *name = *state, *srcdir = getenv("srcdir");
	FILE *calls = tmpfile();
	char path[512];
	int sock[2], status;
	pid_t pid;

	assert_non_null(calls);
	memset(&replay, 0, sizeof(replay));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sock), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(sock[0]);
		worker(sock[1], calls);
	}
	close(sock[1]);
	gpu_frontend_connect(&replay.fe, sock[0]);
	snprintf(path, sizeof(path), "%s/tests/unit/streams/%s.stream", srcdir ? srcdir : ".", name);
	play(path);
	gpu_frontend_disconnect(&replay.fe);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/tests/unit/streams/%s.calls", srcdir ? srcdir : ".", name);
	compare(path, calls);
	fclose(calls);
}

static void test_other_wire_format(void **state)
{
	static struct gpu_device dev;
	struct error *err = NULL;

	(void)state;
	fake_renderer_speak(2);
	assert_int_equal(gpu_device_load_capset(&dev, &err), -1);
	assert_non_null(strstr(error_msg(err), "version 2 of Venus's wire format"));
	error_free(&err);
	fake_renderer_speak(1);
	assert_int_equal(gpu_device_load_capset(&dev, NULL), 0);
	assert_int_equal(dev.capset_size, 160);
}

int main(void)
{
	/* Mesa 25.0.7: a computation, and a picture; Mesa 26.2.6: 20 dispatches, each waited for. */
	static char *const streams[] = { (char *)"compute", (char *)"picture", (char *)"fences" };
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(test_stream, streams[0]),
		cmocka_unit_test_prestate(test_stream, streams[1]),
		cmocka_unit_test_prestate(test_stream, streams[2]),
		cmocka_unit_test(test_other_wire_format),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
