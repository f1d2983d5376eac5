/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "gpu_virgl.h"

#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SO ".so.1."
#define SO_OF_1_0 8

const char gpu_virgl_gives[] =
	"        version   what it gives\n"
	"        1.0, 1.1  Mesa's drivers\n"
	"        1.2       NVIDIA's driver as well\n"
	"        1.3       cooperative matrices, Vulkan 1.4, allocations padded to whole pages\n"
	"        Debian 13 has 1.1, Debian unstable 1.3; elsewhere build it with -Dvenus=true\n";

/* 1.1.0 is libvirglrenderer.so.1.9, 1.3.0 is .so.1.11; Debian 12's 0.10.4 is .so.1.7. */
int gpu_virgl_version(const char *root)
{
	static const char *const patterns[] = { "/usr/lib/*/libvirglrenderer" SO "*",
						"/usr/lib64/libvirglrenderer" SO "*",
						"/usr/lib/libvirglrenderer" SO "*",
						"/usr/local/lib/*/libvirglrenderer" SO "*",
						"/usr/local/lib*/libvirglrenderer" SO "*" };
	char pattern[PATH_MAX];
	int best = -1;

	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++) {
		glob_t found;

		snprintf(pattern, sizeof(pattern), "%s%s", root, patterns[i]);
		if (glob(pattern, 0, NULL, &found))
			continue;
		for (size_t j = 0; j < found.gl_pathc; j++) {
			int so = atoi(strstr(found.gl_pathv[j], SO) + strlen(SO));

			best = so > best ? so : best;
		}
		globfree(&found);
	}
	if (best < 0)
		return GPU_VIRGL_UNKNOWN;
	return best < SO_OF_1_0 ? GPU_VIRGL_OLD : GPU_VIRGL(1, best - SO_OF_1_0);
}

bool gpu_virgl_serves(int version, const char *kernel, char *why, size_t size)
{
	const int needed = strcmp(kernel, "nvidia") ? GPU_VIRGL(1, 0) : GPU_VIRGL(1, 2);
	char has[16] = "an older one";

	if (version == GPU_VIRGL_UNKNOWN || version >= needed)
		return true;
	if (version != GPU_VIRGL_OLD)
		snprintf(has, sizeof(has), "%d.%d", version / 100, version % 100);
	snprintf(why, size, "needs virglrenderer %d.%d, the host has %s", needed / 100, needed % 100,
		 has);
	return false;
}
