/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_WORKERS_FS_DEVICE_H
#define VMM_WORKERS_FS_DEVICE_H

struct error;
struct fs_device;
struct fs_server;

/**
 * fs_device_create() - a virtio-fs device (virtio 1.2, 5.11) on a vhost-user socket
 * @sock:   connected, owned from now on
 * @server: borrowed
 */
struct fs_device *fs_device_create(int sock, struct fs_server *server, struct error **err);
void fs_device_free(struct fs_device *dev);

/** fs_device_run() - serve until the front end goes away (0) or breaks the protocol (-errno) */
int fs_device_run(struct fs_device *dev);

#endif
