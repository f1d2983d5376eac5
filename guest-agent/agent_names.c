/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/log.h"
#include "guest-agent/agent_control.h"
#include "guest-agent/agent_file.h"
#include "guest-agent/agent_lookup.h"
#include "guest-agent/agent_sockets.h"

/* One for each event: others of the agent's tasks are not kept waiting by who asks a lot. */
static void names_ready(void *data, uint32_t events)
{
	struct names *n = data;
	struct names_client *client = &n->clients[n->next % NAMES_CLIENTS_MAX];
	struct sockaddr_in from = { 0 };
	socklen_t size = sizeof(from);
	char question[AGENT_DNS_MAX];
	const ssize_t len = recvfrom(n->source.fd, question, sizeof(question),
				     MSG_DONTWAIT | MSG_TRUNC, (struct sockaddr *)&from, &size);

	(void)events;
	if (len <= 0 || len > AGENT_DNS_MAX)
		return;
	*client = (struct names_client){ .waiting = true, .cookie = n->next++, .address = from };
	control_send_dns(n->control, client->cookie, question, (size_t)len);
}

static int names_bind(int type, uint32_t address, uint16_t port)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port),
					.sin_addr.s_addr = htonl(address) };
	const int one = 1;
	cleanup_close int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/*
 * A listener at the port itself would keep others from listening to it at every address. Its connections
 * may still be there when one of those begins: SO_REUSEADDR, which such servers set, is for both.
 */
static int names_listen(struct names *n, uint32_t address)
{
	cleanup_close int fd = names_bind(SOCK_STREAM, address, 0);

	if (fd < 0)
		return fd;
	if (listen(fd, 128) < 0)
		return -errno;
	n->steering = lookup_steer(fd, htonl(address), AGENT_DNS_PORT);
	if (n->steering < 0)
		return n->steering;
	sockets_add(n->sockets, steal_fd(&fd), AGENT_SOCKET_NAMES);
	return 0;
}

/* What answers the name server's own questions comes to the guest's addresses, and not to the guest. */
static void names_leave_ports(struct names *n)
{
	cleanup_error struct error *err = NULL;
	char text[16];

	snprintf(text, sizeof(text), "%u-%u", AGENT_DNS_OWN_FIRST, AGENT_DNS_OWN_LAST);
	if (file_write(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_reserved_ports", text, &err) < 0)
		control_send_log(n->control, LOG_LEVEL_WARNING, error_msg(err));
}

int names_serve(struct names *n, uint32_t address, struct error **err)
{
	char text[INET_ADDRSTRLEN], why[128];
	int r;

	if (!address)
		return 0;
	n->source = (struct loop_source){ .fd = names_bind(SOCK_DGRAM, address, AGENT_DNS_PORT),
					  .ready = names_ready, .data = n };
	r = n->source.fd < 0 ? n->source.fd : loop_watch(n->loop, &n->source, EPOLLIN);
	inet_ntop(AF_INET, &(struct in_addr){ htonl(address) }, text, sizeof(text));
	if (r < 0)
		return error_set(err, -r, "answer questions about names at %s", text);
	names_leave_ports(n);
	r = names_listen(n, address);
	if (r == 0)
		return 0;
	snprintf(why, sizeof(why), "questions about names at %s are answered by UDP alone: %s", text,
		 strerror(-r));
	control_send_log(n->control, LOG_LEVEL_INFO, why);
	return 0;
}

void names_answer(struct names *n, uint32_t cookie, const void *answer, size_t len)
{
	struct names_client *client = &n->clients[cookie % NAMES_CLIENTS_MAX];

	if (!client->waiting || client->cookie != cookie)
		return;
	client->waiting = false;
	/* Who has gone, or has no room, would have lost it on any network. */
	sendto(n->source.fd, answer, len, MSG_DONTWAIT | MSG_NOSIGNAL,
	       (const struct sockaddr *)&client->address, sizeof(client->address));
}
