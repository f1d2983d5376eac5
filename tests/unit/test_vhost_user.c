/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Set-up, mappings, and back ends that break the protocol. */
#include "vhost_user_fixture.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

static void test_fs(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	char config[40];

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, false, NULL);
	assert_non_null(dev);
	/* neither what the worker cannot, nor what nobody here understands */
	assert_int_equal(dev->offered_features,
			 1ull << VIRTIO_F_VERSION_1 | 1ull << 29 | 1ull << 28);
	assert_true(dev->external_queues);
	dev->ops->config_read(dev, 0, config, sizeof(config));
	assert_string_equal(config, "krun-gpu");
	assert_int_equal(config[36], 1);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(f->be.enabled, 3);
	assert_int_equal(f->be.acked_protocol, 1ull << VHOST_USER_PROTOCOL_F_MQ |
						       1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
	assert_int_equal(f->be.acked_features & ~(1ull << 30), dev->features);
	assert_int_equal(f->be.memory.count, 1);
	assert_int_equal(f->be.memory.regions[0].size, FAKE_RAM);
	assert_int_equal(f->be.addr[1].desc - f->be.memory.regions[0].user_addr,
			 f->drv.queues[1].desc);
	assert_int_equal(f->be.num[0], FAKE_QUEUE_SIZE);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->be.enabled, 0);
	/* and again */
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(f->be.enabled, 3);
	/* the worker finds a queue broken */
	eventfd_write(f->be.err_fd, 1);
	fake_loop_run(f->loop);
	assert_int_equal(f->drv.needs_reset, 1);
	assert_int_equal(f->died, 0);
	drop_device(f, dev);
	assert_int_equal(f->died, 0);
}

static void test_gpu_window(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	uint32_t config[4];
	int fd = memfd_create("blob", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, 1 << 16), 0);
	/* While the front end waits for GET_VRING_BASE, the back end waits for a mapping. */
	backend_start(f, VHOST_USER_GET_VRING_BASE, FAULT_MAP_FIRST);
	backend_go(f);
	dev = make(f, true, NULL);
	assert_non_null(dev);
	assert_int_equal(dev->offered_features & 0xff, 0x1d); /* no EDID */
	assert_int_equal(dev->shm[1].gpa, 1ull << 32);
	assert_int_equal(dev->shm[1].size, 1 << 20);
	dev->ops->config_read(dev, 0, config, sizeof(config));
	assert_int_equal(config[2], 0);
	assert_int_equal(config[3], 1);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->be.map_status, 0);
	assert_int_equal(f->died, 0);
	/* the reset has cleared the window: the place is free */
	assert_int_equal(shm_window_map(f->window, 0, 4096, fd, 0, true), 0);
	close(fd);
	drop_device(f, dev);
}

struct shmem_case {
	uint32_t request;
	uint64_t offset, len;
	uint8_t shmid;
	bool fd;
	uint64_t status;
};

static void *shmem_thread(void *data)
{
	static const struct shmem_case cases[] = {
		{ 9, 4096, 4096, 1, true, 0 },
		{ 9, 4096, 4096, 1, true, EEXIST },
		{ 9, 0, 4096, 0, true, EINVAL },
		{ 9, 0, 4096, 7, true, EINVAL },
		{ 9, 1 << 20, 4096, 1, true, EINVAL },
		{ 9, ~0xfffull, 8192, 1, true, EINVAL },
		{ 9, 1, 4096, 1, true, EINVAL },
		{ 9, 0x10000, 1 << 17, 1, true, EINVAL }, /* beyond the file */
		{ 10, 4096, 8192, 1, false, ENOENT },
		{ 10, 4096, 4096, 1, false, 0 },
		{ 10, 4096, 4096, 1, false, ENOENT },
	};
	struct fixture *f = data;
	uintptr_t failed = 0;
	int fd = memfd_create("blob", MFD_CLOEXEC);

	(void)!ftruncate(fd, 1 << 16);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const struct shmem_case *c = &cases[i];

		if (backend_shmem(f->be.channel, c->request, c->offset, c->len, c->fd ? fd : -1,
				  c->shmid) != c->status)
			failed = i + 1;
	}
	close(fd);
	return (void *)failed;
}

static void test_shmem_requests(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	pthread_t thread;
	void *failed;

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, true, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(pthread_create(&thread, NULL, shmem_thread, f), 0);
	while (pthread_tryjoin_np(thread, &failed))
		fake_loop_run(f->loop);
	assert_int_equal((uintptr_t)failed, 0);
	assert_int_equal(f->died, 0);
	/* a request that is none ends the worker */
	assert_int_equal(write(f->be.channel, "\1\0\0\0\1\0\0\0\0\0\0\0", 12), 12);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 1);
	drop_device(f, dev);
}

