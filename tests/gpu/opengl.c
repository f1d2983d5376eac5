/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Draws a triangle with OpenGL ES into a picture, without a window, and checks what is read back.
 *
 * Usage: opengl
 *   For OpenGL over Vulkan, with MESA_LOADER_DRIVER_OVERRIDE=zink in the environment.
 *
 * Prints "ok" and the renderer's name. EGL and OpenGL are loaded when it runs, so that it can be built
 * where they are not installed.
 */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 256
#define EGL_PLATFORM_SURFACELESS_MESA 0x31dd
#define EGL_OPENGL_ES_API 0x30a0
#define EGL_NONE 0x3038
#define EGL_RENDERABLE_TYPE 0x3040
#define EGL_OPENGL_ES2_BIT 0x0004
#define EGL_SURFACE_TYPE 0x3033
#define EGL_CONTEXT_CLIENT_VERSION 0x3098
#define GL_RENDERER 0x1f01
#define GL_FRAMEBUFFER 0x8d40
#define GL_RENDERBUFFER 0x8d41
#define GL_RGBA8 0x8058
#define GL_RGBA 0x1908
#define GL_UNSIGNED_BYTE 0x1401
#define GL_COLOR_ATTACHMENT0 0x8ce0
#define GL_FRAMEBUFFER_COMPLETE 0x8cd5
#define GL_VERTEX_SHADER 0x8b31
#define GL_FRAGMENT_SHADER 0x8b30
#define GL_COMPILE_STATUS 0x8b81
#define GL_LINK_STATUS 0x8b82
#define GL_COLOR_BUFFER_BIT 0x4000
#define GL_FLOAT 0x1406
#define GL_TRIANGLES 0x0004

typedef void *handle;

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "opengl: %s\n", what);
	exit(1);
}

static void *library(const char *name)
{
	void *lib = dlopen(name, RTLD_NOW | RTLD_GLOBAL);

	if (!lib)
		fail(dlerror());
	return lib;
}

static void *symbol(void *lib, const char *name)
{
	void *fn = dlsym(lib, name);

	if (!fn)
		fail(name);
	return fn;
}

/* FN(int, name, (arguments)) declares a pointer "name" and fills it in. */
#define FN(lib, type, name, arguments) type(*name) arguments = (type(*) arguments)symbol(lib, #name)

static void open_context(void)
{
	static const int config_wanted[] = { EGL_SURFACE_TYPE, 0, EGL_RENDERABLE_TYPE,
					     EGL_OPENGL_ES2_BIT, EGL_NONE };
	static const int context_wanted[] = { EGL_CONTEXT_CLIENT_VERSION, 2, EGL_NONE };
	void *egl = library("libEGL.so.1");
	FN(egl, handle, eglGetPlatformDisplay, (int, void *, const intptr_t *));
	FN(egl, unsigned int, eglInitialize, (handle, int *, int *));
	FN(egl, unsigned int, eglBindAPI, (unsigned int));
	FN(egl, unsigned int, eglChooseConfig, (handle, const int *, handle *, int, int *));
	FN(egl, handle, eglCreateContext, (handle, handle, handle, const int *));
	FN(egl, unsigned int, eglMakeCurrent, (handle, handle, handle, handle));
	handle display = eglGetPlatformDisplay(EGL_PLATFORM_SURFACELESS_MESA, NULL, NULL);
	handle config = NULL, context;
	int count = 0;

	if (!display || !eglInitialize(display, NULL, NULL))
		fail("no EGL without a window");
	if (!eglBindAPI(EGL_OPENGL_ES_API) ||
	    !eglChooseConfig(display, config_wanted, &config, 1, &count) || count != 1)
		fail("no configuration");
	context = eglCreateContext(display, config, NULL, context_wanted);
	if (!context || !eglMakeCurrent(display, NULL, NULL, context))
		fail("no context");
}

static unsigned int compile(void *gl, unsigned int type, const char *source)
{
	FN(gl, unsigned int, glCreateShader, (unsigned int));
	FN(gl, void, glShaderSource, (unsigned int, int, const char *const *, const int *));
	FN(gl, void, glCompileShader, (unsigned int));
	FN(gl, void, glGetShaderiv, (unsigned int, unsigned int, int *));
	unsigned int shader = glCreateShader(type);
	int done = 0;

	glShaderSource(shader, 1, &source, NULL);
	glCompileShader(shader);
	glGetShaderiv(shader, GL_COMPILE_STATUS, &done);
	if (!done)
		fail("a shader does not compile");
	return shader;
}

