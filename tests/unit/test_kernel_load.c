/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Kernels of both formats made here byte by byte, good ones and such whose headers lie; and the
 * initramfs, read back the way a kernel would.
 */
#include <asm/bootparam.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "tests/unit/unit.h"
#include "vmm/guest_memory.h"
#include "vmm/initramfs.h"
#include "vmm/kernel_load.h"

#define MIB (1ull << 20)
#define RAM (64 * MIB)
#define LOAD (16 * MIB)
#define SETUP_HEADER_AT 0x1f1u

struct fixture {
	struct guest_memory mem;
	int fd;
};

static int set_up(void **state)
{
	static struct fixture f;

	f.fd = memfd_create("kernel", MFD_CLOEXEC);
	*state = &f;
	return f.fd < 0 ? -1 : guest_memory_create(&f.mem, RAM, 1ull << 31, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	guest_memory_release(&f->mem);
	close(f->fd);
	return 0;
}

static void write_at(struct fixture *f, uint64_t at, const void *p, size_t len)
{
	assert_int_equal(pwrite(f->fd, p, len, (off_t)at), (ssize_t)len);
}

struct elf {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
};

static struct elf good_elf(void)
{
	struct elf e = {
		.eh = {
			.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT },
			.e_type = ET_EXEC,
			.e_machine = EM_X86_64,
			.e_entry = LOAD + 0x10,
			.e_phoff = sizeof(Elf64_Ehdr),
			.e_phentsize = sizeof(Elf64_Phdr),
			.e_phnum = 2,
		},
		.ph = {
			{ .p_type = PT_LOAD, .p_offset = 0x1000, .p_paddr = LOAD,
			  .p_filesz = 0x100, .p_memsz = 2 * MIB },
			{ .p_type = PT_NOTE, .p_offset = UINT64_MAX, .p_filesz = UINT64_MAX },
		},
	};

	return e;
}

static int load(struct fixture *f, struct kernel_image *image, struct error **err)
{
	return kernel_load_file(&f->mem, f->fd, "test", image, err);
}

static int load_elf(struct fixture *f, const struct elf *e, struct kernel_image *image,
		    struct error **err)
{
	const char code[0x100] = "the kernel";

	write_at(f, 0, e, sizeof(*e));
	write_at(f, 0x1000, code, sizeof(code));
	return load(f, image, err);
}

static void a_vmlinux_is_loaded(void **state)
{
	struct fixture *f = *state;
	const struct elf e = good_elf();
	struct kernel_image image;

	assert_int_equal(load_elf(f, &e, &image, NULL), 0);
	assert_int_equal(image.entry, LOAD + 0x10);
	assert_int_equal(image.end, LOAD + 2 * MIB);
	assert_int_equal(image.boot_header_len, 0);
	assert_string_equal(guest_memory_ptr(&f->mem, LOAD, 11), "the kernel");
}

