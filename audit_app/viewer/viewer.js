// The stage of the reading panel: one radiograph, its boxes, and what the pointer does to them.

import { BoxLayer } from './boxes.js';
import { EarlierLayer } from './earlier.js';
import { areaOf, boxBetween, hitTest, isInside, lengthMm, moveBox, resizeBox, scaleBar, toPicture, visiblePart } from './geometry.js';
import { Gestures } from './gestures.js';
import { el, uuid } from './dom.js';
import { PictureView } from './picture.js';

const GRIP_PX = 6;
const TOUCH_GRIP_PX = 16;
const SCALE_BAR_PX = 160;

export class RadiographViewer {
  // owner: {edit(change, tag), refuse(message), selected(id), windowChanged(), colourOf(finding)}
  constructor(stage, owner) {
    Object.assign(this, { stage, owner, regions: [], selectedId: null, warnedId: null, isEditable: false });
    Object.assign(this, { finding: '', certainty: 'definite', draft: null, ruler: null });
    this.picture = new PictureView(stage, { onDraw: () => this.drawOverlay() });
    this.earlier = [];
    this.earlierBoxes = new EarlierLayer(stage); // below the reader's own
    this.boxes = new BoxLayer(stage, { onFocus: (id) => this.select(id) });
    this.gestures = new Gestures(stage, this);
    this.info = stage.appendChild(el('div', { class: 'sa-info', 'aria-hidden': 'true' }));
    this.bar = stage.appendChild(el('div', { class: 'sa-scale-bar', 'aria-hidden': 'true' }));
  }

  dispose() {
    this.picture.dispose();
  }

  isOpen() {
    return this.picture.meta !== null;
  }

  open(meta) {
    this.close();
    this.picture.open(meta);
  }

  close() {
    this.gestures.abort();
    this.showEarlier([]);
    Object.assign(this, { regions: [], selectedId: null, draft: null, ruler: null, pointer: null, isEditable: false });
    this.picture.close();
    this.boxes.render(this.picture.view, this.boxState());
    this.info.textContent = '';
  }

  setReading({ regions, isEditable }) {
    this.regions = regions;
    this.isEditable = isEditable;
    if (!this.regionOf(this.selectedId)) this.select(null);
    this.drawBoxes();
  }

  // --- selection ---------------------------------------------------------------------------------

  regionOf(id) {
    return this.regions.find((region) => region.region_id === id) ?? null;
  }

  selected() {
    return this.regionOf(this.selectedId);
  }

  select(id, { withFocus = false } = {}) {
    const hasChanged = id !== this.selectedId;
    this.selectedId = id;
    if (hasChanged) {
      this.warnedId = null;
      this.drawBoxes();
      this.owner.selected(id);
    }
    if (withFocus) this.boxes.focus(id);
  }

  takeFocus() {
    if (!this.stage.contains(document.activeElement)) this.stage.focus({ preventScroll: true });
  }

  hit(point, isTouch, wholeBoxes) {
    const grip = (isTouch ? TOUCH_GRIP_PX : GRIP_PX) / this.picture.view.scale;
    return this.boxes.isHidden ? null : hitTest(this.regions, this.selectedId, point, grip, wholeBoxes);
  }

  // A click: the smallest box around the point, or nothing.
  pressed(point) {
    const onEdge = this.hit(point, false, true);
    const around = this.regions.filter((region) => isInside(region.box, point)).sort((a, b) => areaOf(a.box) - areaOf(b.box));
    const id = around[0]?.region_id ?? onEdge?.region_id ?? null;
    this.select(id, { withFocus: id !== null });
    if (id === null) this.stage.focus({ preventScroll: true });
  }

  // --- edits -------------------------------------------------------------------------------------

  drawn(box) {
    if (!box) {
      const smallest = this.picture.meta.smallest_box_px ?? 2;
      this.owner.refuse(`That box was smaller than ${smallest} pixels and was not kept. Drag a larger one.`);
      return;
    }
    const region = { region_id: uuid(), finding: this.finding, certainty: this.certainty, box, note: '', shape: null };
    if (this.owner.edit({ kind: 'put', region })) this.select(region.region_id, { withFocus: true });
  }

  changed(region, box, tag = '') {
    const isSame = box.every((value, i) => value === region.box[i]);
    if (isSame || !this.mayDropOutline(region)) return;
    this.owner.edit({ kind: 'put', region: { ...region, box, shape: null } }, tag);
  }

  // The outline belongs to its box: it goes when the box changes, which is said once before.
  mayDropOutline(region) {
    if (!region.shape || this.warnedId === region.region_id) return true;
    this.warnedId = region.region_id;
    this.drawBoxes();
    this.owner.refuse('This region has an outline from its source, which a change of the box would drop. Change the box once more to drop it; undo brings it back.');
    return false;
  }

  nudge(dx, dy, isRepeat = false) {
    const region = this.selected();
    if (!region || !this.isEditable) return false;
    if (isRepeat && region.shape) return true; // a key held down must not run over the warning
    this.changed(region, moveBox(region.box, dx, dy, this.picture.meta), `nudge ${region.region_id}`);
    return true;
  }

