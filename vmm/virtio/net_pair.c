/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * virtio-net: a queue pair, its queue of the tap, and the thread that moves packets between them.
 * With vhost-net (net_vhost.c) that thread is one of the host's kernel, and ours has nothing to do
 * but what the control queue asks.
 *
 * A tap with several queues sends what belongs to a flow to the queue that the flow's packets came
 * from last. The pairs that the driver does not use are detached from it, so that nothing goes there.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/virtio/net_priv.h"

void net_broken(struct net_pair *p, const char *why)
{
	p->broken = why;
	p->live = false;
	net_pair_watch(p);
	eventfd_write(p->net->broken_fd, 1);
}

void net_again(struct net *net, unsigned int queue)
{
	eventfd_write(virtio_device_kick_fd(&net->dev, queue), 1);
}

int net_pair_watch(struct net_pair *p)
{
	uint32_t events = 0;

	if (p->vhost >= 0)
		return net_vhost_update(p);
	if (p->tap < 0)
		return 0;
	if (p->live && p->attached && !p->rx_starving)
		events |= EPOLLIN;
	if (p->live && p->attached && p->tx_blocked)
		events |= EPOLLOUT;
	return event_loop_set(p->loop, &p->tap_src, events);
}

/*
 * On the pair's thread, with its lock. A kick is an edge: its eventfd is never read.
 *
 * Whatever woke the thread, it looks at both directions, and goes on until neither has anything more.
 * The driver's sent packets are asked for with a kick only then: while packets arrive, their
 * acknowledgements are found without one.
 */

/* A batch in each direction, and one interrupt for both. Is there more? */
static bool pair_round(struct net_pair *p)
{
	struct virtio_device *dev = &p->net->dev;
	struct virtqueue *rx = &dev->queues[NET_QUEUE_RX(p->index)];
	struct virtqueue *tx = &dev->queues[NET_QUEUE_TX(p->index)];
	const uint16_t received = rx->used_idx, sent = tx->used_idx;
	bool more = net_tx_run(p), tell_rx, tell_tx;

	if (p->live)
		more |= net_rx_run(p);
	/* Both are asked, in the round in which there is something to tell: each answer is for once. */
	tell_rx = rx->used_idx != received && virtqueue_should_notify(rx);
	tell_tx = tx->used_idx != sent && virtqueue_should_notify(tx);
	if (tell_rx || tell_tx)
		virtio_device_interrupt(dev, tell_rx ? NET_QUEUE_RX(p->index) :
						       NET_QUEUE_TX(p->index));
	return more && p->live;
}

static void pair_work(struct net_pair *p)
{
	const unsigned int queue = NET_QUEUE_TX(p->index);
	struct virtqueue *tx = &p->net->dev.queues[queue];
	unsigned int rounds = NET_ROUNDS;
	bool more = true;

	virtqueue_disable_kicks(tx);
	while (more && rounds--) {
		more = pair_round(p);
		if (more || !p->live || p->tx_blocked)
			continue;
		/* What came before the kick was asked for comes without one. */
		more = virtqueue_enable_kicks(tx);
		if (more)
			virtqueue_disable_kicks(tx);
	}
	if (more)
		net_again(p->net, queue);
	net_pair_watch(p);
}

static void on_tap(void *data, uint32_t events)
{
	struct net_pair *p = data;

	if (!p->live)
		return;
	/* The tap's interface was removed: nothing comes, and what is sent is used up. */
	if (events & EPOLLERR)
		p->rx_starving = true;
	if (events & (EPOLLERR | EPOLLOUT))
		p->tx_blocked = false;
	pair_work(p);
}

static void on_rx_kick(void *data, uint32_t events)
{
	struct net_pair *p = data;

	(void)events;
	if (!p->live || !p->attached)
		return;
	virtqueue_disable_kicks(&p->net->dev.queues[NET_QUEUE_RX(p->index)]);
	p->rx_starving = false;
	pair_work(p);
}

static void on_tx_kick(void *data, uint32_t events)
{
	struct net_pair *p = data;

	(void)events;
	if (p->live)
		pair_work(p);
}

static void *pair_thread(void *data)
{
	struct net_pair *p = data;

	event_loop_run(p->loop);
	return NULL;
}

