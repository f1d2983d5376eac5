/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "app.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "base/wire.h"
#include "container.h"
#include "container_start.h"
#include "control_client.h"
#include "resolv_conf.h"

/* Between the agent's fork and the process's first instruction there is only execve(). */
#define START_TIMEOUT_MS 60000

/* The engine may have written the file, and begun its name server, after create. */
static uint32_t find_name_server(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->num_mounts; i++)
		if (!strcmp(spec->mounts[i].destination, "/etc/resolv.conf") &&
		    spec->mounts[i].source && spec->mounts[i].source[0] == '/')
			return resolv_conf_read_loopback(spec->mounts[i].source);
	return 0;
}

int container_start(const struct app *app, const char *id, struct error **err)
{
	cleanup_wire struct wire_writer w = { 0 };
	cleanup_container struct container c;

	if (container_open(app, id, &c, err) < 0 || oci_state_lock(c.dirfd, err) < 0 ||
	    container_refresh(&c, err) < 0)
		return -1;
	if (c.state.status != OCI_STATUS_CREATED)
		return error_set(err, 0, "container %s is %s, not created", id,
				 oci_status_name(c.state.status));
	if (container_load_spec(&c, err) < 0)
		return -1;
	wire_put_u32(&w, find_name_server(&c.spec));
	if (w.failed)
		return error_set(err, ENOMEM, "start");
	if (control_request(c.dirfd, VMM_START, w.data, w.len, START_TIMEOUT_MS, err) < 0)
		return -1;
	c.state.status = OCI_STATUS_RUNNING;
	if (oci_state_write(c.dirfd, &c.state, err) < 0)
		return -1;
	return container_run_hooks(&c, OCI_HOOK_POSTSTART, err);
}

int cmd_start(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command cmd = {
		"start", "ID", "Start the process of container ID, which was created.", NULL, 1, 1,
	};
	int first = command_parse(&cmd, argc, argv, NULL, NULL, err);

	return first <= 0 ? first : container_start(app, argv[first], err);
}
