#version 450
// SPDX-License-Identifier: GPL-2.0-or-later
// A step that gives another result when it is left out, done twice, or done in another order.
layout(local_size_x = 64) in;
layout(std430, binding = 0) buffer Values { uint values[]; };
layout(push_constant) uniform Push { uint count; uint number; };

void main()
{
	const uint i = gl_GlobalInvocationID.x;

	if (i < count)
		values[i] = values[i] * 1664525u + i + number;
}
