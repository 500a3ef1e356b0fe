"use strict";

/* Level and width in HU; the first is shown at the start, as in reports. The liver's is for the portal-venous phase. */
const WINDOWS_HU = { abdomen: [40, 400], liver: [90, 150], lung: [-600, 1500], bone: [400, 1800] };
const OPACITY = 0.5;
/* niivue's names for what it draws: right and front on the left, planes in a square whose fourth quarter is the surfaces', a click
   that moves the crosshair. */
const GRID = 2;
const OPTIONS = {
  isRadiologicalConvention: true, sagittalNoseLeft: true, multiplanarShowRender: 0, multiplanarLayout: GRID, multiplanarPadPixels: 6,
  dragAndDropEnabled: false,
  backColor: [0, 0, 0, 1], crosshairColor: [0.4, 0.8, 1, 0.7], logLevel: "error", loadingText: "",
};

/* How thick an outline is, in pixels of the screen. */
const OUTLINE = 1.5;
/* What niivue's shader of the planes does with the labels, and what is done instead to show their outlines: a label stays where
   another one, or none, is near on the screen. Hidden labels are black. */
const FILLED = "ocolor = texture(overlay, texPos);", MAIN = "void main()";
const OUTLINED = "ocolor = outlined(texPos);";
const OUTLINE_FUNCTIONS = `
vec4 labelAt(vec3 place) {
  ivec3 size = textureSize(overlay, 0);
  vec4 label = texelFetch(overlay, clamp(ivec3(place * vec3(size)), ivec3(0), size - 1), 0);
  return label.a > 0.0 && dot(label.rgb, vec3(1.0)) > 0.0 ? label : vec4(0.0);
}
vec4 outlined(vec3 place) {
  vec4 here = labelAt(place);
  vec3 right = dFdx(place) * ${OUTLINE.toFixed(1)}, up = dFdy(place) * ${OUTLINE.toFixed(1)};
  vec3 away = abs(labelAt(place + right).rgb - here.rgb) + abs(labelAt(place - right).rgb - here.rgb)
    + abs(labelAt(place + up).rgb - here.rgb) + abs(labelAt(place - up).rgb - here.rgb);
  return here.a > 0.0 && dot(away, vec3(1.0)) > 0.01 ? vec4(here.rgb, 1.0) : vec4(0.0);
}
`;

const byId = (id) => document.getElementById(id);
const hidden = new Set();
let surface = null;

start().catch((error) => tell(error.message || String(error)));

async function start() {
  const scene = await (await fetched("scene.json")).json();
  document.title = byId("title").textContent = `${scene.ct} · ${scene.labels}`;
  const view = new niivue.Niivue({ ...OPTIONS, onLocationChange: (place) => describe(place, scene.organs) });
  if (!byId("canvas").getContext("webgl2")) throw new Error("This browser has no WebGL 2, which the viewer draws with.");
  await view.attachToCanvas(byId("canvas"));
  const [ct, labels] = await Promise.all([volume("ct", scene.ct), volume("labels", scene.labels)]);
  renumber(labels, scene.organs);
  view.addVolume(ct);
  view.addVolume(labels);
  colour(view, labels, scene.organs);
  view.setOpacity(1, OPACITY);
  addWindows(view, ct);
  addOrgans(view, labels, scene.organs);
  byId("opacity").value = OPACITY;
  byId("opacity").addEventListener("input", (event) => view.setOpacity(1, Number(event.target.value)));
  byId("outlines").addEventListener("change", (event) => {
    view.setCustomSliceShader(event.target.checked ? outlineShader(view) : "");
    colour(view, labels, scene.organs);
  });
  await addSurface(view, scene.organs);
  const largest = scene.organs.reduce((a, b) => (b.volume_ml > a.volume_ml ? b : a), { volume_ml: 0 });
  if (largest.place_ras_mm) goTo(view, largest.place_ras_mm);
  document.body.dataset.state = "ready";
}

/** A resource of the server, or an Error with the server's own words. */
async function fetched(name) {
  const response = await fetch(name).catch(() => { throw new Error("flare-trt view does not answer any more; start it again."); });
  if (!response.ok) throw new Error(await response.text());
  return response;
}

async function volume(resource, name) {
  const buffer = await (await fetched(resource)).arrayBuffer();
  try {
    return await niivue.NVImage.loadFromUrl({ url: buffer, name });
  } catch (error) {
    throw new Error(`${name} cannot be shown: ${error.message || error}`);
  }
}

/** Number the labels that occur from 1 on, as `number` of each organ: niivue tints the whole scan where values have gaps. */
function renumber(labels, organs) {
  organs.filter((organ) => organ.place_ras_mm).forEach((organ, at) => { organ.number = at + 1; });
  const numbers = new Map(organs.map((organ) => [organ.value, organ.number || 0]));
  labels.img = Uint8Array.from(labels.img, (value) => numbers.get(value) || 0);
  [labels.hdr.datatypeCode, labels.hdr.numBitsPerVoxel] = [2, 8]; // uint8
  labels.calMinMax();
}

