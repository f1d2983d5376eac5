/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "host_config.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/error.h"

enum host_key_kind { HOST_KEY_PATH, HOST_KEY_TEXT, HOST_KEY_BOOL };

static const struct {
	const char *name;
	enum host_key_kind kind;
	size_t offset;
} host_keys[] = {
	{ "kernel", HOST_KEY_PATH, offsetof(struct host_config, kernel) },
	{ "kernel-options", HOST_KEY_TEXT, offsetof(struct host_config, kernel_options) },
	{ "fs-server", HOST_KEY_PATH, offsetof(struct host_config, fs_server) },
	{ "driver-bundle", HOST_KEY_PATH, offsetof(struct host_config, driver_bundle) },
	{ "render-server", HOST_KEY_PATH, offsetof(struct host_config, render_server) },
	{ "guest-console", HOST_KEY_BOOL, offsetof(struct host_config, guest_console) },
	{ "software-gpu", HOST_KEY_BOOL, offsetof(struct host_config, software_gpu) },
};

static int host_key_set(struct host_config *cfg, size_t key, const char *value, struct error **err)
{
	void *member = (char *)cfg + host_keys[key].offset;
	const char *name = host_keys[key].name;

	if (host_keys[key].kind == HOST_KEY_BOOL) {
		const bool yes = !strcmp(value, "yes") || !strcmp(value, "true");

		if (!yes && strcmp(value, "no") && strcmp(value, "false"))
			return error_set(err, 0, "%s: expected yes or no, not \"%s\"", name, value);
		*(bool *)member = yes;
		return 0;
	}
	if (host_keys[key].kind == HOST_KEY_PATH && *value != '/')
		return error_set(err, 0, "%s: expected an absolute path, not \"%s\"", name, value);
	*(const char **)member = arena_strdup(&cfg->arena, value);
	return *(const char **)member ? 0 : error_set(err, ENOMEM, "%s", name);
}

static char *host_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && isspace((unsigned char)text[len - 1]))
		text[--len] = 0;
	return text;
}

static int host_config_line(struct host_config *cfg, char *line, struct error **err)
{
	char *text = host_trim(line), *value = strchr(text, '=');

	if (!*text || *text == '#')
		return 0;
	if (!value)
		return error_set(err, 0, "expected key = value, not \"%s\"", text);
	*value++ = 0;
	text = host_trim(text);
	for (size_t i = 0; i < sizeof(host_keys) / sizeof(*host_keys); i++)
		if (!strcmp(text, host_keys[i].name))
			return host_key_set(cfg, i, host_trim(value), err);
	return error_set(err, 0, "unknown key \"%s\"", text);
}

int host_config_load(const char *path, struct host_config *cfg, struct error **err)
{
	cleanup_fclose FILE *f = fopen(path, "re");
	cleanup_free char *line = NULL;
	unsigned int number = 0;
	size_t size = 0;

	if (!f)
		return errno == ENOENT ? 0 : error_set(err, errno, "cannot read %s", path);
	while (getline(&line, &size, f) >= 0) {
		number++;
		if (host_config_line(cfg, line, err) < 0)
			return error_wrap(err, "%s:%u", path, number);
	}
	return ferror(f) ? error_set(err, EIO, "cannot read %s", path) : 0;
}

void host_config_release(struct host_config *cfg)
{
	arena_release(&cfg->arena);
	memset(cfg, 0, sizeof(*cfg));
}
