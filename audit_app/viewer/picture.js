// A radiograph on a canvas: zoom, pan, window. Used by the reading panel and by each pane of a comparison.

import { centredView, fitView, keptInSight, visiblePart, zoomAt } from './geometry.js';
import { Raster } from './raster.js';
import { asWindow, colourWords, displayTable } from './windowing.js';

export class PictureView {
  // onDraw(picture) runs after each frame; onViewport() when the host's size changed.
  constructor(host, { onDraw = () => {}, onViewport = () => {} } = {}) {
    Object.assign(this, { host, onDraw, onViewport, meta: null, raster: null, preview: null, heat: null });
    this.canvas = document.createElement('canvas');
    this.canvas.className = 'sa-canvas';
    this.canvas.setAttribute('aria-hidden', 'true');
    host.append(this.canvas);
    this.viewport = { width: 0, height: 0 };
    this.view = { scale: 1, x: 0, y: 0 };
    this.isFitted = true;
    this.opacity = 0;
    this.frameMs = 0;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(host);
    this.watchDensity();
  }

  // A window that moves to a denser screen (or is zoomed) keeps its size; the observer says nothing.
  watchDensity() {
    this.density = matchMedia(`(resolution: ${globalThis.devicePixelRatio || 1}dppx)`);
    this.onDensity = () => {
      this.resize();
      this.watchDensity();
    };
    this.density.addEventListener('change', this.onDensity, { once: true });
  }

  dispose() {
    this.observer.disconnect();
    this.density.removeEventListener('change', this.onDensity);
    cancelAnimationFrame(this.request);
    this.close();
  }

  close() {
    Object.assign(this, { meta: null, raster: null, heat: null });
    this.preview?.close();
    this.preview = null;
  }

  open(meta) {
    this.close();
    this.meta = meta;
    this.isInverted = false;
    this.preset = meta.presets[meta.default_preset];
    this.isFitted = true;
    this.resize();
  }

  setPreview(bitmap) {
    this.preview = bitmap;
    this.redraw();
  }

  setPixels(pixels) {
    this.setRaster(new Raster(pixels, this.meta.width, this.meta.height), pixels);
  }

  // Panes of one comparison share one raster.
  setRaster(raster, pixels) {
    this.raster = raster;
    this.pixels = pixels;
    this.preview?.close();
    this.preview = null;
    this.applyWindow();
  }

  valueAt(x, y) {
    const { width, height } = this.meta;
    if (!this.raster || x < 0 || y < 0 || x >= width || y >= height) return null;
    return this.pixels[Math.floor(y) * width + Math.floor(x)];
  }

  // --- window ------------------------------------------------------------------------------------

  applyWindow() {
    if (this.raster) this.raster.setWords(colourWords(this.table()));
    this.redraw();
  }

  table() {
    const isLightAir = this.meta.photometric === 'MONOCHROME1';
    return displayTable(this.preset, this.meta.bits, isLightAir !== this.isInverted);
  }

  setPreset(preset) {
    this.preset = preset;
    this.applyWindow();
  }

  setInverted(isInverted) {
    this.isInverted = isInverted;
    this.applyWindow();
  }

  window() {
    return asWindow(this.preset, this.meta.bits);
  }

  // --- view --------------------------------------------------------------------------------------

  resize() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (!width || !height) return;
    const ratio = globalThis.devicePixelRatio || 1;
    this.viewport = { width, height };
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    if (this.meta && this.isFitted) this.view = fitView(this.viewport, this.meta);
    this.onViewport();
    this.redraw();
  }

  setView(view, isFitted = false) {
    this.isFitted = isFitted;
    this.view = keptInSight(view, this.viewport, this.meta);
    this.redraw();
  }

  fit() {
    this.setView(fitView(this.viewport, this.meta), true);
  }

  // One picture pixel on one device pixel.
  actualSize() {
    this.setView(centredView(this.viewport, this.meta, 1 / (globalThis.devicePixelRatio || 1)));
  }

  zoomBy(factor, point = { x: this.viewport.width / 2, y: this.viewport.height / 2 }) {
    this.setView(zoomAt(this.view, point, factor));
  }

  panBy(dx, dy) {
    this.setView({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  // --- drawing -----------------------------------------------------------------------------------

  redraw() {
    if (this.request || !this.meta) return;
    this.request = requestAnimationFrame(() => {
      this.request = 0;
      if (this.meta) this.draw();
    });
  }

  draw() {
    const started = performance.now();
    const context = this.canvas.getContext('2d', { alpha: false });
    const ratio = this.viewport.width ? this.canvas.width / this.viewport.width : 1;
    const view = { scale: this.view.scale * ratio, x: this.view.x * ratio, y: this.view.y * ratio };
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    if (this.raster) this.raster.draw(context, view, visiblePart(this.view, this.viewport, this.meta));
    else if (this.preview) drawOver(context, this.preview, view, [0, 0, this.meta.width, this.meta.height]);
    if (this.heat && this.opacity > 0) {
      context.globalAlpha = this.opacity;
      drawOver(context, this.heat.image, view, this.heat.box);
      context.globalAlpha = 1;
    }
    this.onDraw(this);
    this.frameMs = performance.now() - started;
  }
}

// Draws a small image stretched over a part of the picture; only the reader's pixels are never smoothed away.
function drawOver(context, image, view, [left, top, right, bottom]) {
  const scaleX = (view.scale * (right - left)) / image.width;
  const scaleY = (view.scale * (bottom - top)) / image.height;
  context.setTransform(scaleX, 0, 0, scaleY, view.x + left * view.scale, view.y + top * view.scale);
  context.imageSmoothingEnabled = true;
  context.drawImage(image, 0, 0);
}
