// SPDX-License-Identifier: GPL-2.0-or-later
#version 450
// Triangles in a spiral, each its own colour and depth; no vertex buffer.
layout(location = 0) out vec3 colour;

void main()
{
	const int triangle = gl_VertexIndex / 3, corner = gl_VertexIndex % 3;
	const float turn = float(triangle) * 0.55, angle = turn + float(corner) * 2.0943951;
	const float radius = 0.05 + 0.02 * float(triangle % 7);
	const float far = float(triangle) * 0.02;

	gl_Position = vec4(cos(turn) * far + cos(angle) * radius, sin(turn) * far + sin(angle) * radius,
			   fract(float(triangle) * 0.37), 1.0);
	colour = vec3(corner == 0, corner == 1, corner == 2) * 0.6 +
		 vec3(fract(float(triangle) * 0.21), fract(float(triangle) * 0.43), 0.2) * 0.4;
}
