// SPDX-License-Identifier: GPL-2.0-or-later
#version 450
layout(location = 0) in vec3 colour;
layout(location = 0) out vec4 pixel;

void main()
{
	pixel = vec4(colour * (0.75 + 0.25 * sin(gl_FragCoord.x * 0.3) * sin(gl_FragCoord.y * 0.3)), 1.0);
}
