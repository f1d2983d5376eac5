/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef OCI_VALIDATE_H
#define OCI_VALIDATE_H

struct error;
struct oci_process;
struct oci_spec;

/**
 * oci_spec_validate() - does the configuration make sense, and can a microVM honour it?
 *
 * What cannot be honoured is refused with a sentence that names the field. Return: 0 or -1.
 */
int oci_spec_validate(const struct oci_spec *spec, struct error **err);

/** oci_process_validate() - the same for a process alone */
int oci_process_validate(const struct oci_process *process, struct error **err);

#endif