/** Give each label its colour, and none to those that are hidden and to the background. */
function colour(view, labels, organs) {
  const there = organs.filter((organ) => organ.number), outlines = byId("outlines").checked;
  const shade = (organ, at) => (outlines && hidden.has(organ.value) ? 0 : parseInt(organ.colour.slice(at, at + 2), 16));
  const part = (at) => [0, ...there.map((organ) => shade(organ, at))];
  labels.setColormapLabel({
    R: part(1), G: part(3), B: part(5), A: [0, ...there.map((organ) => (hidden.has(organ.value) ? 0 : 255))],
    I: [0, ...there.map((organ) => organ.number)], labels: ["", ...there.map((organ) => organ.name)],
  });
  view.updateGLVolume();
  if (surface) surface.hide(hidden);
}

/** niivue's own shader of the planes, but for the labels. */
function outlineShader(view) {
  const shaders = view.gl.getAttachedShaders(view.sliceMMShader.program).map((shader) => view.gl.getShaderSource(shader));
  const text = shaders.find((source) => source.includes(FILLED));
  if (!text) throw new Error("Outlines cannot be drawn with this version of niivue.");
  return text.replace(MAIN, OUTLINE_FUNCTIONS + MAIN).replace(FILLED, OUTLINED);
}

/** The surfaces in the quarter that the planes leave free. */
async function addSurface(view, organs) {
  const canvas = byId("surface"), names = organs.filter((organ) => organ.surface[1]).map((organ) => organ.name);
  canvas.hidden = !names.length;
  if (canvas.hidden) return;
  canvas.setAttribute("aria-label", `Surfaces in 3-D, seen from the front: ${names.join(", ")}`);
  surface = new SurfaceView(canvas, organs, await (await fetched("surfaces")).arrayBuffer());
  const place = () => {
    view.drawScene();
    surface.place(freeQuarter(view));
  };
  new ResizeObserver(() => requestAnimationFrame(place)).observe(byId("stage"));
  place();
}

/** Left, top, width and height, in CSS pixels: right of the axial plane, under the sagittal one. */
function freeQuarter(view) {
  const [AXIAL, SAGITTAL] = [0, 2], canvas = byId("canvas"), perPixel = canvas.clientWidth / canvas.width;
  const [axial, sagittal] = [AXIAL, SAGITTAL].map((kind) =>
    view.screenSlices.find((slice) => slice.axCorSag === kind).leftTopWidthHeight.map((value) => value * perPixel));
  return [sagittal[0], axial[1], canvas.clientWidth - sagittal[0] - axial[0], axial[3]];
}

function addWindows(view, ct) {
  for (const [name, [level, width]] of Object.entries(WINDOWS_HU)) {
    const choice = Object.assign(document.createElement("input"), { type: "radio", name: "window", value: name });
    const choose = () => {
      [ct.cal_min, ct.cal_max] = [level - width / 2, level + width / 2];
      view.updateGLVolume();
    };
    choice.addEventListener("change", choose);
    const label = document.createElement("label");
    label.append(choice, name);
    label.title = `${level} / ${width} HU`;
    byId("windows").append(label);
    if (name === Object.keys(WINDOWS_HU)[0]) {
      choice.checked = true;
      choose();
    }
  }
}

function addOrgans(view, labels, organs) {
  const boxes = organs.map((organ) => {
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true, disabled: !organ.place_ras_mm });
    box.setAttribute("aria-label", `Show ${organ.name}`);
    box.addEventListener("change", () => {
      hidden[box.checked ? "delete" : "add"](organ.value);
      colour(view, labels, organs);
    });
    byId("organs").append(row(view, organ, box));
    return box;
  });
  byId("all").addEventListener("change", (event) => {
    hidden.clear();
    boxes.forEach((box, at) => {
      box.checked = event.target.checked;
      if (!box.checked) hidden.add(organs[at].value);
    });
    colour(view, labels, organs);
  });
}

function row(view, organ, box) {
  const line = document.createElement("tr");
  const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
  swatch.style.background = organ.colour;
  const button = Object.assign(document.createElement("button"), { type: "button", disabled: !organ.place_ras_mm });
  button.append(swatch, organ.name);
  button.addEventListener("click", () => goTo(view, organ.place_ras_mm));
  line.dataset.value = organ.value;
  const volume = organ.place_ras_mm ? organ.volume_ml.toFixed(1) : organ.looked_for ? "not found" : "not looked for";
  for (const content of [box, button, volume, organ.mean_hu === null ? "" : String(Math.round(organ.mean_hu))]) {
    const cell = document.createElement("td");
    cell.append(content);
    line.append(cell);
  }
  return line;
}

function goTo(view, place_ras_mm) {
  view.scene.crosshairPos = view.mm2frac(place_ras_mm);
  view.createOnLocationChange();
  view.drawScene();
}

/** The footer: where the crosshair is (towards right, anterior and superior), the HU there, and the label. */
function describe(place, organs) {
  const ras_mm = Array.from(place.mm).slice(0, 3).map((mm) => mm.toFixed(1));
  const [ct, label] = place.values.map((found) => found.value);
  const organ = organs.find((candidate) => candidate.number && candidate.number === Math.round(label));
  byId("place").textContent = [`RAS ${ras_mm.join(", ")} mm`, `${Math.round(ct)} HU`, organ ? organ.name : "no label"].join(" · ");
}

function tell(words) {
  byId("problem").textContent = words;
  byId("problem").hidden = false;
  byId("place").textContent = "";
  document.body.dataset.state = "failed";
}