static void test_backend_channel_faults(void **state)
{
	static const struct vhost_user_header bad[] = {
		{ 9, 1, 39 },	 { 9, 1, 0xffffffff }, { 9, 0, 40 }, { 9, 5, 40 },
		{ 11, 1, 40 },	 { 9, 1, 40 /* without an fd */ },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct virtio_device *dev;
		char raw[52] = { 0 };

		backend_start(f, 0, FAULT_NONE);
		backend_go(f);
		dev = make(f, true, NULL);
		assert_non_null(dev);
		f->drv.dev = dev;
		memcpy(raw, &bad[i], sizeof(bad[i]));
		assert_int_equal(write(f->be.channel, raw, sizeof(raw)), sizeof(raw));
		fake_loop_run(f->loop);
		assert_int_equal(f->died, i + 1);
		drop_device(f, dev);
	}
}

static void test_set_up_faults(void **state)
{
	static const uint32_t at[] = { VHOST_USER_GET_FEATURES, VHOST_USER_GET_PROTOCOL_FEATURES,
				       VHOST_USER_SET_OWNER, VHOST_USER_GET_QUEUE_NUM,
				       VHOST_USER_SET_BACKEND_REQ_FD };
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		for (enum fault fault = FAULT_CLOSE; fault < FAULT_MAP_FIRST; fault++) {
			bool query = i == 0 || i == 1 || i == 3;
			struct error *err = NULL;

			if (query && fault == FAULT_REFUSE)
				continue;
			backend_start(f, at[i], fault);
			backend_go(f);
			assert_null(make(f, true, &err));
			assert_non_null(strstr(error_msg(err), "gpu worker"));
			error_free(&err);
			backend_join(f);
		}
	}
	assert_int_equal(f->died, 0);
}

static void test_missing_features(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;
	struct error *err = NULL;

	for (unsigned int i = 0; i < 4; i++) {
		backend_start(f, 0, FAULT_NONE);
		if (i == 0)
			f->be.features &= ~(1ull << VIRTIO_F_VERSION_1);
		if (i == 1)
			f->be.features &= ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES);
		if (i == 2)
			f->be.protocol_features &= ~(1ull << VHOST_USER_PROTOCOL_F_SHMEM);
		if (i == 3)
			f->be.queues = 1;
		backend_go(f);
		assert_null(make(f, true, &err));
		assert_non_null(strstr(error_msg(err), "lacks"));
		error_free(&err);
		backend_join(f);
	}
	/* without REPLY_ACK there is nothing to wait for; fs needs no channel */
	backend_start(f, 0, FAULT_NONE);
	f->be.protocol_features = 0;
	backend_go(f);
	dev = make(f, false, NULL);
	assert_non_null(dev);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_driver_reset(&f->drv);
	assert_int_equal(f->died, 0);
	drop_device(f, dev);
}

static void test_activate_faults(void **state)
{
	static const uint32_t at[] = {
		VHOST_USER_SET_FEATURES, VHOST_USER_SET_MEM_TABLE, VHOST_USER_SET_VRING_NUM,
		VHOST_USER_SET_VRING_ADDR, VHOST_USER_SET_VRING_KICK, VHOST_USER_SET_VRING_ENABLE,
	};
	struct fixture *f = *state;
	unsigned int n = 0;

	for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
		for (enum fault fault = FAULT_CLOSE; fault < FAULT_MAP_FIRST; fault++) {
			struct virtio_device *dev;

			backend_start(f, at[i], fault);
			backend_go(f);
			f->drv.next_gpa = 4096;
			dev = make(f, true, NULL);
			assert_non_null(dev);
			assert_true(fake_driver_start(&f->drv, dev) < 0);
			assert_int_equal(f->died, ++n);
			/* a dead worker is not spoken to again */
			fake_driver_reset(&f->drv);
			f->drv.next_gpa = 4096;
			assert_int_equal(fake_driver_start(&f->drv, dev), -EPIPE);
			assert_int_equal(f->died, n);
			drop_device(f, dev);
		}
	}
}

static void test_worker_dies(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *dev;

	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	dev = make(f, false, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 0);
	shutdown(f->be.sock, SHUT_RDWR);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 1);
	assert_int_equal(f->drv.needs_reset, 1);
	drop_device(f, dev);

	/* one that talks without being asked */
	backend_start(f, 0, FAULT_NONE);
	backend_go(f);
	f->drv.next_gpa = 4096;
	dev = make(f, false, NULL);
	assert_int_equal(fake_driver_start(&f->drv, dev), 0);
	assert_int_equal(write(f->be.sock, "x", 1), 1);
	fake_loop_run(f->loop);
	assert_int_equal(f->died, 2);
	drop_device(f, dev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		T(test_fs),
		T(test_gpu_window),
		T(test_shmem_requests),
		T(test_backend_channel_faults),
		T(test_set_up_faults),
		T(test_missing_features),
		T(test_activate_faults),
		T(test_worker_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
