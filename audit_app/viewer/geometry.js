// Boxes and views: pure functions, no DOM. A box is [x_min, y_min, x_max, y_max] in whole original
// pixels, half-open, origin top-left. A view maps picture to screen: screen = picture * scale + {x, y}.

export const HANDLES = ['nw', 'n', 'ne', 'e', 'se', 's', 'sw', 'w'];
export const SMALLEST_BOX_PX = 2;
const SCALE_LIMITS = [0.02, 40];

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// floor(v + 0.5) as the server rounds: halves go up, so neighbouring boxes stay neighbours.
export const roundHalfUp = (value) => Math.floor(value + 0.5);

export function fitView(viewport, picture) {
  const scale = Math.min(viewport.width / picture.width, viewport.height / picture.height);
  return centredView(viewport, picture, scale);
}

export function centredView(viewport, picture, scale) {
  return {
    scale,
    x: (viewport.width - picture.width * scale) / 2,
    y: (viewport.height - picture.height * scale) / 2,
  };
}

export function zoomAt(view, point, factor) {
  const scale = clamp(view.scale * factor, ...SCALE_LIMITS);
  const ratio = scale / view.scale;
  return { scale, x: point.x - (point.x - view.x) * ratio, y: point.y - (point.y - view.y) * ratio };
}

// A view from which at least a strip of the picture can be seen, so that it cannot be lost.
export function keptInSight(view, viewport, picture, strip = 60) {
  const low = (extent) => Math.min(strip, extent * view.scale) - extent * view.scale;
  const high = (extent, room) => room - Math.min(strip, extent * view.scale);
  return {
    scale: view.scale,
    x: clamp(view.x, low(picture.width), high(picture.width, viewport.width)),
    y: clamp(view.y, low(picture.height), high(picture.height, viewport.height)),
  };
}

export const toScreen = (view, x, y) => ({ x: view.x + x * view.scale, y: view.y + y * view.scale });
export const toPicture = (view, x, y) => ({ x: (x - view.x) / view.scale, y: (y - view.y) / view.scale });

// The part of the picture that the viewport shows, in whole picture pixels.
export function visiblePart(view, viewport, picture) {
  const start = toPicture(view, 0, 0);
  const end = toPicture(view, viewport.width, viewport.height);
  return [
    clamp(Math.floor(start.x), 0, picture.width), clamp(Math.floor(start.y), 0, picture.height),
    clamp(Math.ceil(end.x), 0, picture.width), clamp(Math.ceil(end.y), 0, picture.height),
  ];
}

// The whole-pixel box between two corners, clipped to the picture; null when it is under 2 px.
export function boxBetween(from, to, picture) {
  const edge = (value, extent) => clamp(roundHalfUp(value), 0, extent);
  const box = [
    edge(Math.min(from.x, to.x), picture.width), edge(Math.min(from.y, to.y), picture.height),
    edge(Math.max(from.x, to.x), picture.width), edge(Math.max(from.y, to.y), picture.height),
  ];
  return isLargeEnough(box, picture) ? box : null;
}

// The protocol may ask for larger boxes than the panel does.
export const isLargeEnough = (box, { smallest_box_px: smallest = SMALLEST_BOX_PX } = {}) =>
  box[2] - box[0] >= smallest && box[3] - box[1] >= smallest;

export function moveBox(box, dx, dy, picture) {
  const right = clamp(roundHalfUp(dx), -box[0], picture.width - box[2]);
  const down = clamp(roundHalfUp(dy), -box[1], picture.height - box[3]);
  return [box[0] + right, box[1] + down, box[2] + right, box[3] + down];
}

// Dragging a handle past the opposite edge turns the box over, as drawing does.
export function resizeBox(box, handle, dx, dy, picture) {
  let [left, top, right, bottom] = box;
  if (handle.includes('w')) left += dx;
  if (handle.includes('e')) right += dx;
  if (handle.includes('n')) top += dy;
  if (handle.includes('s')) bottom += dy;
  return boxBetween({ x: left, y: top }, { x: right, y: bottom }, picture);
}

export function handlePoints(box) {
  const [left, top, right, bottom] = box;
  const middleX = (left + right) / 2;
  const middleY = (top + bottom) / 2;
  return {
    nw: { x: left, y: top }, n: { x: middleX, y: top }, ne: { x: right, y: top },
    e: { x: right, y: middleY }, se: { x: right, y: bottom }, s: { x: middleX, y: bottom },
    sw: { x: left, y: bottom }, w: { x: left, y: middleY },
  };
}

export const isInside = (box, point) =>
  point.x >= box[0] && point.x < box[2] && point.y >= box[1] && point.y < box[3];

export const areaOf = (box) => (box[2] - box[0]) * (box[3] - box[1]);

function isNearEdge(box, point, tolerance) {
  const outer = [box[0] - tolerance, box[1] - tolerance, box[2] + tolerance, box[3] + tolerance];
  const inner = [box[0] + tolerance, box[1] + tolerance, box[2] - tolerance, box[3] - tolerance];
  return isInside(outer, point) && !isInside(inner, point);
}

function nearestHandle(box, point, tolerance) {
  let best = null;
  for (const [name, at] of Object.entries(handlePoints(box))) {
    const distance = Math.max(Math.abs(at.x - point.x), Math.abs(at.y - point.y));
    // Corners win ties: on a tiny box they are the handles that one wants.
    const rank = distance - (name.length === 2 ? 1e-6 : 0);
    if (distance <= tolerance && (!best || rank < best.rank)) best = { name, rank };
  }
  return best?.name ?? null;
}

// What lies under a point: a handle or the inside of the selected box, an edge of any box, or (when
// `wholeBoxes`) the inside of the smallest box. `tolerance` in picture pixels.
export function hitTest(regions, selectedId, point, tolerance, wholeBoxes = false) {
  const selected = regions.find((region) => region.region_id === selectedId);
  if (selected) {
    const handle = nearestHandle(selected.box, point, tolerance);
    if (handle) return { region_id: selected.region_id, part: 'handle', handle };
    if (isNearEdge(selected.box, point, tolerance)) return { region_id: selected.region_id, part: 'edge' };
  }
  const bySize = [...regions].sort((a, b) => areaOf(a.box) - areaOf(b.box));
  const onEdge = bySize.find((region) => isNearEdge(region.box, point, tolerance));
  if (onEdge) return { region_id: onEdge.region_id, part: 'edge' };
  if (selected && isInside(selected.box, point)) return { region_id: selected.region_id, part: 'inside' };
  const around = wholeBoxes && bySize.find((region) => isInside(region.box, point));
  return around ? { region_id: around.region_id, part: 'inside' } : null;
}

// Length in mm between two picture points; spacing is [row, column] in mm.
export function lengthMm(from, to, spacing) {
  return Math.hypot((to.x - from.x) * spacing[1], (to.y - from.y) * spacing[0]);
}

// A round length in mm whose bar takes at most `room` screen pixels.
export function scaleBar(scale, spacing, room) {
  const mmPerScreenPx = spacing[1] / scale;
  const longest = mmPerScreenPx * room;
  const power = 10 ** Math.floor(Math.log10(longest));
  const mm = [5, 2, 1].map((step) => step * power).find((length) => length <= longest) ?? power;
  return { mm, width: mm / mmPerScreenPx };
}
