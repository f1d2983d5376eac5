/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_FAKE_RENDERER_H
#define TESTS_UNIT_FAKE_RENDERER_H

/*
 * vmm/workers/gpu_renderer.h without virglrenderer: writes down what it is asked, a line each, gives
 * blobs that are memory files, and has fences pass on a thread of its own, in the order of their
 * rings. What the worker must not do to the library ends the process.
 */

#include <stdint.h>
#include <stdio.h>

/* A submission that begins with it fails, and a blob of that object. */
#define FAKE_RENDERER_FAILS 0xdeadbeefu
/* A blob of that object: there is no memory for it. */
#define FAKE_RENDERER_NO_MEMORY 0xfeedu

/** fake_renderer_init() - @log: gets the lines; @retired: as gpu_renderer_init() has it */
void fake_renderer_init(FILE *log, void (*retired)(void *data, uint32_t ctx, uint32_t ring,
						   uint64_t fence), void *data);
/** fake_renderer_speak() - which version of Venus's wire format it says it has; 1 at first */
void fake_renderer_speak(uint32_t wire_format);
/** fake_renderer_finish() - its thread has ended, the log is whole, and nothing was left behind */
void fake_renderer_finish(void);

#endif
