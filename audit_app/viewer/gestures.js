// Pointers to actions: draw, move, resize, pan, window, measure, pinch. Knows no reading and no server.

import { boxBetween, moveBox, resizeBox } from './geometry.js';
import { draggedWindow } from './windowing.js';

const CLICK_PX = 4;

export class Gestures {
  constructor(stage, viewer) {
    Object.assign(this, { stage, viewer, pointers: new Map(), action: null, tool: 'draw', isSpaceDown: false });
    const listen = (type, listener, options) => stage.addEventListener(type, listener, options);
    listen('pointerdown', (event) => this.down(event));
    listen('pointermove', (event) => this.move(event));
    listen('pointerup', (event) => this.up(event));
    listen('pointercancel', (event) => this.cancel(event));
    listen('wheel', (event) => this.wheel(event), { passive: false });
    listen('contextmenu', (event) => event.preventDefault());
    listen('auxclick', (event) => event.preventDefault());
    // The browser would focus whatever box lies under the pointer; focus follows the selection instead.
    listen('mousedown', (event) => event.preventDefault());
    listen('pointerleave', () => this.viewer.pointAt(null));
  }

  isBusy() {
    return this.action !== null;
  }

  screenPoint(event) {
    const frame = this.stage.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  }

  down(event) {
    if (!this.viewer.isOpen()) return;
    this.viewer.takeFocus();
    this.stage.setPointerCapture(event.pointerId);
    const at = this.screenPoint(event);
    this.pointers.set(event.pointerId, at);
    if (this.pointers.size === 2) this.beginPinch();
    else if (this.pointers.size === 1) this.begin(event, at);
  }

  begin(event, at) {
    const { viewer } = this;
    const isTouch = event.pointerType === 'touch';
    const point = viewer.toPicture(at);
    const base = { at, point, view: viewer.picture.view, isTouch };
    if (event.button === 2) this.action = { ...base, kind: 'window', window: viewer.picture.window() };
    else if (event.button === 1 || this.isSpaceDown || this.tool === 'pan') this.action = { ...base, kind: 'pan' };
    else if (this.tool === 'measure') this.action = { ...base, kind: 'measure' };
    else this.action = this.boxAction(base, event.shiftKey);
    this.showCursor();
  }

  boxAction(base, mustDraw) {
    const { viewer } = this;
    const hit = mustDraw ? null : viewer.hit(base.point, base.isTouch, this.tool === 'select');
    if (!hit) return { ...base, kind: this.tool === 'select' ? 'press' : 'draw' };
    const region = viewer.regionOf(hit.region_id);
    const isMovable = viewer.isEditable && (hit.part !== 'inside' || hit.region_id === viewer.selectedId || this.tool === 'select');
    if (!isMovable) return { ...base, kind: 'press' };
    viewer.select(hit.region_id);
    return { ...base, kind: hit.part === 'handle' ? 'resize' : 'move', handle: hit.handle, region };
  }

  move(event) {
    const at = this.screenPoint(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, at);
    if (!this.viewer.isOpen()) return;
    const point = this.viewer.toPicture(at);
    this.viewer.pointAt(point);
    if (!this.action) this.showCursor(point);
    else if (this.action.kind === 'pinch') this.pinch();
    else this.drag(at, point);
  }

  drag(at, point) {
    const { action, viewer } = this;
    const [dx, dy] = [at.x - action.at.x, at.y - action.at.y];
    if (Math.hypot(dx, dy) >= CLICK_PX) action.hasMoved = true;
    if (action.kind === 'pan') viewer.setView({ ...action.view, x: action.view.x + dx, y: action.view.y + dy });
    else if (action.kind === 'window') viewer.dragWindow(draggedWindow(action.window, dx, dy, viewer.valueRange()));
    else if (action.kind === 'measure') viewer.measure({ from: action.point, to: point });
    else if (action.kind !== 'press' && action.hasMoved) viewer.showDraft(this.draftBox(point), action.region?.region_id);
  }

  draftBox(point) {
    const { kind, point: start, region, handle } = this.action;
    const { meta } = this.viewer.picture;
    const [dx, dy] = [point.x - start.x, point.y - start.y];
    if (kind === 'draw') return boxBetween(start, point, meta);
    if (kind === 'move') return moveBox(region.box, dx, dy, meta);
    return resizeBox(region.box, handle, dx, dy, meta);
  }

  up(event) {
    const isLast = this.pointers.delete(event.pointerId) && this.pointers.size === 0;
    const { action, viewer } = this;
    if (!action || (action.kind === 'pinch' && !isLast)) return;
    if (['draw', 'move', 'resize'].includes(action.kind) && action.hasMoved) {
      const box = this.draftBox(viewer.toPicture(this.screenPoint(event)));
      this.finish();
      // The region as it stands now: a key, or another window, may have changed it during the drag.
      const region = viewer.regionOf(action.region?.region_id);
      if (action.kind === 'draw') viewer.drawn(box);
      else if (box && region) viewer.changed(region, box);
    } else {
      this.finish();
    }
    if (action.region) viewer.boxes.focus(action.region.region_id);
    if (action.hasMoved) return;
    if (['draw', 'press'].includes(action.kind)) viewer.pressed(action.point);
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.finish();
  }

  // Drops what is being drawn or dragged; true when there was something.
  abort() {
    const wasBusy = ['draw', 'move', 'resize', 'measure'].includes(this.action?.kind);
    if (wasBusy) this.finish();
    return wasBusy;
  }

  finish() {
    if (this.action?.kind === 'window') this.viewer.windowDone();
    this.action = null;
    this.viewer.showDraft(null);
    this.showCursor();
  }

  // --- two fingers -------------------------------------------------------------------------------

  // A second finger ends what the first had begun, so that no stray box is left.
  beginPinch() {
    this.finish();
    this.action = { kind: 'pinch', ...this.fingers() };
  }

  fingers() {
    const [a, b] = [...this.pointers.values()];
    return { spread: Math.hypot(a.x - b.x, a.y - b.y), middle: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } };
  }

  pinch() {
    if (this.pointers.size !== 2) return;
    const now = this.fingers();
    const before = this.action;
    this.viewer.picture.panBy(now.middle.x - before.middle.x, now.middle.y - before.middle.y);
    this.viewer.picture.zoomBy(now.spread / Math.max(before.spread, 1), now.middle);
    this.action = { kind: 'pinch', ...now };
  }

  wheel(event) {
    event.preventDefault();
    if (!this.viewer.isOpen()) return;
    const unit = { 0: 1, 1: 16, 2: 240 }[event.deltaMode];
    const strength = event.ctrlKey ? 0.01 : 0.0015; // a track pad's pinch arrives as ctrl + small wheel steps
    this.viewer.picture.zoomBy(Math.exp(-event.deltaY * unit * strength), this.screenPoint(event));
  }

  // --- cursor ------------------------------------------------------------------------------------

  showCursor(point) {
    this.stage.style.cursor = this.cursorFor(point);
  }

  cursorFor(point) {
    const { action, tool, viewer } = this;
    if (action?.kind === 'pan') return 'grabbing';
    if (action?.kind === 'window') return 'ns-resize';
    if (this.isSpaceDown || tool === 'pan') return 'grab';
    if (action?.kind === 'move') return 'move';
    if (action?.kind === 'resize') return `${action.handle}-resize`;
    const hit = point && tool !== 'measure' && viewer.isEditable && viewer.hit(point, false, tool === 'select');
    if (hit) return hit.part === 'handle' ? `${hit.handle}-resize` : 'move';
    return tool === 'select' ? 'default' : 'crosshair';
  }
}
