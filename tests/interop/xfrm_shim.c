/*
 * Makes strongSwan content on a kernel without ESP and AH, and writes down what it asked for.
 *
 * Preloaded into charon, it looks at what goes into NETLINK_XFRM sockets. Requests that would need
 * ESP or AH in the kernel, or that would make it hold packets for them, are appended as one line to
 * the file that XFRM_SHIM_LOG names; the kernel gets a no-op in their place, with the sequence
 * number of the request, and acknowledges it. Every other request goes through as it is.
 *
 * A line is a verb and KEY=VALUE words. Keys of SAs are among them: this is for tests.
 *
 *     gcc -Wall -Wextra -shared -fPIC -O1 -o xfrm_shim.so xfrm_shim.c -ldl
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Longer requests do not occur: an SA with all its attributes has some 600 bytes. */
#define LONGEST 4096

static void log_address(FILE *line, const char *name, int family, const xfrm_address_t *address)
{
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(family == AF_INET6 ? AF_INET6 : AF_INET, address, text, sizeof text);
	fprintf(line, " %s=%s", name, text);
}

static void log_selector(FILE *line, const struct xfrm_selector *selector)
{
	int family = selector->family == AF_INET6 ? AF_INET6 : AF_INET;

	log_address(line, "from", family, &selector->saddr);
	fprintf(line, "/%u", selector->prefixlen_s);
	log_address(line, "to", family, &selector->daddr);
	fprintf(line, "/%u protocol=%u", selector->prefixlen_d, selector->proto);
}

static void log_key(FILE *line, const char *what, const char *algorithm, const char *key, unsigned bits)
{
	fprintf(line, " %s=%s %s_key=", what, algorithm, what);
	for (unsigned i = 0; i < bits / 8; i++)
		fprintf(line, "%02x", (unsigned char)key[i]);
}

static void log_attributes(FILE *line, const char *at, const char *end)
{
	while (end - at >= (long)sizeof(struct nlattr)) {
		const struct nlattr *attribute = (const void *)at;
		const void *body = at + NLA_HDRLEN;
		size_t length = attribute->nla_len < NLA_HDRLEN ? 0 : attribute->nla_len - NLA_HDRLEN;

		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > end - at)
			return;
		switch (attribute->nla_type & NLA_TYPE_MASK) {
		case XFRMA_ALG_CRYPT: {
			const struct xfrm_algo *cipher = body;
			if (length >= sizeof *cipher + cipher->alg_key_len / 8)
				log_key(line, "cipher", cipher->alg_name, cipher->alg_key, cipher->alg_key_len);
			break;
		}
		case XFRMA_ALG_AUTH: {
			const struct xfrm_algo *mac = body;
			if (length >= sizeof *mac + mac->alg_key_len / 8)
				log_key(line, "mac", mac->alg_name, mac->alg_key, mac->alg_key_len);
			break;
		}
		case XFRMA_ALG_AUTH_TRUNC: {
			const struct xfrm_algo_auth *mac = body;
			if (length >= sizeof *mac + mac->alg_key_len / 8)
				log_key(line, "mac", mac->alg_name, mac->alg_key, mac->alg_key_len);
			break;
		}
		case XFRMA_ENCAP: {
			const struct xfrm_encap_tmpl *encapsulation = body;
			if (length >= sizeof *encapsulation)
				fprintf(line, " from_port=%u to_port=%u", ntohs(encapsulation->encap_sport),
					ntohs(encapsulation->encap_dport));
			break;
		}
		}
		at += NLA_ALIGN(attribute->nla_len);
	}
}

/* Writes a request down. Returns whether the kernel must not see it. */
static int is_ours(const struct nlmsghdr *head, FILE *line)
{
	const char *body = NLMSG_DATA(head), *end = (const char *)head + head->nlmsg_len;
	size_t length = head->nlmsg_len - NLMSG_HDRLEN;

	switch (head->nlmsg_type) {
	case XFRM_MSG_NEWSA:
	case XFRM_MSG_UPDSA: {
		const struct xfrm_usersa_info *sa = (const void *)body;
		if (length < sizeof *sa)
			return 0;
		fprintf(line, "sa spi=%08x ipsec=%u mode=%u", ntohl(sa->id.spi), sa->id.proto, sa->mode);
		log_address(line, "source", sa->family, &sa->saddr);
		log_address(line, "destination", sa->family, &sa->id.daddr);
		log_attributes(line, body + NLMSG_ALIGN(sizeof *sa), end);
		return 1;
	}
	case XFRM_MSG_DELSA: {
		const struct xfrm_usersa_id *sa = (const void *)body;
		if (length < sizeof *sa)
			return 0;
		fprintf(line, "gone spi=%08x ipsec=%u", ntohl(sa->spi), sa->proto);
		log_address(line, "destination", sa->family, &sa->daddr);
		return 1;
	}
	case XFRM_MSG_NEWPOLICY:
	case XFRM_MSG_UPDPOLICY: {
		const struct xfrm_userpolicy_info *policy = (const void *)body;
		if (length < sizeof *policy)
			return 0;
		fprintf(line, "policy way=%u", policy->dir);
		log_selector(line, &policy->sel);
		return 1;
	}
	case XFRM_MSG_DELPOLICY: {
		const struct xfrm_userpolicy_id *policy = (const void *)body;
		if (length < sizeof *policy)
			return 0;
		fprintf(line, "nopolicy way=%u", policy->dir);
		log_selector(line, &policy->sel);
		return 1;
	}
	default:
		return 0;
	}
}

static int is_xfrm(int fd)
{
	int domain = 0, protocol = 0;
	socklen_t length = sizeof domain;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) || domain != AF_NETLINK)
		return 0;
	length = sizeof protocol;
	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length) && protocol == NETLINK_XFRM;
}

/* The request to send in place of one: a copy in `copy`, or the request itself. */
static const void *instead_of(int fd, const void *request, size_t length, char *copy)
{
	const char *name = getenv("XFRM_SHIM_LOG");
	struct nlmsghdr *head = (void *)copy;
	char text[LONGEST * 3];
	FILE *line;
	int ours, log;

	if (!name || length < sizeof *head || length > LONGEST || !is_xfrm(fd))
		return request;
	memcpy(copy, request, length);
	if (head->nlmsg_len < NLMSG_HDRLEN || head->nlmsg_len > length)
		return request;
	line = fmemopen(text, sizeof text, "w");
	if (!line)
		return request;
	ours = is_ours(head, line);
	fputc('\n', line);
	length = (size_t)ftell(line);
	fclose(line);
	if (!ours)
		return request;
	/* One write, so that whoever reads along sees whole lines. */
	log = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (log < 0 || write(log, text, length) != (ssize_t)length)
		abort();
	close(log);
	head->nlmsg_type = NLMSG_NOOP;
	return copy;
}

ssize_t sendto(int fd, const void *data, size_t length, int flags, const struct sockaddr *to, socklen_t to_length)
{
	static ssize_t (*next)(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	_Alignas(struct nlmsghdr) char copy[LONGEST];

	if (!next)
		next = (ssize_t (*)(int, const void *, size_t, int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "sendto");
	return next(fd, instead_of(fd, data, length, copy), length, flags, to, to_length);
}