static void elf_headers_that_lie_are_refused(void **state)
{
	struct fixture *f = *state;
	struct {
		const char *what;
		struct elf e;
	} bad[] = {
		{ "32 bits", good_elf() },
		{ "another machine", good_elf() },
		{ "an object file", good_elf() },
		{ "no program headers", good_elf() },
		{ "program headers far away", good_elf() },
		{ "program headers at the end of the world", good_elf() },
		{ "too many program headers", good_elf() },
		{ "odd program headers", good_elf() },
		{ "file larger than memory", good_elf() },
		{ "offset overflow", good_elf() },
		{ "longer than the file", good_elf() },
		{ "over the end of RAM", good_elf() },
		{ "memory size overflow", good_elf() },
		{ "over the boot parameters", good_elf() },
		{ "entry outside", good_elf() },
		{ "entry in .bss", good_elf() },
		{ "no segment", good_elf() },
	};
	size_t i = 0;

	bad[i++].e.eh.e_ident[EI_CLASS] = ELFCLASS32;
	bad[i++].e.eh.e_machine = EM_AARCH64;
	bad[i++].e.eh.e_type = ET_REL;
	bad[i++].e.eh.e_phnum = 0;
	bad[i++].e.eh.e_phoff = 1ull << 40;
	bad[i++].e.eh.e_phoff = UINT64_MAX - 8;
	bad[i++].e.eh.e_phnum = UINT16_MAX;
	bad[i++].e.eh.e_phentsize = 1;
	bad[i++].e.ph[0].p_filesz = 3 * MIB;
	bad[i++].e.ph[0].p_offset = UINT64_MAX - 0x80;
	bad[i++].e.ph[0].p_filesz = 0x200;
	bad[i++].e.ph[0].p_paddr = RAM - MIB;
	bad[i++].e.ph[0].p_memsz = UINT64_MAX - LOAD;
	bad[i++].e.ph[0].p_paddr = 0x7000;
	bad[i++].e.eh.e_entry = 0xffffffff81000000ull;
	bad[i++].e.eh.e_entry = LOAD + MIB;
	bad[i++].e.ph[0].p_type = PT_NULL;
	assert_int_equal(i, sizeof(bad) / sizeof(bad[0]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error *err = NULL;
		struct kernel_image image;

		print_message("%s\n", bad[i].what);
		assert_int_equal(load_elf(f, &bad[i].e, &image, &err), -1);
		assert_non_null(strstr(error_msg(err), "guest kernel test"));
		error_free(&err);
	}
}

static void what_is_no_kernel_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct kernel_image image;

	assert_int_equal(load(f, &image, &err), -1); /* empty */
	write_at(f, 0, ELFMAG, SELFMAG);
	assert_int_equal(load(f, &image, &err), -1);
	write_at(f, 0, "#!/bin/sh", 9);
	assert_int_equal(load(f, &image, &err), -1);
	assert_non_null(strstr(error_msg(err), "neither"));
	error_free(&err);
}

static struct setup_header good_bzimage(void)
{
	return (struct setup_header){
		.setup_sects = 1,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.xloadflags = XLF_KERNEL_64,
		.relocatable_kernel = 1,
		.pref_address = LOAD,
		.init_size = 8 * MIB,
	};
}

static int load_bzimage(struct fixture *f, const struct setup_header *h,
			struct kernel_image *image, struct error **err)
{
	const char code[0x400] = "compressed";

	write_at(f, SETUP_HEADER_AT, h, sizeof(*h));
	write_at(f, 0x400, code, sizeof(code));
	return load(f, image, err);
}

static void a_bzimage_is_loaded(void **state)
{
	struct fixture *f = *state;
	struct setup_header h = good_bzimage();
	struct kernel_image image;

	assert_int_equal(load_bzimage(f, &h, &image, NULL), 0);
	assert_int_equal(image.entry, LOAD + 0x200);
	assert_int_equal(image.end, LOAD + 8 * MIB);
	assert_int_equal(image.boot_header_len, sizeof(h));
	assert_string_equal(guest_memory_ptr(&f->mem, LOAD, 11), "compressed");
	/* One that cannot be moved loads at 1 MiB, as of old. */
	h.relocatable_kernel = 0;
	assert_int_equal(load_bzimage(f, &h, &image, NULL), 0);
	assert_int_equal(image.entry, MIB + 0x200);
}

static void bzimage_headers_that_lie_are_refused(void **state)
{
	struct fixture *f = *state;
	struct setup_header bad[] = { good_bzimage(), good_bzimage(), good_bzimage(),
				      good_bzimage(), good_bzimage(), good_bzimage() };

	bad[0].version = 0x0209;
	bad[1].xloadflags = 0;
	bad[2].loadflags = 0;
	bad[3].pref_address = 0x7000;
	bad[4].init_size = UINT32_MAX;
	bad[5].setup_sects = 255;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct error *err = NULL;
		struct kernel_image image;

		assert_int_equal(load_bzimage(f, &bad[i], &image, &err), -1);
		print_message("%s\n", error_msg(err));
		error_free(&err);
	}
}

