#version 450
// SPDX-License-Identifier: GPL-2.0-or-later
// sums[w] = the sum, modulo 2^32, of what workgroup w looked at in one range of elements
layout(local_size_x = 256) in;
layout(std430, set = 0, binding = 0) buffer Sums { uint sums[]; };
layout(std430, set = 0, binding = 1) readonly buffer Values { uint values[]; };
layout(push_constant) uniform Range { uint first; uint count; };
shared uint partial[256];

void main()
{
	uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
	uint me = gl_LocalInvocationID.x;
	uint sum = 0;

	for (uint n = gl_GlobalInvocationID.x; n < count; n += stride)
		sum += values[first + n];
	partial[me] = sum;
	barrier();
	for (uint half_size = 128; half_size > 0; half_size /= 2) {
		if (me < half_size)
			partial[me] += partial[me + half_size];
		barrier();
	}
	if (me == 0)
		sums[gl_WorkGroupID.x] += partial[0];
}
