/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two instances, two devices of each, all queues of these that compute, and four threads on each
 * device. A thread's work is a chain of steps that go round the queues, each waiting for the one before
 * by a timeline semaphore; every eighth is done by the processor, which waits for the semaphore and
 * signals it, while the steps behind have been submitted already.
 *
 * Nothing can wait for itself: a step waits only for what was submitted before it.
 *
 * Over Venus of Mesa 25.0.7 this needs VN_PERF=no_semaphore_feedback. It notes a signal of the
 * processor's in the memory that it polls after it has passed the signal on; when the device's later
 * steps are done by then, what they had noted there is lost, and a wait for it never ends.
 *
 * Usage: many [ROUNDS]      of eight steps; 32 when not said
 * Prints "ok THREADS QUEUES STEPS DEVICE", queues of a device, or what was wrong.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "kit.h"

#define INSTANCES 2
#define DEVICES 2
#define THREADS 4
#define ROUND 8u

const char kit_name[] = "many";

struct device {
	struct kit_device kit;
	pthread_mutex_t locks[KIT_MAX_QUEUES]; /* one thread at a time submits to a queue */
	struct thread {
		struct device *device;
		struct kit_work work;
		pthread_t id;
	} threads[THREADS];
};

static uint32_t rounds = 32;

static void submit_round(struct device *d, struct kit_work *work, uint32_t round)
{
	for (uint32_t n = round * ROUND + 1; n % ROUND; n++) {
		const uint32_t queue = n % d->kit.num_queues;

		pthread_mutex_lock(&d->locks[queue]);
		kit_step_submit(work, queue, n);
		pthread_mutex_unlock(&d->locks[queue]);
	}
}

static void *thread_main(void *data)
{
	struct thread *t = data;
	struct device *d = t->device;
	struct kit_work *work = &t->work;

	kit_work_open(&d->kit, work);
	submit_round(d, work, 0);
	kit_signal(work, 1);
	for (uint32_t round = 0; round < rounds; round++) {
		if (round + 1 < rounds)
			submit_round(d, work, round + 1);
		kit_step_host(work, (round + 1) * ROUND);
	}
	kit_check(work, rounds * ROUND);
	return NULL;
}

static void device_start(VkInstance instance, struct device *d)
{
	kit_device_open(instance, &d->kit);
	for (uint32_t q = 0; q < d->kit.num_queues; q++)
		pthread_mutex_init(&d->locks[q], NULL);
	for (int i = 0; i < THREADS; i++) {
		d->threads[i].device = d;
		if (pthread_create(&d->threads[i].id, NULL, thread_main, &d->threads[i]))
			kit_fail("cannot make a thread");
	}
}

/* Nothing is destroyed before all is done: lavapipe looks at a semaphore after it has signaled it. */
static void device_finish(struct device *d)
{
	for (int i = 0; i < THREADS; i++)
		pthread_join(d->threads[i].id, NULL);
	VK(vkDeviceWaitIdle(d->kit.handle));
	for (int i = 0; i < THREADS; i++)
		kit_work_close(&d->threads[i].work);
}

int main(int argc, char **argv)
{
	static struct device devices[INSTANCES * DEVICES];
	VkInstance instances[INSTANCES];

	if (argc > 1)
		rounds = (uint32_t)strtoul(argv[1], NULL, 10);
	if (argc > 2 || !rounds || rounds > 100000)
		kit_fail("usage: many [ROUNDS]");
	for (int i = 0; i < INSTANCES; i++)
		instances[i] = kit_instance();
	for (int i = 0; i < INSTANCES * DEVICES; i++)
		device_start(instances[i / DEVICES], &devices[i]);
	for (int i = 0; i < INSTANCES * DEVICES; i++)
		device_finish(&devices[i]);
	printf("ok %d %u %u %s\n", INSTANCES * DEVICES * THREADS, devices[0].kit.num_queues,
	       rounds * ROUND, devices[0].kit.name);
	for (int i = 0; i < INSTANCES * DEVICES; i++)
		kit_device_close(&devices[i].kit);
	for (int i = 0; i < INSTANCES; i++)
		vkDestroyInstance(instances[i], NULL);
	return 0;
}
