// Saliency as a layer: colours, contour, field of view. Values are 0..255 over a grid that covers the
// field of view [x_min, y_min, x_max, y_max] in original pixels; the grid's values sit at its cell centres.

// Inferno, as polynomials of degree 6 (within 2 of 255 of the published table).
const INFERNO = [
  [0.00021894, 0.10651341, 11.60249308, -41.70399613, 77.16293570, -71.31942824, 25.13112622],
  [0.00165100, 0.56395643, -3.97285397, 17.43639888, -33.40235894, 32.62606426, -12.24266895],
  [-0.01948090, 3.93271239, -15.94239411, 44.35414520, -81.80730926, 73.20951986, -23.07032500],
];

export function infernoColour(share) {
  return INFERNO.map((terms) => {
    const value = terms.reduceRight((sum, term) => sum * share + term, 0);
    return Math.round(255 * Math.min(1, Math.max(0, value)));
  });
}

// RGBA bytes of a grid. Low values are clear, so that the film is seen where the map says nothing.
export function heatColours(values) {
  const table = Array.from({ length: 256 }, (_, value) => {
    const share = value / 255;
    return [...infernoColour(0.15 + 0.85 * share), Math.round(255 * Math.min(1, share * 1.6))];
  });
  const out = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, at) => out.set(table[value], 4 * at));
  return out;
}

// Where edges of a cell cross the level, for the 16 cases of its corners (bits: tl 8, tr 4, br 2, bl 1).
const CASES = [
  [], ['lb'], ['br'], ['lr'], ['tr'], ['lt', 'br'], ['tb'], ['lt'],
  ['lt'], ['tb'], ['lb', 'tr'], ['tr'], ['lr'], ['br'], ['lb'], [],
];

// Line pieces [x1, y1, x2, y2] in grid units (cell centres at halves) around what exceeds `level`.
// Around the grid its border is repeated once (as bilinear interpolation does), then all is low: so a
// region that reaches the border is closed exactly there.
export function contourLines(values, width, height, level) {
  const within = (at, extent) => Math.min(Math.max(at, 0), extent - 1);
  const at = (x, y) => (x < -1 || y < -1 || x > width || y > height
    ? level - 1
    : values[within(y, height) * width + within(x, width)]);
  const lines = [];
  for (let y = -2; y <= height; y += 1) {
    for (let x = -2; x <= width; x += 1) {
      const corners = [at(x, y), at(x + 1, y), at(x + 1, y + 1), at(x, y + 1)];
      const index = corners.reduce((bits, value) => 2 * bits + (value > level ? 1 : 0), 0);
      for (const [from, to] of CASES[index]) {
        lines.push([...crossing(from, corners, level, x, y), ...crossing(to, corners, level, x, y)]);
      }
    }
  }
  return lines
    .map((line) => line.map((value, i) => Math.min(Math.max(value, 0), i % 2 ? height : width)))
    .filter(([x1, y1, x2, y2]) => x1 !== x2 || y1 !== y2);
}

function crossing(edge, [tl, tr, br, bl], level, x, y) {
  const share = (a, b) => (level - a) / (b - a);
  const left = x + 0.5;
  const top = y + 0.5;
  if (edge === 't') return [left + share(tl, tr), top];
  if (edge === 'b') return [left + share(bl, br), top + 1];
  if (edge === 'l') return [left, top + share(tl, bl)];
  return [left + 1, top + share(tr, br)];
}

// SVG path of the contour in original pixels.
export function contourPath(heat, level) {
  const [left, top, right, bottom] = heat.box;
  const stepX = (right - left) / heat.width;
  const stepY = (bottom - top) / heat.height;
  const point = (x, y) => `${(left + x * stepX).toFixed(2)} ${(top + y * stepY).toFixed(2)}`;
  return contourLines(heat.values, heat.width, heat.height, level)
    .map(([x1, y1, x2, y2]) => `M${point(x1, y1)}L${point(x2, y2)}`)
    .join('');
}

// SVG path (even-odd) of what the model never saw.
export function blindPath([left, top, right, bottom], { width, height }) {
  const frame = `M0 0H${width}V${height}H0Z`;
  return `${frame}M${left} ${top}H${right}V${bottom}H${left}Z`;
}

export const isWholePicture = ([left, top, right, bottom], { width, height }) =>
  left <= 0 && top <= 0 && right >= width && bottom >= height;
