"use strict";

/* The organs' surfaces in 3-D, drawn with WebGL 2: seen from the front, turned by dragging and by arrow keys. */
const TURN_PER_PIXEL = 0.01, TURN_PER_KEY = Math.PI / 12, ZOOM_PER_STEP = 1.1;
const BYTES_PER_VERTEX = 24, BYTES_PER_TRIANGLE = 12;

const VERTEX_SHADER = `#version 300 es
uniform mat3 turn;
uniform vec3 centre;
uniform vec2 scale;
uniform float depth;
layout(location = 0) in vec3 place;
layout(location = 1) in vec3 normal;
out vec3 facing;
void main() {
  vec3 seen = turn * (place - centre);
  facing = turn * normal;
  gl_Position = vec4(seen.xy * scale, -seen.z * depth, 1.0);
}`;

/* A lamp beside the eye, and some light from everywhere; both sides of a surface are lit. */
const FRAGMENT_SHADER = `#version 300 es
precision highp float;
uniform vec3 colour;
in vec3 facing;
out vec4 drawn;
void main() {
  float light = 0.25 + 0.75 * abs(dot(normalize(facing), normalize(vec3(-0.3, 0.4, 1.0))));
  drawn = vec4(colour * light, 1.0);
}`;

class SurfaceView {
  /** `organs` with `surface` [vertices, triangles] and `colour`; `buffer` holds them one after the other. */
  constructor(canvas, organs, buffer) {
    this.canvas = canvas;
    this.gl = canvas.getContext("webgl2");
    if (!this.gl) throw new Error("This browser has no WebGL 2, which the viewer draws with.");
    this.program = this.linked();
    this.places = (name) => this.gl.getUniformLocation(this.program, name);
    this.meshes = this.loaded(organs, buffer);
    this.hidden = new Set();
    this.front();
    this.listen();
  }

  linked() {
    const gl = this.gl, program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX_SHADER], [gl.FRAGMENT_SHADER, FRAGMENT_SHADER]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`3-D view: ${gl.getProgramInfoLog(program)}`);
    return program;
  }

  /** Vertex arrays of each organ on the GPU; sets the middle and the reach of all in mm. */
  loaded(organs, buffer) {
    const gl = this.gl, low = [Infinity, Infinity, Infinity], high = [-Infinity, -Infinity, -Infinity];
    let at = 0;
    const meshes = organs.filter((organ) => organ.surface[1]).map((organ) => {
      const [vertices, triangles] = organ.surface;
      const numbers = new Float32Array(buffer, at, vertices * 6);
      const corners = new Uint32Array(buffer, at + vertices * BYTES_PER_VERTEX, triangles * 3);
      at += vertices * BYTES_PER_VERTEX + triangles * BYTES_PER_TRIANGLE;
      for (let vertex = 0; vertex < vertices; vertex++) {
        for (let axis = 0; axis < 3; axis++) {
          low[axis] = Math.min(low[axis], numbers[vertex * 6 + axis]);
          high[axis] = Math.max(high[axis], numbers[vertex * 6 + axis]);
        }
      }
      const array = gl.createVertexArray();
      gl.bindVertexArray(array);
      gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ARRAY_BUFFER, numbers, gl.STATIC_DRAW);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, corners, gl.STATIC_DRAW);
      for (const place of [0, 1]) {
        gl.enableVertexAttribArray(place);
        gl.vertexAttribPointer(place, 3, gl.FLOAT, false, BYTES_PER_VERTEX, place * 12);
      }
      const colour = [1, 3, 5].map((part) => parseInt(organ.colour.slice(part, part + 2), 16) / 255);
      return { value: organ.value, array, count: triangles * 3, colour };
    });
    this.centre = low.map((mm, axis) => (meshes.length ? (mm + high[axis]) / 2 : 0));
    this.reach = meshes.length ? Math.hypot(...low.map((mm, axis) => high[axis] - mm)) / 2 : 1;
    return meshes;
  }

  front() {
    [this.around, this.over, this.zoom] = [0, 0, 1];
    this.draw();
  }

  turn(around, over) {
    this.around += around;
    this.over = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, this.over + over));
    this.draw();
  }

  zoomBy(factor) {
    this.zoom = Math.max(0.5, Math.min(12, this.zoom * factor));
    this.draw();
  }

  listen() {
    const canvas = this.canvas;
    canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) this.turn(event.movementX * TURN_PER_PIXEL, event.movementY * TURN_PER_PIXEL);
    });
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? ZOOM_PER_STEP : 1 / ZOOM_PER_STEP);
    }, { passive: false });
    canvas.addEventListener("dblclick", () => this.front());
    const keys = {
      ArrowLeft: () => this.turn(-TURN_PER_KEY, 0), ArrowRight: () => this.turn(TURN_PER_KEY, 0),
      ArrowUp: () => this.turn(0, -TURN_PER_KEY), ArrowDown: () => this.turn(0, TURN_PER_KEY),
      "+": () => this.zoomBy(ZOOM_PER_STEP), "-": () => this.zoomBy(1 / ZOOM_PER_STEP), 0: () => this.front(),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key]) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  /** Put the canvas at [left, top, width, height] of its parent, in CSS pixels. */
  place([left, top, width, height]) {
    Object.assign(this.canvas.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
    this.canvas.width = Math.max(1, Math.round(width * devicePixelRatio));
    this.canvas.height = Math.max(1, Math.round(height * devicePixelRatio));
    this.draw();
  }

  hide(values) {
    this.hidden = values;
    this.draw();
  }

  /** Screen axes in RAS, as columns of a matrix: at first the patient's right is on the left, the head on top, the front ahead. */
  matrix() {
    const [c, s, d, t] = [Math.cos(this.around), Math.sin(this.around), Math.cos(this.over), Math.sin(this.over)];
    return [-c, -s * t, s * d, s, -c * t, c * d, 0, d, t];
  }

  draw() {
    const gl = this.gl, { width, height } = this.canvas;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    gl.enable(gl.DEPTH_TEST);
    gl.useProgram(this.program);
    const perMm = this.zoom / this.reach, side = Math.min(width, height);
    gl.uniformMatrix3fv(this.places("turn"), false, this.matrix());
    gl.uniform3fv(this.places("centre"), this.centre);
    gl.uniform2f(this.places("scale"), (perMm * side) / width, (perMm * side) / height);
    gl.uniform1f(this.places("depth"), 0.9 / this.reach);
    for (const mesh of this.meshes) {
      if (this.hidden.has(mesh.value)) continue;
      gl.uniform3fv(this.places("colour"), mesh.colour);
      gl.bindVertexArray(mesh.array);
      gl.drawElements(gl.TRIANGLES, mesh.count, gl.UNSIGNED_INT, 0);
    }
  }
}
