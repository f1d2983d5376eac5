/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RESOLV_CONF_H
#define RESOLV_CONF_H

#include <stddef.h>
#include <stdint.h>

/**
 * resolv_conf_loopback() - the first name server of resolv.conf(5) in 127.0.0.0/8
 * @text: @len bytes; those of C libraries that end at a NUL are not imitated
 *
 * Of three name servers at most, as C libraries ask no more. A line that is not exactly as the manual
 * has it names none.
 *
 * Return: an IPv4 address as a number; 0: there is none.
 */
uint32_t resolv_conf_loopback(const char *text, size_t len);

/** resolv_conf_read_loopback() - the same of a file; 0 as well when it is none, or over 64 KiB long */
uint32_t resolv_conf_read_loopback(const char *path);

#endif
