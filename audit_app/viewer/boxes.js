// The reader's boxes as SVG elements: they can be clicked, focused, named by a screen reader and tested.

import { svg } from './dom.js';
import { handlePoints, toScreen } from './geometry.js';
import { outlinePath } from './outline.js';

const HANDLE_PX = 9;
const DASHES = { definite: '', probable: '9 5', possible: '2 5' };

const nameOf = (shape) => (shape.kind === 'ellipse' ? 'with an ellipse' : 'with an outline');

export const describeBox = ({ finding, certainty, box, shape }) =>
  `${finding}, ${certainty || 'certainty not said'}, ${shape ? `${nameOf(shape)}, ` : ''}x ${box[0]} to ${box[2]}, y ${box[1]} to ${box[3]} pixels`;

class BoxElement {
  constructor(region, onFocus) {
    this.halo = svg('rect', { class: 'sa-box-halo' });
    this.line = svg('rect', { class: 'sa-box-line' });
    this.outline = svg('path', { class: 'sa-outline' });
    this.tag = svg('text', { class: 'sa-box-tag' });
    this.handles = svg('g', { class: 'sa-handles', 'aria-hidden': 'true' });
    this.shape = null;
    this.group = svg('g', {
      class: 'sa-box', tabindex: 0, role: 'button', 'data-region-id': region.region_id, on: { focus: onFocus },
    }, this.halo, this.outline, this.line, this.tag, this.handles);
  }

  update(region, view, { isSelected, isEditable, colour }) {
    const corner = toScreen(view, region.box[0], region.box[1]);
    const size = { width: (region.box[2] - region.box[0]) * view.scale, height: (region.box[3] - region.box[1]) * view.scale };
    for (const rect of [this.halo, this.line]) place(rect, corner, size);
    this.line.setAttribute('stroke', colour);
    this.line.setAttribute('stroke-dasharray', DASHES[region.certainty] ?? '');
    this.tag.setAttribute('x', corner.x);
    this.tag.setAttribute('y', Math.max(corner.y - 5, 12));
    this.tag.setAttribute('fill', colour);
    const unsure = region.certainty === 'definite' ? '' : ` (${region.certainty || 'certainty?'})`;
    setText(this.tag, region.finding + unsure);
    this.group.setAttribute('data-finding', region.finding);
    this.group.setAttribute('data-box', region.box.join(' '));
    this.group.setAttribute('aria-label', describeBox(region));
    this.group.setAttribute('aria-pressed', String(isSelected));
    this.group.classList.toggle('sa-selected', isSelected);
    this.updateOutline(region.shape ?? null, view, colour);
    this.updateHandles(region.box, view, isSelected && isEditable);
  }

  // Read-only: what the source drew. The path stays in picture coordinates, so a pan only moves it.
  updateOutline(shape, view, colour) {
    this.group.classList.toggle('sa-has-outline', shape !== null);
    if (shape !== this.shape) this.outline.setAttribute('d', shape ? outlinePath(shape) : '');
    this.shape = shape;
    if (!shape) return;
    this.outline.setAttribute('transform', `translate(${view.x} ${view.y}) scale(${view.scale})`);
    this.outline.setAttribute('stroke', colour);
  }

  updateHandles(box, view, isShown) {
    if (!isShown) {
      this.handles.replaceChildren();
      return;
    }
    for (const [name, at] of Object.entries(handlePoints(box))) {
      const point = toScreen(view, at.x, at.y);
      let handle = this.handles.querySelector(`[data-handle=${name}]`);
      if (!handle) {
        handle = svg('rect', { class: 'sa-handle', 'data-handle': name });
        this.handles.append(handle);
      }
      place(handle, { x: point.x - HANDLE_PX / 2, y: point.y - HANDLE_PX / 2 }, { width: HANDLE_PX, height: HANDLE_PX });
    }
  }
}

function place(rect, { x, y }, { width, height }) {
  rect.setAttribute('x', x);
  rect.setAttribute('y', y);
  rect.setAttribute('width', width);
  rect.setAttribute('height', height);
}

function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export class BoxLayer {
  constructor(host, { onFocus = () => {} } = {}) {
    this.onFocus = onFocus;
    this.elements = new Map();
    this.boxes = svg('g');
    this.draft = svg('rect', { class: 'sa-draft', visibility: 'hidden' });
    this.ruler = svg('g', { class: 'sa-ruler', visibility: 'hidden' }, svg('line'), svg('text'));
    this.root = svg('svg', { class: 'sa-boxes' }, this.boxes, this.draft, this.ruler);
    host.append(this.root);
  }

  // state: {regions, selectedId, isEditable, colourOf(finding), draft: box|null, draftColour}
  render(view, state) {
    const kept = new Set(state.regions.map((region) => region.region_id));
    for (const [id, element] of this.elements) {
      if (kept.has(id)) continue;
      element.group.remove();
      this.elements.delete(id);
    }
    for (const region of state.regions) {
      this.elementOf(region).update(region, view, {
        isSelected: region.region_id === state.selectedId,
        isEditable: state.isEditable,
        colour: state.colourOf(region.finding, region),
      });
    }
    this.renderDraft(view, state);
  }

  elementOf(region) {
    const id = region.region_id;
    if (!this.elements.has(id)) {
      const element = new BoxElement(region, () => this.onFocus(id));
      this.elements.set(id, element);
      this.boxes.append(element.group);
    }
    return this.elements.get(id);
  }

  renderDraft(view, { draft, draftColour }) {
    this.draft.setAttribute('visibility', draft ? 'visible' : 'hidden');
    if (!draft) return;
    const size = { width: (draft[2] - draft[0]) * view.scale, height: (draft[3] - draft[1]) * view.scale };
    place(this.draft, toScreen(view, draft[0], draft[1]), size);
    this.draft.setAttribute('stroke', draftColour);
  }

  renderRuler(view, measure, text) {
    this.ruler.setAttribute('visibility', measure ? 'visible' : 'hidden');
    if (!measure) return;
    const [line, label] = this.ruler.children;
    const from = toScreen(view, measure.from.x, measure.from.y);
    const to = toScreen(view, measure.to.x, measure.to.y);
    for (const [name, value] of Object.entries({ x1: from.x, y1: from.y, x2: to.x, y2: to.y })) line.setAttribute(name, value);
    label.setAttribute('x', to.x + 8);
    label.setAttribute('y', to.y - 8);
    setText(label, text);
  }

  setHidden(isHidden) {
    this.root.classList.toggle('sa-hidden', isHidden);
  }

  focus(regionId) {
    this.elements.get(regionId)?.group.focus({ preventScroll: true });
  }
}