/* On any thread, with the lock or before there are others. */

int net_pair_init(struct net *net, unsigned int index)
{
	struct net_pair *p = &net->pairs[index];

	p->net = net;
	p->index = index;
	p->tap = p->vhost = p->vhost_tap = -1;
	p->attached = !index;
	pthread_mutex_init(&p->lock, NULL);
	p->loop = event_loop_create(&p->lock, NULL);
	return p->loop ? 0 : -ENOMEM;
}

int net_pair_start(struct net_pair *p)
{
	int r = p->vhost >= 0 ? net_vhost_own(p) : 0;

	/* The control queue is the first pair's loop's. */
	if (r < 0 || (p->vhost >= 0 && p->index))
		return r;
	r = pthread_create(&p->thread, NULL, pair_thread, p);
	p->started = r == 0;
	return -r;
}

void net_pair_release(struct net_pair *p)
{
	if (p->started) {
		event_loop_stop(p->loop);
		pthread_join(p->thread, NULL);
	}
	event_loop_free(p->loop);
	pthread_mutex_destroy(&p->lock);
	if (p->vhost >= 0)
		close(p->vhost);
	if (p->tap >= 0)
		close(p->tap);
}

int net_pair_activate(struct net_pair *p)
{
	struct virtio_device *dev = &p->net->dev;
	const unsigned int rx = NET_QUEUE_RX(p->index), tx = NET_QUEUE_TX(p->index);
	int r = 0;

	if (!dev->queues[rx].ready || !dev->queues[tx].ready)
		return p->index ? 0 : -EINVAL;
	p->rx_starving = p->tx_blocked = false;
	if (p->vhost >= 0) {
		r = net_vhost_set_up(p);
	} else {
		r = event_loop_add(p->loop, &p->rx_src, virtio_device_kick_fd(dev, rx),
				   EPOLLIN | EPOLLET, on_rx_kick, p);
		if (r == 0)
			r = event_loop_add(p->loop, &p->tx_src, virtio_device_kick_fd(dev, tx),
					   EPOLLIN | EPOLLET, on_tx_kick, p);
	}
	p->live = r == 0;
	return r < 0 ? r : net_pair_watch(p);
}

void net_pair_reset(struct net_pair *p)
{
	p->live = false;
	p->broken = NULL;
	event_loop_remove(p->loop, &p->rx_src);
	event_loop_remove(p->loop, &p->tx_src);
	net_pair_watch(p);
	net_pair_attach(p, !p->index);
	net_rx_reset(p);
}

int net_pair_attach(struct net_pair *p, bool on)
{
	int r = 0;

	if (p->attached == on)
		return 0;
	/* Before it is detached nothing may wait for it, and after it was attached. */
	if (!on) {
		if (p->live && p->tx_blocked)
			net_again(p->net, NET_QUEUE_TX(p->index));
		p->attached = p->tx_blocked = false;
		net_rx_drop(p);
		net_pair_watch(p);
	}
	if (p->tap >= 0)
		r = net_tap_set_queue(p->tap, on);
	if (!on || r < 0)
		return r;
	p->attached = true;
	p->rx_starving = false;
	return net_pair_watch(p);
}

int net_pair_plug(struct net_pair *p, int tap)
{
	/* A tap's queue is attached from the start. */
	int r = p->attached ? 0 : net_tap_set_queue(tap, false);

	if (r == 0)
		r = event_loop_add(p->loop, &p->tap_src, tap, 0, on_tap, p);
	if (r < 0) {
		close(tap);
		return r;
	}
	p->tap = tap;
	p->rx_starving = p->tx_blocked = false;
	return net_pair_watch(p);
}

void net_pair_unplug(struct net_pair *p)
{
	const int tap = p->tap;

	p->tap = -1;
	net_rx_drop(p);
	event_loop_remove(p->loop, &p->tap_src);
	net_pair_watch(p);
	if (tap >= 0)
		close(tap);
	/* What the driver still sends is used up; see tx_one(). */
	if (p->live && p->tx_blocked)
		net_again(p->net, NET_QUEUE_TX(p->index));
	p->tx_blocked = false;
}
