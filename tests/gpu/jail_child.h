/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_GPU_JAIL_CHILD_H
#define TESTS_GPU_JAIL_CHILD_H

#include <stdio.h>
#include <sys/types.h>

/** jail_child() - the render server: the only child of the first process of its jail; 0: none */
static inline pid_t jail_child(pid_t jail)
{
	char path[64];
	FILE *file;
	int pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", jail, jail);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%d", &pid) != 1)
		pid = 0;
	if (file)
		fclose(file);
	return pid;
}

#endif
