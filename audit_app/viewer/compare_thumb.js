// A small picture with its map, drawn once and again when window or opacity change.

import { el } from './dom.js';
import { drawScene, heatScene } from './scene.js';
import { wholeFrame } from './sheet_layout.js';

export class Thumb {
  // panel gives raster, meta and style.
  constructor(panel, { title, onOpen }) {
    Object.assign(this, { panel, scene: null, regions: [], colour: '#fff' });
    this.canvas = el('canvas', { class: 'sa-thumb-canvas', 'aria-hidden': 'true' });
    this.label = el('span', { class: 'sa-thumb-label' });
    this.root = el('button', { type: 'button', class: 'sa-thumb', title, on: { click: onOpen } }, this.canvas, this.label);
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(this.canvas);
  }

  show({ heat, label, reason = '', isWaiting = false, regions, colour, name }) {
    this.scene = heat ? heatScene(heat, this.panel.meta) : null;
    Object.assign(this, { regions, colour });
    const empty = heat?.status === 'no_evidence' ? 'no evidence' : '';
    this.label.textContent = heat ? empty || label : reason;
    this.root.classList.toggle('sa-waiting', isWaiting);
    this.root.classList.toggle('sa-thumb-empty', !heat);
    this.root.disabled = !heat;
    this.root.title = `${name}: ${this.label.textContent}`;
    this.root.setAttribute('aria-label', this.root.title);
    const { width, height } = this.panel.meta;
    this.canvas.style.aspectRatio = `${width} / ${height}`;
    this.draw();
  }

  draw() {
    const { meta, raster } = this.panel;
    const width = this.canvas.clientWidth;
    if (!meta || !raster || !width) return;
    const ratio = globalThis.devicePixelRatio || 1;
    const frame = wholeFrame(meta, Math.round((Math.max(meta.width, meta.height) / meta.width) * width * ratio));
    if (this.canvas.width !== frame.width) this.canvas.width = frame.width;
    if (this.canvas.height !== frame.height) this.canvas.height = frame.height;
    drawScene(this.canvas.getContext('2d', { alpha: false }), { ...frame, x: 0, y: 0 }, this.scene ?? heatScene(null), {
      ...this.panel.style(), raster, regions: this.regions, colour: this.colour, unit: 0.6 * ratio,
    });
  }

  // What is drawn, for a saved file.
  cell(longest) {
    return {
      scene: this.scene ?? heatScene(null),
      frame: wholeFrame(this.panel.meta, longest),
      style: { ...this.panel.style(), raster: this.panel.raster, regions: this.regions, colour: this.colour },
    };
  }

  dispose() {
    this.observer.disconnect();
    this.root.remove();
  }
}