  // For hands on the keys: a quarter of what is shown, in its middle; arrows do the rest.
  place() {
    const { view, viewport, meta } = this.picture;
    const [left, top, right, bottom] = visiblePart(view, viewport, meta);
    const at = (low, high, share) => low + (high - low) * share;
    const from = { x: at(left, right, 0.375), y: at(top, bottom, 0.375) };
    this.drawn(boxBetween(from, { x: at(left, right, 0.625), y: at(top, bottom, 0.625) }, meta));
  }

  // Moves the right and the lower edge; they stop before the box is too small.
  stretch(dx, dy, isRepeat = false) {
    const region = this.selected();
    if (!region || !this.isEditable) return false;
    if (isRepeat && region.shape) return true;
    const box = resizeBox(region.box, 'se', dx, dy, this.picture.meta);
    const isTurned = !box || box[0] !== region.box[0] || box[1] !== region.box[1];
    if (!isTurned) this.changed(region, box, `stretch ${region.region_id}`);
    return true;
  }

  deleteSelected() {
    const region = this.selected();
    if (region && this.owner.edit({ kind: 'delete', region_id: region.region_id })) this.stage.focus({ preventScroll: true });
  }

  showDraft(box, regionId = null) {
    this.draft = box ? { box, regionId } : null;
    if (this.isOpen()) this.drawBoxes();
  }

  // --- picture -----------------------------------------------------------------------------------

  toPicture({ x, y }) {
    return toPicture(this.picture.view, x, y);
  }

  setView(view) {
    this.picture.setView(view);
  }

  // Widths of drags are shares of this, so that 8-bit and 16-bit pictures feel alike.
  valueRange() {
    const { presets } = this.picture.meta;
    const full = presets.find((preset) => preset.kind === 'window');
    return Math.max(full?.width ?? 0, 2 ** this.picture.meta.bits / 16);
  }

  dragWindow(window) {
    if (this.picture.raster) this.picture.raster.isHurried = true;
    this.picture.setPreset({ ...window, kind: 'window', name: 'custom' });
    this.owner.windowChanged();
  }

  windowDone() {
    if (this.picture.raster) this.picture.raster.isHurried = false;
    this.picture.redraw();
  }

  measure(ruler) {
    this.ruler = ruler;
    this.picture.redraw();
  }

  pointAt(point) {
    this.pointer = point;
    this.drawInfo();
  }

  setHidden(isHidden) {
    this.boxes.isHidden = isHidden;
    this.earlierBoxes.setHidden(isHidden);
    this.boxes.setHidden(isHidden);
  }

  // --- overlay -----------------------------------------------------------------------------------

  boxState() {
    const { draft } = this;
    const moved = (region) => (draft?.regionId === region.region_id ? { ...region, box: draft.box } : region);
    return {
      regions: this.regions.map(moved),
      selectedId: this.selectedId,
      isEditable: this.isEditable,
      colourOf: this.owner.colourOf,
      draft: draft && !draft.regionId ? draft.box : null,
      draftColour: this.owner.colourOf(this.finding),
    };
  }

  // Boxes of others: [{reader, regions, colour}], never to be picked or changed.
  showEarlier(readings) {
    this.earlier = readings;
    this.earlierBoxes.render(this.picture.view, readings);
  }

  drawBoxes() {
    this.earlierBoxes.render(this.picture.view, this.earlier);
    this.boxes.render(this.picture.view, this.boxState());
  }

  drawOverlay() {
    this.drawBoxes();
    const { spacing } = this.picture.meta;
    this.boxes.renderRuler(this.picture.view, this.ruler, this.ruler ? this.rulerText(spacing) : '');
    this.drawScaleBar(spacing);
    this.drawInfo();
  }

  rulerText(spacing) {
    const { from, to } = this.ruler;
    if (spacing) return `${lengthMm(from, to, spacing).toFixed(1)} mm`;
    return `${Math.hypot(to.x - from.x, to.y - from.y).toFixed(0)} px (the file gives no pixel spacing)`;
  }

  drawScaleBar(spacing) {
    this.bar.hidden = !spacing;
    if (!spacing) return;
    const { mm, width } = scaleBar(this.picture.view.scale, spacing, SCALE_BAR_PX);
    this.bar.style.width = `${width}px`;
    this.bar.textContent = mm >= 10 ? `${mm / 10} cm` : `${mm} mm`;
  }

  drawInfo() {
    const { picture, pointer } = this;
    if (!picture.meta) return;
    const { value_scale: scale, value_offset: offset } = picture.meta;
    const shown = picture.window();
    const parts = [
      `W ${tidy(shown.width * scale)}  L ${tidy(shown.center * scale + offset)}`,
      `${Math.round(picture.view.scale * (globalThis.devicePixelRatio || 1) * 100)} %`,
    ];
    if (picture.isInverted) parts.push('inverted');
    const value = pointer && picture.valueAt(pointer.x, pointer.y);
    if (value !== null && value !== undefined) {
      parts.push(`x ${Math.floor(pointer.x)}  y ${Math.floor(pointer.y)}  value ${tidy(value * scale + offset)}`);
    }
    this.info.textContent = parts.join('   ');
  }
}

const tidy = (value) => Number(value.toFixed(Math.abs(value) < 10 ? 2 : 0));
