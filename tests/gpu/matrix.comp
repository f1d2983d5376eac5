// SPDX-License-Identifier: GPL-2.0-or-later
#version 450
// c = a * b, n by n, by tiles of 16 by 16; n is a multiple of 16.
layout(local_size_x = 16, local_size_y = 16) in;
layout(std430, binding = 0) readonly buffer A { float a[]; };
layout(std430, binding = 1) readonly buffer B { float b[]; };
layout(std430, binding = 2) buffer C { float c[]; };
layout(push_constant) uniform Push { uint n; };

shared float tile_a[16][16];
shared float tile_b[16][16];

void main()
{
	const uint row = gl_GlobalInvocationID.y, column = gl_GlobalInvocationID.x;
	const uint y = gl_LocalInvocationID.y, x = gl_LocalInvocationID.x;
	float sum = 0.0;

	for (uint t = 0; t < n; t += 16) {
		tile_a[y][x] = a[row * n + t + x];
		tile_b[y][x] = b[(t + y) * n + column];
		barrier();
		for (uint k = 0; k < 16; k++)
			sum += tile_a[y][k] * tile_b[k][x];
		barrier();
	}
	c[row * n + column] = sum;
}
