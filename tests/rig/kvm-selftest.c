/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is this machine's KVM of use? Builds with any C compiler: cc -O2 -o kvm-selftest kvm-selftest.c
 *
 * Exit code 0 when a microVM would run, 1 when not, 2 when it could not be found out; one line on
 * standard output says why.
 *
 * Theory of operation: /dev/kvm being there says little. There are machines whose KVM runs guest
 * user code on the processor and interprets guest kernel code, a million instructions a second,
 * without the newer ones. So this runs a few instructions as a guest kernel would: at CPL 0, in
 * 64-bit mode, with paging. They count down from LOOPS, use cmpxchg16b, popcnt and int3, and answer
 * on an I/O port. On hardware the count takes under a millisecond of processor time, under an
 * emulated processor that does the job (QEMU's TCG) some tens; an interpreter takes a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef __x86_64__

#define LOOPS 1000000
#define LIMIT_MS 400
#define TRIES 3

/* Guest physical addresses, which are linear addresses too. */
#define PML4 0x1000
#define PDPT 0x2000
#define PAGE_DIR 0x3000
#define IDT 0x4000
#define GDT 0x5000
#define STACK 0x7000
#define CODE 0x8000
#define MEMORY_SIZE 0x10000

#define ANSWER_PORT 0x10
#define ANSWER_FROM_INT3 0x33
#define ANSWER_WRONG 0xee

#define STRING_OF(x) #x
#define STRING(x) STRING_OF(x)

/* Position independent: it is copied to CODE. guest_int3 is where its int3 leads. */
extern const char guest_start[], guest_int3[], guest_end[];
__asm__(".pushsection .rodata\n"
	"guest_start:\n"
	"	movl $" STRING(LOOPS) ", %ecx\n"
	"1:	decl %ecx\n"
	"	jnz 1b\n"
	"	movl $0xf0f01, %eax\n"
	"	popcnt %eax, %eax\n"
	"	cmpl $9, %eax\n"
	"	jne 2f\n"
	"	subq $32, %rsp\n"
	"	movq $5, (%rsp)\n"
	"	movq $6, 8(%rsp)\n"
	"	movl $5, %eax\n"
	"	movl $6, %edx\n"
	"	movl $7, %ebx\n"
	"	movl $8, %ecx\n"
	"	lock cmpxchg16b (%rsp)\n"
	"	jne 2f\n"
	"	cmpq $8, 8(%rsp)\n"
	"	jne 2f\n"
	"	int3\n"
	"2:	movb $" STRING(ANSWER_WRONG) ", %al\n"
	"	outb %al, $" STRING(ANSWER_PORT) "\n"
	"	hlt\n"
	"guest_int3:\n"
	"	movb $" STRING(ANSWER_FROM_INT3) ", %al\n"
	"	outb %al, $" STRING(ANSWER_PORT) "\n"
	"	hlt\n"
	"guest_end:\n"
	".popsection\n");

struct guest {
	int kvm;
	int vm;
	int vcpu;
	uint8_t *memory;
	struct kvm_run *run;
};

static void finish(int code, const char *line)
{
	puts(line);
	exit(code);
}

/* What the kernel refused, and whether that settles the question. */
static void failed(int code, const char *what)
{
	printf("unusable: %s: %s\n", what, strerror(errno));
	exit(code);
}

static void too_slow(int sig)
{
	static const char line[] = "unusable: the guest's few instructions took ten seconds\n";

	(void)sig;
	_exit(write(STDOUT_FILENO, line, sizeof(line) - 1) > 0 ? 1 : 2);
}

static void write64(struct guest *g, unsigned int gpa, uint64_t value)
{
	memcpy(g->memory + gpa, &value, sizeof(value));
}

/* One 2 MiB page mapped to itself, flat segments, an IDT with nothing but int3's gate. */
static void fill_memory(struct guest *g)
{
	uint64_t handler = CODE + (uint64_t)(guest_int3 - guest_start);

	memcpy(g->memory + CODE, guest_start, (size_t)(guest_end - guest_start));
	write64(g, PML4, PDPT | 3);
	write64(g, PDPT, PAGE_DIR | 3);
	write64(g, PAGE_DIR, 0x83);
	write64(g, GDT + 8, 0x00af9b000000ffffULL);
	write64(g, GDT + 16, 0x00cf93000000ffffULL);
	/* present 64-bit interrupt gate, selector 8 */
	write64(g, IDT + 3 * 16, (handler & 0xffff) | 8 << 16 | 0x8e00ULL << 32);
}

static void create(struct guest *g)
{
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY_SIZE };
	int size;

	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g->kvm < 0)
		failed(errno == EACCES || errno == EPERM ? 2 : 1, "/dev/kvm");
	if (ioctl(g->kvm, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		finish(1, "unusable: /dev/kvm speaks another version");
	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		failed(1, "KVM_CREATE_VM");
	g->memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	if (g->memory == MAP_FAILED)
		failed(2, "mmap");
	region.userspace_addr = (uintptr_t)g->memory;
	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region))
		failed(1, "KVM_SET_USER_MEMORY_REGION");
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, 0);
	if (g->vcpu < 0)
		failed(1, "KVM_CREATE_VCPU");
	size = ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g->run = size < (int)sizeof(*g->run) ? MAP_FAILED :
		 mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	if (g->run == MAP_FAILED)
		failed(1, "KVM_GET_VCPU_MMAP_SIZE");
}

