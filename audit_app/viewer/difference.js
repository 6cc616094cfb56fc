// The difference of two maps over what both models saw: pure functions, no DOM.
// A map is {values (0..255), width, height, box [x_min, y_min, x_max, y_max] in original pixels, threshold}.

const MOST_CELLS = 336;

// The value 0..1 at a place in original pixels: bilinear between cell centres, the border repeated.
export function valueAt({ values, width, height, box: [left, top, right, bottom] }, x, y) {
  const column = ((x - left) / (right - left)) * width - 0.5;
  const row = ((y - top) / (bottom - top)) * height - 0.5;
  const within = (at, extent) => Math.min(Math.max(at, 0), extent - 1);
  const at = (r, c) => values[within(r, height) * width + within(c, width)];
  const [r, c] = [Math.floor(row), Math.floor(column)];
  const [v, u] = [row - r, column - c];
  const upper = at(r, c) * (1 - u) + at(r, c + 1) * u;
  const lower = at(r + 1, c) * (1 - u) + at(r + 1, c + 1) * u;
  return (upper * (1 - v) + lower * v) / 255;
}

// Where both maps are, inside the picture; null when they have nothing in common.
export function commonBox(a, b, { width, height }) {
  const box = [
    Math.max(a.box[0], b.box[0], 0), Math.max(a.box[1], b.box[1], 0),
    Math.min(a.box[2], b.box[2], width), Math.min(a.box[3], b.box[3], height),
  ];
  return box[0] < box[2] && box[1] < box[3] ? box : null;
}

function gridOver(box, a, b) {
  const cells = (from, to, extent) => {
    const finest = Math.max(a[extent] / (a.box[to] - a.box[from]), b[extent] / (b.box[to] - b.box[from]));
    return Math.min(MOST_CELLS, Math.max(1, Math.round(finest * (box[to] - box[from]))));
  };
  return { width: cells(0, 2, 'width'), height: cells(1, 3, 'height') };
}

// b - a, each between its own lowest and highest value: {values (-1..1), width, height, box, mean,
// overlap}, or null. `mean` is of the absolute difference; `overlap` is the IoU of what exceeds the
// thresholds of both, null when neither exceeds anything.
export function differenceMap(a, b, picture) {
  const box = commonBox(a, b, picture);
  if (!box) return null;
  const { width, height } = gridOver(box, a, b);
  const values = new Float32Array(width * height);
  let [sum, both, either] = [0, 0, 0];
  for (let row = 0, at = 0; row < height; row += 1) {
    const y = box[1] + ((row + 0.5) / height) * (box[3] - box[1]);
    for (let column = 0; column < width; column += 1, at += 1) {
      const x = box[0] + ((column + 0.5) / width) * (box[2] - box[0]);
      const [left, right] = [valueAt(a, x, y), valueAt(b, x, y)];
      const [inLeft, inRight] = [left > a.threshold, right > b.threshold];
      values[at] = right - left;
      sum += Math.abs(right - left);
      both += inLeft && inRight;
      either += inLeft || inRight;
    }
  }
  return { values, width, height, box, mean: sum / values.length, overlap: either ? both / either : null };
}

// Blue where the first map is higher, orange where the second is; told apart with every common form of
// colour blindness. Clear where they agree.
const LOWER = [74, 163, 255];
const HIGHER = [255, 150, 40];

export function differenceColour(value) {
  const share = Math.min(1, Math.abs(value));
  return [...(value < 0 ? LOWER : HIGHER), Math.round(255 * Math.min(1, share * 1.5))];
}

export function differenceColours(values) {
  const out = new Uint8ClampedArray(4 * values.length);
  values.forEach((value, at) => out.set(differenceColour(value), 4 * at));
  return out;
}
