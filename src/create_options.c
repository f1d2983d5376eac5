/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "create_options.h"

#include "base/error.h"

void create_options_init(struct create_options *o)
{
	*o = (struct create_options){
		.launch = { .bundle = ".", .config = "config.json", .terminal = -1 },
	};
}

int create_option_set(void *data, int key, const char *value, struct error **err)
{
	struct create_options *o = data;
	long n;

	switch (key) {
	case 'b':
		o->launch.bundle = value;
		return 0;
	case 'f':
		o->launch.config = value;
		return 0;
	case 'd':
		o->detach = true;
		return 0;
	case 'k':
		o->keep = true;
		return 0;
	case 256:
		o->launch.console_socket = value;
		return 0;
	case 257:
		o->launch.pid_file = value;
		return 0;
	case 258:
		if (option_number("preserve-fds", value, 0, 65535, &n, err) < 0)
			return -1;
		return n ? error_set(err, 0, "--preserve-fds: a file descriptor of the host cannot "
				     "be passed into a microVM") : 0;
	default:
		return 0; /* accepted without a meaning */
	}
}