static void use_program(void *gl)
{
	FN(gl, unsigned int, glCreateProgram, (void));
	FN(gl, void, glAttachShader, (unsigned int, unsigned int));
	FN(gl, void, glBindAttribLocation, (unsigned int, unsigned int, const char *));
	FN(gl, void, glLinkProgram, (unsigned int));
	FN(gl, void, glGetProgramiv, (unsigned int, unsigned int, int *));
	FN(gl, void, glUseProgram, (unsigned int));
	unsigned int program = glCreateProgram();
	int done = 0;

	glAttachShader(program, compile(gl, GL_VERTEX_SHADER,
		"attribute vec2 at; varying vec2 where;"
		"void main() { where = at; gl_Position = vec4(at, 0.0, 1.0); }"));
	glAttachShader(program, compile(gl, GL_FRAGMENT_SHADER,
		"precision mediump float; varying vec2 where;"
		"void main() { gl_FragColor = vec4(0.0, 1.0, step(0.0, where.y), 1.0); }"));
	glBindAttribLocation(program, 0, "at");
	glLinkProgram(program);
	glGetProgramiv(program, GL_LINK_STATUS, &done);
	if (!done)
		fail("the program does not link");
	glUseProgram(program);
}

static void draw(void *gl, uint8_t *pixels)
{
	/* The lower left half. */
	static const float corners[] = { -1, -1, 1, -1, -1, 1 };
	FN(gl, void, glGenFramebuffers, (int, unsigned int *));
	FN(gl, void, glBindFramebuffer, (unsigned int, unsigned int));
	FN(gl, void, glGenRenderbuffers, (int, unsigned int *));
	FN(gl, void, glBindRenderbuffer, (unsigned int, unsigned int));
	FN(gl, void, glRenderbufferStorage, (unsigned int, unsigned int, int, int));
	FN(gl, void, glFramebufferRenderbuffer, (unsigned int, unsigned int, unsigned int, unsigned int));
	FN(gl, unsigned int, glCheckFramebufferStatus, (unsigned int));
	FN(gl, void, glViewport, (int, int, int, int));
	FN(gl, void, glClearColor, (float, float, float, float));
	FN(gl, void, glClear, (unsigned int));
	FN(gl, void, glVertexAttribPointer, (unsigned int, int, unsigned int, uint8_t, int, const void *));
	FN(gl, void, glEnableVertexAttribArray, (unsigned int));
	FN(gl, void, glDrawArrays, (unsigned int, int, int));
	FN(gl, void, glReadPixels, (int, int, int, int, unsigned int, unsigned int, void *));
	FN(gl, unsigned int, glGetError, (void));
	unsigned int frame, image;

	glGenFramebuffers(1, &frame);
	glBindFramebuffer(GL_FRAMEBUFFER, frame);
	glGenRenderbuffers(1, &image);
	glBindRenderbuffer(GL_RENDERBUFFER, image);
	glRenderbufferStorage(GL_RENDERBUFFER, GL_RGBA8, SIZE, SIZE);
	glFramebufferRenderbuffer(GL_FRAMEBUFFER, GL_COLOR_ATTACHMENT0, GL_RENDERBUFFER, image);
	if (glCheckFramebufferStatus(GL_FRAMEBUFFER) != GL_FRAMEBUFFER_COMPLETE)
		fail("the frame buffer is not complete");
	glViewport(0, 0, SIZE, SIZE);
	glClearColor(1, 0, 0, 1);
	glClear(GL_COLOR_BUFFER_BIT);
	use_program(gl);
	glVertexAttribPointer(0, 2, GL_FLOAT, 0, 0, corners);
	glEnableVertexAttribArray(0);
	glDrawArrays(GL_TRIANGLES, 0, 3);
	glReadPixels(0, 0, SIZE, SIZE, GL_RGBA, GL_UNSIGNED_BYTE, pixels);
	if (glGetError())
		fail("an OpenGL error");
}

/* Below the diagonal green, and blue with it in the upper half; above it red. */
static void check(const uint8_t *pixels)
{
	for (int y = 0; y < SIZE; y++) {
		for (int x = 0; x < SIZE; x++) {
			const uint8_t *p = pixels + 4 * (y * SIZE + x);
			const uint8_t inside[4] = { 0, 255, y < SIZE / 2 ? 0 : 255, 255 };
			const uint8_t outside[4] = { 255, 0, 0, 255 };

			if (x + y == SIZE - 1) /* on it */
				continue;
			if (memcmp(p, x + y < SIZE - 1 ? inside : outside, 4)) {
				fprintf(stderr, "opengl: pixel %d, %d is %d %d %d %d\n", x, y, p[0],
					p[1], p[2], p[3]);
				exit(1);
			}
		}
	}
}

int main(void)
{
	static uint8_t pixels[4 * SIZE * SIZE];
	const char *renderer;
	void *gl;

	open_context();
	gl = library("libGLESv2.so.2");
	FN(gl, const char *, glGetString, (unsigned int));
	renderer = glGetString(GL_RENDERER);
	draw(gl, pixels);
	check(pixels);
	printf("ok %s\n", renderer ? renderer : "?");
	return 0;
}
