/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-agent/agent_names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/agent_proto.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "guest-agent/agent_control.h"

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

static int names_bind(uint32_t address)
{
	const struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(AGENT_DNS_PORT),
					.sin_addr.s_addr = htonl(address) };
	const int one = 1;
	cleanup_close int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	return steal_fd(&fd);
}

int names_serve(struct names *n, uint32_t address, struct error **err)
{
	char text[INET_ADDRSTRLEN];
	int r;

	if (!address)
		return 0;
	n->source = (struct loop_source){ .fd = names_bind(address), .ready = names_ready,
					  .data = n };
	r = n->source.fd < 0 ? n->source.fd : loop_watch(n->loop, &n->source, EPOLLIN);
	if (r == 0)
		return 0;
	return error_set(err, -r, "answer questions about names at %s",
			 inet_ntop(AF_INET, &(struct in_addr){ htonl(address) }, text,
				   sizeof(text)));
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
