// A picture file with what it shows written below it. No name of a patient or a file comes in here: the
// caption is made on the server from opaque ids and hashes.

import { el } from './dom.js';
import { drawScene } from './scene.js';
import { cellPlaces, distinct, wrapped } from './sheet_layout.js';

const MARGIN = 24;
const GAP = 14;
const GROUND = '#0e1114';
const TEXT = '#d9e0e6';
const QUIET = '#97a3ae';
const FONT = 'system-ui, "Segoe UI", Roboto, sans-serif';
const READING_AID = 'Warm colours: the map between its own lowest and highest value. White line: where it exceeds half of that range. Cross: its maximum. Boxes: what the reader marked. Hatched: not seen by the model.';
const DIFFERENCE_AID = 'Difference: blue where the first map is higher, orange where the second is.';

// sheet: {title, columns, cells: [{title, subtitle, scene, frame, style}], caption: [line], isDifference}.
// All cells have one frame size. Resolves to a Blob.
export async function pngOf(sheet) {
  const first = sheet.cells[0].frame;
  const unit = Math.max(0.7, Math.min(2, first.width / 420));
  const font = (size, weight = '') => `${weight} ${Math.round(size * unit)}px ${FONT}`;
  const lineHeight = Math.round(18 * unit);
  const header = lineHeight * 2 + 6;
  const cell = { width: first.width, height: first.height + header };
  const rows = Math.ceil(sheet.cells.length / sheet.columns);
  const width = Math.max(sheet.columns * (cell.width + GAP) - GAP, 640) + 2 * MARGIN;
  const ruler = new OffscreenCanvas(1, 1).getContext('2d');
  const textUnit = Math.max(unit, 1);
  ruler.font = `${Math.round(13 * textUnit)}px ${FONT}`;
  const aids = sheet.isDifference ? [READING_AID, DIFFERENCE_AID] : [READING_AID];
  const lines = distinct([...sheet.caption, ...aids]).flatMap((line) => wrapped(line, width - 2 * MARGIN, (text) => ruler.measureText(text).width));
  const captionLine = Math.round(18 * textUnit);
  const top = MARGIN + Math.round(30 * textUnit);
  const board = rows * (cell.height + GAP) - GAP;
  const canvas = new OffscreenCanvas(width, top + board + GAP + lines.length * captionLine + MARGIN);
  const context = canvas.getContext('2d', { alpha: false });
  context.fillStyle = GROUND;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.textBaseline = 'top';
  write(context, sheet.title, { x: MARGIN, y: MARGIN - 6, font: `600 ${Math.round(18 * textUnit)}px ${FONT}`, colour: TEXT, room: width - 2 * MARGIN });
  const places = cellPlaces(sheet.cells.length, sheet.columns, cell, GAP);
  sheet.cells.forEach((one, at) => {
    const [x, y] = [MARGIN + places[at].x, top + places[at].y];
    write(context, one.title, { x, y, font: font(14, '600'), colour: TEXT, room: cell.width });
    write(context, one.subtitle, { x, y: y + lineHeight, font: font(12), colour: QUIET, room: cell.width });
    drawScene(context, { ...one.frame, x, y: y + header }, one.scene, { ...one.style, unit });
  });
  lines.forEach((line, at) => write(context, line, {
    x: MARGIN, y: top + board + GAP + at * captionLine, font: `${Math.round(13 * textUnit)}px ${FONT}`, colour: QUIET, room: width - 2 * MARGIN,
  }));
  return canvas.convertToBlob({ type: 'image/png' });
}

function write(context, text, { x, y, font, colour, room }) {
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.font = font;
  context.fillStyle = colour;
  let shown = text;
  while (shown.length > 1 && context.measureText(shown).width > room) shown = `${shown.slice(0, -2).trimEnd()}…`;
  context.fillText(shown, x, y);
}

export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = el('a', { href: address, download: name, hidden: true });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
