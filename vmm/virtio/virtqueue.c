/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Split virtqueues, the device's side (virtio 1.2, 2.7).
 *
 * Theory of operation: the driver writes descriptors, then an avail entry, then avail->idx; we
 * read them in the opposite order. We write a used entry, then used->idx; the driver reads them in
 * the opposite order. last_avail, used_idx and the ring size live in our memory only, so that
 * nothing the guest writes can move us outside the rings; a descriptor is copied before it is
 * looked at, since the guest may change it at any time.
 */
#include "vmm/virtio/virtqueue.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>

#define DESC_SIZE ((uint64_t)sizeof(struct vring_desc))
/* flags, idx, ring[size], used_event */
#define AVAIL_SIZE(n) (6ull + 2ull * (n))
/* flags, idx, ring[size], avail_event */
#define USED_SIZE(n) (6ull + 8ull * (n))

static uint16_t avail_idx_acquire(const struct virtqueue *vq)
{
	/*
	 * Pairs with the driver's write barrier between an avail entry (and its descriptors) and
	 * avail->idx (2.7.13.3): whoever sees the index sees the entry.
	 */
	return le16toh(__atomic_load_n(&vq->avail_ring->idx, __ATOMIC_ACQUIRE));
}

int virtqueue_start(struct virtqueue *vq, const struct guest_memory *mem)
{
	const uint16_t n = vq->size;

	vq->ready = false;
	if (n == 0 || (n & (n - 1)) || n > vq->max_size || n > VIRTQUEUE_MAX_SIZE)
		return -EINVAL;
	if (vq->desc % VRING_DESC_ALIGN_SIZE || vq->avail % VRING_AVAIL_ALIGN_SIZE ||
	    vq->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	vq->desc_ring = guest_memory_ptr(mem, vq->desc, DESC_SIZE * n);
	vq->avail_ring = guest_memory_ptr(mem, vq->avail, AVAIL_SIZE(n));
	vq->used_ring = guest_memory_ptr(mem, vq->used, USED_SIZE(n));
	if (!vq->desc_ring || !vq->avail_ring || !vq->used_ring)
		return -EINVAL;
	vq->mem = mem;
	vq->broken = false;
	vq->signalled_valid = false;
	vq->ready = true;
	return 0;
}

void virtqueue_stop(struct virtqueue *vq)
{
	vq->ready = false;
	vq->broken = false;
	vq->signalled_valid = false;
	vq->last_avail = 0;
	vq->used_idx = 0;
	vq->desc_ring = NULL;
	vq->avail_ring = NULL;
	vq->used_ring = NULL;
}

/* Copy entry @i of a descriptor table. Each field is read once. */
static struct vring_desc desc_copy(const struct vring_desc *table, uint32_t i)
{
	const struct vring_desc *d = &table[i];

	return (struct vring_desc){
		.addr = le64toh(__atomic_load_n(&d->addr, __ATOMIC_RELAXED)),
		.len = le32toh(__atomic_load_n(&d->len, __ATOMIC_RELAXED)),
		.flags = le16toh(__atomic_load_n(&d->flags, __ATOMIC_RELAXED)),
		.next = le16toh(__atomic_load_n(&d->next, __ATOMIC_RELAXED)),
	};
}

/* Add one buffer to the chain; neighbours in memory become one iovec. */
static int chain_add(struct virtq_chain *chain, void *p, uint32_t len, bool writable)
{
	uint16_t *count = writable ? &chain->num_writable : &chain->num_readable;
	size_t *total = writable ? &chain->writable_len : &chain->readable_len;
	const unsigned int n = chain->num_readable + chain->num_writable;

	if (!writable && chain->num_writable)
		return -EPROTO; /* 2.7.4.2: writable after readable, never before */
	if (len > VIRTQUEUE_CHAIN_MAX_BYTES - *total)
		return -EPROTO;
	*total += len;
	if (*count) {
		struct iovec *last = &chain->iov[n - 1];

		if ((uint8_t *)last->iov_base + last->iov_len == p) {
			last->iov_len += len;
			return 0;
		}
	}
	if (n == VIRTQUEUE_MAX_SIZE)
		return -EPROTO;
	chain->iov[n] = (struct iovec){ p, len };
	++*count;
	return 0;
}

static int chain_add_desc(const struct virtqueue *vq, struct virtq_chain *chain,
			  const struct vring_desc *d)
{
	void *p = d->len ? guest_memory_ptr(vq->mem, d->addr, d->len) : NULL;

	if (!p)
		return -EPROTO;
	return chain_add(chain, p, d->len, d->flags & VRING_DESC_F_WRITE);
}

/* Follow an indirect table (2.7.5.3): a table of its own that cannot lead to another. */
static int chain_add_indirect(const struct virtqueue *vq, struct virtq_chain *chain,
			      const struct vring_desc *indirect)
{
	const uint32_t n = indirect->len / DESC_SIZE;
	const struct vring_desc *table = NULL;
	uint32_t i = 0;

	/*
	 * Linux may describe more buffers in an indirect table than the queue has entries; what
	 * limits us is the chain's array.
	 */
	if (n && indirect->len % DESC_SIZE == 0 && n <= VIRTQUEUE_MAX_SIZE)
		table = guest_memory_ptr(vq->mem, indirect->addr, indirect->len);
	if (!table || (indirect->flags & VRING_DESC_F_NEXT))
		return -EPROTO;
	for (uint32_t steps = 0; steps < n; steps++) {
		const struct vring_desc d = desc_copy(table, i);
		int r;

		if (d.flags & VRING_DESC_F_INDIRECT)
			return -EPROTO;
		r = chain_add_desc(vq, chain, &d);
		if (r)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		if (d.next >= n)
			return -EPROTO;
		i = d.next;
	}
	return -EPROTO; /* more steps than entries: a loop */
}

static int chain_gather(const struct virtqueue *vq, struct virtq_chain *chain)
{
	uint32_t i = chain->head;

	for (uint32_t steps = 0; steps < vq->size; steps++) {
		const struct vring_desc d = desc_copy(vq->desc_ring, i);
		int r;

		if (d.flags & VRING_DESC_F_INDIRECT)
			return chain_add_indirect(vq, chain, &d);
		r = chain_add_desc(vq, chain, &d);
		if (r)
			return r;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		if (d.next >= vq->size)
			return -EPROTO;
		i = d.next;
	}
	return -EPROTO; /* more steps than entries: a loop */
}

static int virtqueue_break(struct virtqueue *vq)
{
	vq->broken = true;
	return -EPROTO;
}

int virtqueue_chain_at(const struct virtqueue *vq, uint16_t head, struct virtq_chain *chain)
{
	if (!vq->ready || head >= vq->size)
		return -EPROTO;
	chain->head = head;
	chain->num_readable = chain->num_writable = 0;
	chain->readable_len = chain->writable_len = 0;
	chain->read_pos = chain->write_pos = 0;
	chain->read_cursor = chain->write_cursor = (struct chain_cursor){ 0 };
	if (chain_gather(vq, chain))
		return -EPROTO;
	chain->write_cursor.iov = chain->num_readable;
	return 0;
}

uint16_t virtqueue_used_idx(const struct virtqueue *vq)
{
	return vq->ready ? le16toh(__atomic_load_n(&vq->used_ring->idx, __ATOMIC_RELAXED)) : 0;
}

void virtqueue_go_on(struct virtqueue *vq, uint16_t last_avail, uint16_t used_idx)
{
	vq->last_avail = last_avail;
	vq->used_idx = used_idx;
	vq->signalled_valid = false;
}

int virtqueue_pop_chain(struct virtqueue *vq, struct virtq_chain *chain)
{
	uint16_t waiting, head;

	if (!vq->ready || vq->broken)
		return 0;
	waiting = avail_idx_acquire(vq) - vq->last_avail;
	if (!waiting)
		return 0;
	if (waiting > vq->size)
		return virtqueue_break(vq);
	head = le16toh(__atomic_load_n(&vq->avail_ring->ring[vq->last_avail % vq->size],
				       __ATOMIC_RELAXED));
	if (virtqueue_chain_at(vq, head, chain) < 0)
		return virtqueue_break(vq);
	vq->last_avail++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *vq)
{
	vq->last_avail--;
}

void virtqueue_put(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	struct vring_used_elem *e;

	if (!vq->ready)
		return;
	e = &vq->used_ring->ring[vq->used_idx % vq->size];
	__atomic_store_n(&e->id, htole32(head), __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, htole32(len), __ATOMIC_RELAXED);
	vq->used_idx++;
}

void virtqueue_publish(struct virtqueue *vq)
{
	if (!vq->ready)
		return;
	/*
	 * Pairs with the driver's read barrier between used->idx and the entry (2.7.14): whoever
	 * sees the index sees the entry and the bytes written into the chain.
	 */
	__atomic_store_n(&vq->used_ring->idx, htole16(vq->used_idx), __ATOMIC_RELEASE);
}

void virtqueue_push(struct virtqueue *vq, uint16_t head, uint32_t len)
{
	virtqueue_put(vq, head, len);
	virtqueue_publish(vq);
}

bool virtqueue_should_notify(struct virtqueue *vq)
{
	uint16_t old = vq->signalled_used, event;
	bool valid = vq->signalled_valid;

	if (!vq->ready)
		return false;
	/*
	 * Pairs with the driver's barrier between enabling interrupts (used_event or avail->flags)
	 * and looking at used->idx again (2.7.7.1, 2.7.14): either it sees our used->idx, or we
	 * see that it wants to be interrupted.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!vq->event_idx)
		return !(le16toh(__atomic_load_n(&vq->avail_ring->flags, __ATOMIC_RELAXED)) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	event = le16toh(__atomic_load_n(&vq->avail_ring->ring[vq->size], __ATOMIC_RELAXED));
	vq->signalled_used = vq->used_idx;
	vq->signalled_valid = true;
	return !valid || vring_need_event(event, vq->used_idx, old);
}

bool virtqueue_has_avail(const struct virtqueue *vq)
{
	return vq->ready && !vq->broken && avail_idx_acquire(vq) != vq->last_avail;
}

/* avail_event lies behind the used ring's last entry (2.7.8). */
static void avail_event_set(struct virtqueue *vq, uint16_t value)
{
	__virtio16 *event = (__virtio16 *)&vq->used_ring->ring[vq->size];

	__atomic_store_n(event, htole16(value), __ATOMIC_RELAXED);
}

void virtqueue_disable_kicks(struct virtqueue *vq)
{
	if (!vq->ready)
		return;
	/*
	 * With EVENT_IDX the driver kicks when its index passes avail_event, which is where it was
	 * asked for its next chain. Put as far away as an index can be, it is passed by none of the
	 * next 32,768 chains less the ring's size; a kick too many then does no harm.
	 */
	if (vq->event_idx)
		avail_event_set(vq, (uint16_t)(vq->last_avail + 0x8000));
	else
		__atomic_store_n(&vq->used_ring->flags, htole16(VRING_USED_F_NO_NOTIFY),
				 __ATOMIC_RELAXED);
}

bool virtqueue_enable_kicks(struct virtqueue *vq)
{
	if (!vq->ready)
		return false;
	if (vq->event_idx)
		avail_event_set(vq, vq->last_avail);
	else
		__atomic_store_n(&vq->used_ring->flags, 0, __ATOMIC_RELAXED);
	/*
	 * Pairs with the driver's barrier between avail->idx and its look at avail_event or
	 * used->flags (2.7.13.4): either we see its new chain, or it sees that we want a kick.
	 */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return virtqueue_has_avail(vq);
}