/* The guest sees what this processor has: KVM is free to refuse an instruction it does not list. */
static void set_cpuid(struct guest *g)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		failed(2, "calloc");
	cpuid->nent = ENTRIES;
	if (ioctl(g->kvm, KVM_GET_SUPPORTED_CPUID, cpuid))
		failed(1, "KVM_GET_SUPPORTED_CPUID");
	if (ioctl(g->vcpu, KVM_SET_CPUID2, cpuid))
		failed(1, "KVM_SET_CPUID2");
	free(cpuid);
}

static void set_registers(struct guest *g)
{
	struct kvm_segment data = {
		.limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1,
	};
	struct kvm_segment code = {
		.limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .l = 1, .s = 1, .g = 1,
	};
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2 };
	struct kvm_sregs sregs;

	if (ioctl(g->vcpu, KVM_GET_SREGS, &sregs))
		failed(1, "KVM_GET_SREGS");
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	sregs.gdt.base = GDT;
	sregs.gdt.limit = 3 * 8 - 1;
	sregs.idt.base = IDT;
	sregs.idt.limit = 4 * 16 - 1;
	sregs.cr0 = 0x80000033; /* PG NE ET MP PE */
	sregs.cr3 = PML4;
	sregs.cr4 = 0x620;   /* OSXMMEXCPT OSFXSR PAE */
	sregs.efer = 0x500; /* LMA LME */
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs))
		failed(1, "KVM_SET_SREGS");
	if (ioctl(g->vcpu, KVM_SET_REGS, &regs))
		failed(1, "KVM_SET_REGS");
}

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Runs the guest once; processor time in ms. */
static double run_once(struct guest *g)
{
	double start;
	uint8_t answer;

	set_registers(g);
	start = cpu_ms();
	while (ioctl(g->vcpu, KVM_RUN, 0)) {
		if (errno != EINTR)
			failed(1, "KVM_RUN");
	}
	if (g->run->exit_reason != KVM_EXIT_IO || g->run->io.port != ANSWER_PORT) {
		printf("unusable: a few instructions at CPL 0 end in KVM exit %u, not in I/O\n",
		       g->run->exit_reason);
		exit(1);
	}
	answer = *((uint8_t *)g->run + g->run->io.data_offset);
	if (answer == ANSWER_WRONG)
		finish(1, "unusable: KVM computes wrong results at CPL 0");
	if (answer != ANSWER_FROM_INT3)
		finish(1, "unusable: KVM's guest answers something that it was not told to");
	return cpu_ms() - start;
}

int main(void)
{
	double best = 0, ms;
	struct guest g;
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGALRM, too_slow);
	alarm(10);
	create(&g);
	fill_memory(&g);
	set_cpuid(&g);
	for (i = 0; i < TRIES; i++) {
		ms = run_once(&g);
		if (!i || ms < best)
			best = ms;
		if (best <= LIMIT_MS)
			break;
	}
	if (best > LIMIT_MS) {
		printf("unusable: %d loops at CPL 0 take %.0f ms: this KVM interprets kernel code\n",
		       LOOPS, best);
		return 1;
	}
	printf("usable: %d loops at CPL 0 take %.1f ms\n", LOOPS, best);
	return 0;
}

#else

int main(void)
{
	puts("unusable: no self-test for this processor yet");
	return 2;
}

#endif
