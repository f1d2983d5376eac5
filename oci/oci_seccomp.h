/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_SECCOMP_H
#define OCI_SECCOMP_H

#include <stddef.h>
#include <stdint.h>

struct error;
struct oci_seccomp;

/** oci_seccomp_validate() - refuse unknown words and what cannot be honoured; 0 or -1 */
int oci_seccomp_validate(const struct oci_seccomp *s, struct error **err);

/**
 * oci_seccomp_compile() - linux.seccomp to a classic BPF program, to be loaded in the guest
 * @s:     validated
 * @bpf:   out: array of struct sock_filter, malloc'ed
 * @len:   out: its bytes
 * @flags: out: SECCOMP_FILTER_FLAG_* for seccomp(2)
 *
 * System calls that libseccomp does not know are skipped, as the specification's other runtimes
 * do. Return: 0 or -1.
 */
int oci_seccomp_compile(const struct oci_seccomp *s, char **bpf, size_t *len, uint32_t *flags,
			struct error **err);

/* The words there are, for `features`; NULL-terminated */
const char *const *oci_seccomp_action_names(void);
const char *const *oci_seccomp_operator_names(void);
const char *const *oci_seccomp_arch_names(void);
const char *const *oci_seccomp_flag_names(void);

#endif
