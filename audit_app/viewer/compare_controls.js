// What the pointer does on one pane of a comparison: the same to every pane.

import { toPicture } from './geometry.js';

export class PaneControls {
  constructor(panel, pane) {
    Object.assign(this, { panel, pane, isEditable: false, selectedId: null });
    const { picture } = pane;
    this.picture = {
      get view() { return picture.view; },
      get meta() { return picture.meta; },
      window: () => picture.window(),
      panBy: (dx, dy) => panel.each((one) => one.panBy(dx, dy)),
      zoomBy: (factor, point) => panel.each((one) => one.zoomBy(factor, point)),
    };
  }

  isOpen() {
    return this.panel.caseId !== null && this.pane.picture.meta !== null;
  }

  takeFocus() {
    this.pane.stage.focus({ preventScroll: true });
  }

  toPicture({ x, y }) {
    return toPicture(this.pane.picture.view, x, y);
  }

  setView(view) {
    this.panel.each((picture) => picture.setView(view));
  }

  valueRange() {
    const { presets, bits } = this.pane.picture.meta;
    return Math.max(presets.find(({ kind }) => kind === 'window')?.width ?? 0, 2 ** bits / 16);
  }

  dragWindow(window) {
    this.panel.setPreset({ ...window, kind: 'window', name: 'custom' });
  }

  windowDone() {}

  pointAt() {}

  showDraft() {}

  hit() {
    return null;
  }
}
