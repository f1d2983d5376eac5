/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "app.h"
#include "base/error.h"
#include "base/vmm_proto.h"
#include "container.h"
#include "control_client.h"

#define PAUSE_TIMEOUT_MS 10000

static int pause_or_resume(const struct app *app, const char *id, bool pause, struct error **err)
{
	const enum oci_status from = pause ? OCI_STATUS_RUNNING : OCI_STATUS_PAUSED;
	cleanup_container struct container c = { .dirfd = -1 };

	if (container_open(app, id, &c, err) < 0 || oci_state_lock(c.dirfd, err) < 0 ||
	    container_refresh(&c, err) < 0)
		return -1;
	if (c.state.status != from)
		return error_set(err, 0, "container %s is %s, not %s", id,
				 oci_status_name(c.state.status), oci_status_name(from));
	if (control_request(c.dirfd, pause ? VMM_PAUSE : VMM_RESUME, NULL, 0, PAUSE_TIMEOUT_MS,
			    err) < 0)
		return -1;
	c.state.status = pause ? OCI_STATUS_PAUSED : OCI_STATUS_RUNNING;
	return oci_state_write(c.dirfd, &c.state, err);
}

int cmd_pause(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command cmd = {
		"pause", "ID", "Stop the virtual CPUs of container ID.", NULL, 1, 1,
	};
	int first = command_parse(&cmd, argc, argv, NULL, NULL, err);

	return first <= 0 ? first : pause_or_resume(app, argv[first], true, err);
}

int cmd_resume(const struct app *app, int argc, char **argv, struct error **err)
{
	static const struct command cmd = {
		"resume", "ID", "Continue container ID, which was paused.", NULL, 1, 1,
	};
	int first = command_parse(&cmd, argc, argv, NULL, NULL, err);

	return first <= 0 ? first : pause_or_resume(app, argv[first], false, err);
}
