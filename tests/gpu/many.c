/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two instances, two devices of each, all queues of these that compute, and four threads on each
 * device. A thread's work is a chain of steps that go round the queues, each waiting for the one before
 * by a timeline semaphore; every eighth is done by the processor, which waits for the semaphore and
 * signals it, while the steps behind have been submitted already.
 *
 * Nothing can wait for itself: a step waits only for what was submitted before it.
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
	pthread_t threads[THREADS];
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
	struct device *d = data;
	struct kit_work work;

	kit_work_open(&d->kit, &work);
	submit_round(d, &work, 0);
	kit_signal(&work, 1);
	for (uint32_t round = 0; round < rounds; round++) {
		if (round + 1 < rounds)
			submit_round(d, &work, round + 1);
		kit_step_host(&work, (round + 1) * ROUND);
	}
	kit_check(&work, rounds * ROUND);
	kit_work_close(&work);
	return NULL;
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
	for (int i = 0; i < INSTANCES * DEVICES; i++) {
		kit_device_open(instances[i / DEVICES], &devices[i].kit);
		for (uint32_t q = 0; q < devices[i].kit.num_queues; q++)
			pthread_mutex_init(&devices[i].locks[q], NULL);
	}
	for (int i = 0; i < INSTANCES * DEVICES * THREADS; i++)
		if (pthread_create(&devices[i / THREADS].threads[i % THREADS], NULL, thread_main,
				   &devices[i / THREADS]))
			kit_fail("cannot make a thread");
	for (int i = 0; i < INSTANCES * DEVICES * THREADS; i++)
		pthread_join(devices[i / THREADS].threads[i % THREADS], NULL);
	printf("ok %d %u %u %s\n", INSTANCES * DEVICES * THREADS, devices[0].kit.num_queues,
	       rounds * ROUND, devices[0].kit.name);
	for (int i = 0; i < INSTANCES * DEVICES; i++)
		kit_device_close(&devices[i].kit);
	for (int i = 0; i < INSTANCES; i++)
		vkDestroyInstance(instances[i], NULL);
	return 0;
}
