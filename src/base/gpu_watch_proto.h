/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef BASE_GPU_WATCH_PROTO_H
#define BASE_GPU_WATCH_PROTO_H

/*
 * Between krun-gpu-gpu and the first process of the render server's jail, on a SOCK_SEQPACKET
 * socket: one byte each way. The worker asks whether all are alive; of the jail's processes the
 * other one kills those that were stopped, and answers.
 */

#define GPU_WATCH_ASK 'c'
#define GPU_WATCH_BUSY 'b' /* they use the processor, or it cannot be said yet */
#define GPU_WATCH_IDLE 'i'

#endif
