// One picture with its map as it is drawn: on a pane's overlay, on a small picture, into a saved file.

import { base64Bytes } from './dom.js';
import { differenceColours } from './difference.js';
import { blindPath, contourPath, heatColours, isWholePicture } from './heat.js';
import { outlinePath } from './outline.js';

const CROSS = 9;
const HATCH_GAP = 8;
const HATCH_COLOUR = '#97a3ae';

// {image, box, contour, blind, peak, values}: what a heat layer of the server becomes. `image` is null where
// the map is empty; paths are in original pixels.
export function heatScene(heat, meta) {
  if (!heat) return { image: null, box: null, contour: '', blind: '', peak: null, values: null };
  const isShown = heat.status !== 'no_evidence';
  const values = base64Bytes(heat.values_b64);
  return {
    image: isShown ? asCanvas(heatColours(values), heat) : null,
    box: heat.box,
    contour: isShown ? contourPath({ ...heat, values }, heat.threshold * 255) : '',
    blind: isWholePicture(heat.box, meta) ? '' : blindPath(heat.box, meta),
    peak: heat.peak,
    values,
  };
}

// The same for a difference of two maps: no contour and no maximum, for it has two signs.
export function differenceScene(difference, meta) {
  return {
    image: asCanvas(differenceColours(difference.values), difference),
    box: difference.box,
    contour: '',
    blind: isWholePicture(difference.box, meta) ? '' : blindPath(difference.box, meta),
    peak: null,
  };
}

function asCanvas(colours, { width, height }) {
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d').putImageData(new ImageData(colours, width, height), 0, 0);
  return canvas;
}

// What agreement is measured with, as a path in original pixels: the outline where there is one, else the box.
function regionPath({ box: [left, top, right, bottom], shape }) {
  return shape ? outlinePath(shape) : `M${left} ${top}H${right}V${bottom}H${left}Z`;
}

// Draws film, map, hatching, contour, boxes and maximum into a rectangle of a canvas.
// place: {x, y, width, height, view}; view maps original pixels to the rectangle. style: {opacity,
// hasContour, isHidden, colour, unit}: unit is the size of one screen pixel.
export function drawScene(context, place, scene, { raster, regions, ...style }) {
  const { x, y, width, height, view } = place;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.beginPath();
  context.rect(x, y, width, height);
  context.clip();
  context.fillStyle = '#000';
  context.fillRect(x, y, width, height);
  const moved = { scale: view.scale, x: view.x + x, y: view.y + y };
  if (raster) raster.draw(context, moved, [0, 0, raster.width, raster.height]);
  if (!style.isHidden) drawLayers(context, moved, scene, { regions, ...style });
  context.restore();
}

function drawLayers(context, view, scene, { opacity, hasContour, regions, colour, unit }) {
  const matrix = [view.scale, 0, 0, view.scale, view.x, view.y];
  if (scene.image && opacity > 0) drawHeat(context, view, scene, opacity);
  if (scene.blind) hatch(context, scene.blind, matrix, unit);
  context.setTransform(...matrix);
  if (scene.contour && hasContour) outline(context, new Path2D(scene.contour), '#fff', (1.4 * unit) / view.scale);
  for (const region of regions) {
    const path = new Path2D(regionPath(region));
    outline(context, path, 'rgb(0 0 0 / .75)', (4 * unit) / view.scale);
    outline(context, path, colour, (1.8 * unit) / view.scale);
  }
  if (scene.peak) cross(context, view, scene.peak, unit);
}

function drawHeat(context, view, { image, box: [left, top, right, bottom] }, opacity) {
  const scaleX = (view.scale * (right - left)) / image.width;
  const scaleY = (view.scale * (bottom - top)) / image.height;
  context.globalAlpha = opacity;
  context.setTransform(scaleX, 0, 0, scaleY, view.x + left * view.scale, view.y + top * view.scale);
  context.imageSmoothingEnabled = true;
  context.drawImage(image, 0, 0);
  context.globalAlpha = 1;
}

function outline(context, path, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke(path);
}

function hatch(context, blind, matrix, unit) {
  const path = new Path2D();
  path.addPath(new Path2D(blind), new DOMMatrix(matrix));
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clip(path, 'evenodd');
  context.globalAlpha = 0.55;
  context.beginPath();
  const { width, height } = context.canvas;
  for (let start = -height; start < width; start += HATCH_GAP * unit) {
    context.moveTo(start, 0);
    context.lineTo(start + height, height);
  }
  context.strokeStyle = HATCH_COLOUR;
  context.lineWidth = unit;
  context.stroke();
  context.restore();
}

function cross(context, view, [peakX, peakY], unit) {
  const at = { x: view.x + peakX * view.scale, y: view.y + peakY * view.scale };
  const reach = CROSS * unit;
  const path = new Path2D(`M${at.x - reach} ${at.y}H${at.x + reach}M${at.x} ${at.y - reach}V${at.y + reach}`);
  context.setTransform(1, 0, 0, 1, 0, 0);
  outline(context, path, 'rgb(0 0 0 / .8)', 4 * unit);
  outline(context, path, '#fff', 2.2 * unit);
}