static void a_library_that_is_none_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	struct kernel_image image;

	assert_int_equal(kernel_load_krunfw(&f->mem, "/nonexistent/libkrunfw.so.5", &image, &err),
			 -1);
	assert_non_null(strstr(error_msg(err), "/nonexistent/libkrunfw.so.5"));
	error_free(&err);
	assert_int_equal(kernel_load_krunfw(&f->mem, "libc.so.6", &image, &err), -1);
	assert_non_null(strstr(error_msg(err), "krunfw_get_kernel"));
	error_free(&err);
}

struct cpio_entry {
	unsigned int mode, size, major, minor;
	const char *name, *data;
};

static unsigned int cpio_field(const char *header, unsigned int n)
{
	char text[9] = { 0 };

	memcpy(text, header + 6 + 8 * n, 8);
	return (unsigned int)strtoul(text, NULL, 16);
}

/* Read one entry the way the kernel does; where the next one begins. */
static const char *cpio_next(const char *at, const char *begin, struct cpio_entry *e)
{
	size_t name_size;

	assert_memory_equal(at, "070701", 6);
	e->mode = cpio_field(at, 1);
	e->size = cpio_field(at, 6);
	e->major = cpio_field(at, 9);
	e->minor = cpio_field(at, 10);
	name_size = cpio_field(at, 11);
	e->name = at + 110;
	assert_int_equal(strlen(e->name) + 1, name_size);
	e->data = begin + (((size_t)(e->name - begin) + name_size + 3) & ~3ull);
	return begin + (((size_t)(e->data - begin) + e->size + 3) & ~3ull);
}

static void the_initramfs_holds_the_agent(void **state)
{
	struct fixture *f = *state;
	char agent[12345];
	uint64_t gpa, size;
	const char *begin, *at;
	bool console = false, init = false;
	struct cpio_entry e;

	memset(agent, 'A', sizeof(agent));
	write_at(f, 0, agent, sizeof(agent));
	assert_int_equal(initramfs_build(&f->mem, f->fd, LOAD, &gpa, &size, NULL), 0);
	assert_int_equal(gpa % 4096, 0);
	assert_true(gpa + size <= RAM && gpa >= LOAD);
	begin = at = guest_memory_ptr(&f->mem, gpa, size);
	for (;;) {
		at = cpio_next(at, begin, &e);
		if (!strcmp(e.name, "TRAILER!!!"))
			break;
		if (!strcmp(e.name, "dev/console"))
			console = e.mode == 0020600 && e.major == 5 && e.minor == 1;
		if (!strcmp(e.name, "init"))
			init = e.mode == 0100755 && e.size == sizeof(agent) &&
			       !memcmp(e.data, agent, sizeof(agent));
	}
	assert_int_equal(at - begin, size);
	assert_true(console);
	assert_true(init);
}

static void an_initramfs_never_covers_the_kernel(void **state)
{
	struct fixture *f = *state;
	struct error *err = NULL;
	uint64_t gpa, size;

	write_at(f, 0, "agent", 5);
	assert_int_equal(initramfs_build(&f->mem, f->fd, RAM - 0x1000, &gpa, &size, &err), -1);
	error_free(&err);
	assert_int_equal(initramfs_build(&f->mem, f->fd, RAM - 0x1fff, &gpa, &size, &err), -1);
	error_free(&err);
	assert_int_equal(initramfs_build(&f->mem, f->fd, RAM - 0x3000, &gpa, &size, &err), 0);
	assert_true(gpa >= RAM - 0x3000);
	/* Larger than all of RAM. */
	assert_int_equal(ftruncate(f->fd, (off_t)(2 * RAM)), 0);
	assert_int_equal(initramfs_build(&f->mem, f->fd, LOAD, &gpa, &size, &err), -1);
	error_free(&err);
	assert_int_equal(initramfs_build(&f->mem, -1, LOAD, &gpa, &size, &err), -1);
	error_free(&err);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_vmlinux_is_loaded),
		TEST(elf_headers_that_lie_are_refused),
		TEST(what_is_no_kernel_is_refused),
		TEST(a_bzimage_is_loaded),
		TEST(bzimage_headers_that_lie_are_refused),
		TEST(a_library_that_is_none_is_refused),
		TEST(the_initramfs_holds_the_agent),
		TEST(an_initramfs_never_covers_the_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
