#version 460
// Dear ImGui's vertices: positions in pixels of the canvas.
layout(location = 0) in vec2 position;
layout(location = 1) in vec2 uv;
layout(location = 2) in vec4 colour;
layout(push_constant) uniform Canvas { vec2 size; } canvas;

layout(location = 0) out vec2 out_uv;
layout(location = 1) out vec4 out_colour;

void main() {
    out_uv = uv;
    out_colour = colour;
    gl_Position = vec4(position / canvas.size * 2 - 1, 0, 1);
}
