// SPDX-License-Identifier: GPL-2.0-or-later
#version 450
// One more: the smallest dispatch whose having run can be seen.
layout(local_size_x = 1) in;
layout(std430, binding = 2) buffer C { uint count; };

void main()
{
	count++;
}
