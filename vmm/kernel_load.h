/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef VMM_KERNEL_LOAD_H
#define VMM_KERNEL_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct guest_memory;

#define KERNEL_BOOT_HEADER_MAX 128

/** struct kernel_image - a kernel that lies in guest RAM */
struct kernel_image {
	uint64_t entry; /* gpa of its 64-bit entry point */
	uint64_t end;	/* first gpa that is free again: behind .bss, or what it decompresses to */
	bool no_initrd; /* it cannot unpack an initramfs: its root is a file system device */
	/* The setup header that a bzImage brought (Linux x86 boot protocol); length 0: none. */
	uint8_t boot_header[KERNEL_BOOT_HEADER_MAX];
	size_t boot_header_len;
};

/**
 * kernel_load_file() - load a vmlinux (ELF) or a bzImage; which one is told from its header
 * @fd:   borrowed, readable at any offset
 * @name: for messages
 */
int kernel_load_file(const struct guest_memory *gm, int fd, const char *name,
		     struct kernel_image *image, struct error **err);

/**
 * kernel_load_krunfw() - load the kernel that libkrunfw.so.5 holds
 * @path: of the library. It is code that runs in this process: root's file, never an image's.
 */
int kernel_load_krunfw(const struct guest_memory *gm, const char *path,
		       struct kernel_image *image, struct error **err);

/*
 * The formats, one file each; kernel_load_file() chooses. @head: the file's first bytes.
 */
#define KERNEL_HEAD_SIZE 4096u

int kernel_elf_load(const struct guest_memory *gm, int fd, const uint8_t *head, size_t head_len,
		    struct kernel_image *image, struct error **err);
int kernel_bzimage_load(const struct guest_memory *gm, int fd, const uint8_t *head,
			size_t head_len, struct kernel_image *image, struct error **err);

/** kernel_place() - read @len bytes at @offset of a file to @gpa; no RAM, no load: an error */
int kernel_place(const struct guest_memory *gm, int fd, uint64_t offset, uint64_t len,
		 uint64_t gpa, struct error **err);

#endif
