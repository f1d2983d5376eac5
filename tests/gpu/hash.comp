#version 450
// SPDX-License-Identifier: GPL-2.0-or-later
// result[i] = hash(source[i], i) for one range of elements
layout(local_size_x = 256) in;
layout(std430, set = 0, binding = 0) readonly buffer Source { uint source[]; };
layout(std430, set = 0, binding = 1) writeonly buffer Result { uint result[]; };
layout(push_constant) uniform Range { uint first; uint count; };

uint hash(uint x, uint i)
{
	x ^= i * 0x9e3779b9u;
	x ^= x >> 16;
	x *= 0x7feb352du;
	x ^= x >> 15;
	return x;
}

void main()
{
	uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;

	for (uint n = gl_GlobalInvocationID.x; n < count; n += stride)
		result[first + n] = hash(source[first + n], first + n);
}
