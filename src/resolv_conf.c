/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolv_conf.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

#define FILE_MAX (64u << 10)
#define SERVERS_MAX 3
#define KEYWORD "nameserver"

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Does this line name a server? An address of another family than IPv4 is 0. */
static bool parse_server(const char *line, size_t len, uint32_t *address)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr in = { 0 };
	size_t begin = strlen(KEYWORD);

	if (len <= begin || memcmp(line, KEYWORD, begin) || !is_space(line[begin]))
		return false;
	while (begin < len && is_space(line[begin]))
		begin++;
	while (len > begin && is_space(line[len - 1]))
		len--;
	*address = 0;
	if (len == begin || len - begin >= sizeof(text))
		return len > begin;
	memcpy(text, line + begin, len - begin);
	text[len - begin] = 0;
	/* A NUL in between would hide the rest. */
	if (strlen(text) == len - begin && inet_pton(AF_INET, text, &in) == 1)
		*address = ntohl(in.s_addr);
	return true;
}

uint32_t resolv_conf_loopback(const char *text, size_t len)
{
	const char *const end = text + len;
	unsigned int servers = 0;

	while (text < end && servers < SERVERS_MAX) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *const line_end = newline ? newline : end;
		uint32_t address;

		if (parse_server(text, (size_t)(line_end - text), &address)) {
			if (address >> 24 == IN_LOOPBACKNET)
				return address;
			servers++;
		}
		text = newline ? newline + 1 : end;
	}
	return 0;
}

uint32_t resolv_conf_read_loopback(const char *path)
{
	/* Not to wait for a FIFO's writer. */
	cleanup_close int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	cleanup_free char *text = NULL;
	struct stat st;
	size_t len;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	text = fd_read_file(fd, FILE_MAX, &len);
	if (!text) {
		log_info("%s: %s", path, strerror(errno));
		return 0;
	}
	return resolv_conf_loopback(text, len);
}
