// Raw pixel values to grey: look-up tables of 2**bits entries, by the formulas of DICOM PS3.3 C.11.2.

// A preset is {kind: 'window', center, width, function} in units of the stored pixels,
// or {kind: 'table', values: Uint8Array of 2**bits} when the file brings its own VOI LUT.
export function displayTable(preset, bits, invert) {
  const table = preset.kind === 'table' ? Uint8Array.from(preset.values) : windowTable(preset, bits);
  if (invert) for (let value = 0; value < table.length; value += 1) table[value] = 255 - table[value];
  return table;
}

function windowTable(preset, bits) {
  const table = new Uint8Array(2 ** bits);
  const share = shareFunction(preset);
  for (let value = 0; value < table.length; value += 1) table[value] = roundHalfEven(share(value) * 255);
  return table;
}

// As numpy rounds on the server; Math.round would round every half up.
function roundHalfEven(value) {
  const down = Math.floor(value);
  const rest = value - down;
  if (rest === 0.5) return down % 2 === 0 ? down : down + 1;
  return rest < 0.5 ? down : down + 1;
}

function shareFunction({ center, width, function: name }) {
  if (name === 'SIGMOID') return (value) => 1 / (1 + Math.exp((-4 * (value - center)) / width));
  const [middle, range] = name === 'LINEAR' ? [center - 0.5, width - 1] : [center, width];
  if (range <= 0) return (value) => (value > middle ? 1 : 0);
  return (value) => Math.min(Math.max((value - middle) / range + 0.5, 0), 1);
}

// 0xAABBGGRR words for a little-endian ImageData, one per table entry.
export function colourWords(table) {
  const words = new Uint32Array(table.length);
  for (let value = 0; value < table.length; value += 1) words[value] = 0xff000000 | (table[value] * 0x010101);
  return words;
}

// The window after a drag: right widens, down brightens what lies lower, by shares of the picture's range.
export function draggedWindow(start, dx, dy, range) {
  const step = range / 800;
  return { ...start, center: start.center + dy * step, width: Math.max(1, start.width + dx * step) };
}

// The window that a table preset stands for when the user begins to drag from it: its rising part.
export function asWindow(preset, bits) {
  if (preset.kind === 'window') return preset;
  const values = preset.values;
  let low = 0;
  let high = values.length - 1;
  while (low < high && values[low] === values[0]) low += 1;
  while (high > low && values[high] === values[values.length - 1]) high -= 1;
  const width = Math.max(1, high - low);
  return { kind: 'window', name: 'custom', center: low + width / 2, width, function: 'LINEAR', bits };
}
